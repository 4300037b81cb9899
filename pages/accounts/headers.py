"""The headers that every response has: nothing is guessed, framed, or told to other sites.

A response that is no page of HTML may load nothing at all. Pages bring their own policy of contents: those for people
who are not signed in from forms.py, the others from pages/operations/head.py.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with a stricter one browsers send forms without their Origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""For responses that do not have these headers already."""
HSTS: Final = "max-age=31536000"
"""Over TLS: for a year, the browser does not come back without it."""


class Headers:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = HSTS
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
