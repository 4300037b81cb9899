"""Writes into a page's HTML what the browser would otherwise learn late.

Where the server is: Streamlit's frontend guesses it, and each guess is a 404 in the browser's log. A page's address is
one level below the server's, so for /campaign it first asks /campaign/_stcore/health.

That a page draws charts: Streamlit's frontend imports Plotly, 4.7 MB, only when the first chart has arrived. A browser
that knows it from the beginning loads and runs Plotly while the server computes. It runs after Streamlit's own script,
which asks the server for the page.

And it sends a policy of contents with the page: what the browser may load and run.
"""

import re
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.assets import script_hashes, sha256

HEAD, END = b"<head>", b"</body>"
CHARTED = ("/campaign", "/sla")
"""The pages that begin with a chart."""
SCRIPTS = Path(streamlit.__file__).parent / "static" / "static" / "js"
INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def policy(html: bytes) -> str:
    """Return the content security policy of this page: nothing from other sites, no script that is not ours.

    Of scripts within HTML, the browser runs those of `html` and those of pages/assets; whoever smuggles markup into the
    page runs none. Styles cannot be listed like that: Streamlit and Plotly write them into elements while they draw.
    """
    scripts = (*(sha256(source.decode()) for source in INLINE.findall(html)), *script_hashes())
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "font-src 'self' data:",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class Head:
    """ASGI middleware that writes into the HTML of the pages, which are served below the path `base`."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app, self._base = app, base
        script = f'window.__streamlit = {{ BACKEND_BASE_URL: location.origin + "{base}/" }};'
        self._every = f"<script>{script}</script>".encode()
        (plotly,) = SCRIPTS.glob("PlotlyChart.*.js")
        href = f"{base}/static/js/{plotly.name}"
        self._preload = f'<link rel="modulepreload" crossorigin href="{href}">'.encode()
        self._run = f'<script type="module" crossorigin src="{href}"></script>'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"text/html" not in dict(scope["headers"]).get(b"accept", b""):
            await self._app(scope, receive, send)
            return
        is_charted = scope["path"].removeprefix(self._base) in CHARTED
        start: Message = {}
        body = b""

        async def send_written(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            headers = MutableHeaders(scope=start)
            if "Content-Security-Policy" in headers:  # a form of the gate, which needs nothing of this
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
            body = body.replace(HEAD, HEAD + self._every + (self._preload if is_charted else b""), 1)
            body = body.replace(END, (self._run if is_charted else b"") + END, 1)
            headers["Content-Length"] = str(len(body))
            if headers.get("content-type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = policy(body)
            await send(start)
            await send({"type": "http.response.body", "body": body})

        uncompressed = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": uncompressed}, receive, send_written)
