"""What a request says about its sender: the form's fields, the page it came from, the address, the languages."""

import asyncio
import ipaddress
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request

MOST_BYTES = 8192
ARRIVES_S = 20.0
"""A form arrives whole within this time [s], or is not read."""


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form. A form that is too long to be ours has none.

    Raises HTTPException if it does not arrive whole: a browser that leaves in the middle of it has not tried anything.
    """
    body = b""
    try:
        async with asyncio.timeout(ARRIVES_S):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return {}
    except (ClientDisconnect, TimeoutError) as error:
        raise HTTPException(408, "The form did not arrive whole.") from error
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def is_own(request: HTTPConnection) -> bool:
    """Whether a page of this dashboard made the request. Every browser of recent years says so in one of two headers.

    A client that sends neither header is not a browser, so no other page can have made it send the request.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def address_of(request: Request) -> str:
    """Return the key by which attempts are counted: the IPv4 address, or the IPv6 network of one household (/64)."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def languages_of(request: Request) -> list[str]:
    """Return the browser's languages in its order of preference."""
    languages = [tag.strip().partition(";q=") for tag in request.headers.get("accept-language", "").split(",")[:20]]

    def weight(quality: str) -> float:
        try:
            return float(quality or 1)
        except ValueError:
            return 0.0

    return [tag for tag, _, quality in sorted(languages, key=lambda language: -weight(language[2]))]
