"""What must hold before the dashboard starts: days begin as the consumer says, and nobody gets in who should not."""

import ipaddress
import socket
from pathlib import Path

from streamlit import config

from metrics.configuration import campaigns
from metrics.configuration.zones import check_zones
from pages.accounts import provider
from pages.accounts.access import Access, configuration_path
from pages.accounts.errors import AccountsError


def base_path() -> str:
    """Return the path that everything is served under: "" or, as with `server.baseUrlPath`, "/vigie"."""
    path = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"/{path}" if path else ""


def refuse_other_zones(configuration: Path) -> None:
    """Raise ConfigurationError when a configured zone has other rules here.

    Without a configuration beside it, as on a machine that only shows what is published, there is nothing to compare.
    """
    if configuration.exists():
        check_zones(campaigns.load(configuration).zones)


def refuse_open_doors(access: Access) -> None:
    """Raise AccountsError when others than this machine's users could connect and nothing says who may sign in."""
    if provider.is_configured():
        provider.refuse_half_configured()
        known = access.configuration()
        if known is None or not (known.people or known.claims.role):
            raise AccountsError(
                f"An identity provider is configured, and {configuration_path()} does not say who may see what; add"
                " [[people]] or [sign_in] to it, as docs/sign-in.md tells."
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


def is_loopback(address: str | None) -> bool:
    """Whether Streamlit, given this `server.address`, listens to this machine only. None is every address."""
    if not address:
        return False
    try:
        found = {info[4][0] for info in socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)
