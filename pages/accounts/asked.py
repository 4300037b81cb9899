"""What a request tells about who sent it: the fields of a form, from which page, which address, in which languages."""

import ipaddress
from urllib.parse import parse_qs

from starlette.requests import Request

MOST_BYTES = 8192


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; nothing of one that is too long to be ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    try:
        said = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in said.items()}


def is_own(request: Request) -> bool:
    """Whether a form was sent by a page of this dashboard, as every browser of the last years tells.

    A client that tells neither is no browser, and nobody can make it send a form.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def address_of(request: Request) -> str:
    """Return whose attempts are counted together: an address, or the network that IPv6 gives to one household."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def languages_of(request: Request) -> list[str]:
    """Return the browser's languages, the dearest first."""
    said = [one.strip().partition(";q=") for one in request.headers.get("accept-language", "").split(",")[:20]]

    def weight(quality: str) -> float:
        try:
            return float(quality or 1)
        except ValueError:
            return 0.0

    return [tag for tag, _, quality in sorted(said, key=lambda one: -weight(one[2]))]
