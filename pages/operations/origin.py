"""Tells Streamlit's frontend where its server is. Otherwise it guesses, and each guess is a 404 in the browser's log.

A page's address is one level below the server's: for /campaign the frontend first asks /campaign/_stcore/health.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = b"<head>"


class Origin:
    """ASGI middleware that writes the server's address, below the path `base`, into the HTML of the pages."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        script = f'window.__streamlit = {{ BACKEND_BASE_URL: location.origin + "{base}/" }};'
        self._head = HEAD + f"<script>{script}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"text/html" not in dict(scope["headers"]).get(b"accept", b""):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def send_with_origin(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(HEAD, self._head, 1)
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        uncompressed = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": uncompressed}, receive, send_with_origin)
