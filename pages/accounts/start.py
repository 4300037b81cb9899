"""Checks before the dashboard starts: days begin as they do for the consumer, and no stranger can get in."""

import ipaddress
import os
import socket
from pathlib import Path

from streamlit import config

from metrics.configuration import campaigns
from metrics.configuration.zones import check_zones
from pages.accounts import provider
from pages.accounts.access import Access, configuration_path
from pages.accounts.errors import AccountsError

PROXIES = "FORWARDED_ALLOW_IPS"


def base_path() -> str:
    """Return the path under which everything is served, from `server.baseUrlPath`: "", or for example "/vigie"."""
    path = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"/{path}" if path else ""


def refuse_other_zones(configuration: Path) -> None:
    """Raise ConfigurationError if a configured zone has other rules here than for the consumer.

    A machine that only shows the published file may have no configuration; then there is nothing to compare.
    """
    if configuration.exists():
        check_zones(campaigns.load(configuration).zones)


def refuse_open_doors(access: Access) -> None:
    """Raise AccountsError if other machines could connect and nothing says who may sign in."""
    if provider.is_configured():
        provider.refuse_half_configured()
        configuration = access.configuration()
        if configuration is None or not (configuration.people or configuration.claims.role):
            raise AccountsError(
                f"An identity provider is configured, but {configuration_path()} does not say who may see what; add"
                " [[people]] or [sign_in] to it, as described in docs/sign-in.md."
            )
        return
    if access.accounts.all():
        return
    address = config.get_option("server.address")
    if not is_loopback(address):
        raise AccountsError(
            f"The dashboard would listen on {address or 'every address of this machine'} and nothing says who may sign"
            " in; add an account with `python -m pages.accounts add NAME --role manager`, or listen on 127.0.0.1 with"
            " --server.address."
        )


def refuse_anybodys_word() -> None:
    """Raise AccountsError if everybody may say which address they come from, by the headers of a proxy.

    Attempts to sign in are counted by that address, and the audit trail has it. Uvicorn reads the variable.
    """
    for proxy in os.environ.get(PROXIES, "").split(","):
        try:
            is_everybody = proxy.strip() == "*" or ipaddress.ip_network(proxy.strip()).prefixlen == 0
        except ValueError:  # a name, or nothing
            is_everybody = False
        if is_everybody:
            raise AccountsError(
                f"{PROXIES}={proxy.strip()} believes everybody who says that they are a proxy; name the addresses of"
                " your proxies, such as 127.0.0.1."
            )


def is_loopback(address: str | None) -> bool:
    """Whether this `server.address` accepts connections from this machine only. None is every address."""
    if not address:
        return False
    try:
        resolved = {str(info[4][0]) for info in socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(resolved) and all(ipaddress.ip_address(ip.partition("%")[0]).is_loopback for ip in resolved)
