"""Lets nobody past without a Viewer: neither to a page, nor to a download, nor to the websocket that draws pages.

What Streamlit runs for a browser it runs for its websocket. The gate opens that only for a session that holds, tells
Streamlit whose it is (so that no other person's connection may go on with it), and asks again with every message and
every CHECK_S: a session that was ended, or that may see something else now, is cut off and its page loaded anew.

Files to download and pictures lie at addresses that Streamlit tells over the websocket and serves to whoever asks; the
gate serves them to whom they were told.
"""

import asyncio
import hashlib
import re
import time
from typing import Final
from urllib.parse import quote

from google.protobuf.message import DecodeError
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from metrics import clock
from metrics.authorisation.viewer import Viewer
from pages.accounts.access import Access
from pages.accounts.sessions import COOKIE
from pages.accounts.sign_in import SIGN_IN, SIGN_OUT, TELEVISION

CHECK_S = 2.0
"""A session that ended is cut off within this, also when its browser sends nothing."""
LEAVE_S = 3.0
"""A page that was cut off is loaded anew after this: the one where somebody signed out is on its way elsewhere."""
SESSION_HEADER, VIEWER_HEADER = b"x-vigie-session", b"x-vigie-viewer"
"""Set here and believed by Streamlit, see `trustedUserHeaders` in .streamlit/config.toml."""
OPEN: Final = (
    *("/_stcore/health", "/_stcore/host-config", "/favicon.png", "/manifest.json"),
    *(SIGN_IN, f"{SIGN_IN}/provider", SIGN_OUT, TELEVISION, "/auth/login", "/auth/logout", "/oauth2callback"),
)
"""What machines and signing in need, below `base`; nothing of it says anything about calls."""
HEARD: Final = ("rerun_script", "stop_script", "app_heartbeat", "file_urls_request", "backend_operation_request")
"""What a page sends. The rest is for developers: one clears everybody's caches, one lists the files of the project."""
FILE: Final = re.compile(rb"/media/([\w.-]+)")
FILES = 10_000
"""So many files are remembered with whom they were told, the newest."""
RELOAD = ForwardMsg()
RELOAD.auth_redirect.url = ""  # the page that the browser is at
POLICY_VIOLATION = 1008


class Gate:
    """ASGI middleware around everything that the dashboard serves under the path `base`."""

    def __init__(self, app: ASGIApp, access: Access, base: str) -> None:
        self._app, self._access, self._base = app, access, base
        self._told: dict[tuple[bytes, bytes], None] = {}
        """Viewer's digest and file's name, in the order in which they were told."""
        self._open = {base + path for path in OPEN} | {"/healthz", "/metrics"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path in self._open or path.startswith(f"{self._base}/static/"):
            await self._app(scope, receive, send)
        elif (viewer := self._viewer(_cookie(scope))) is not None:
            file = FILE.fullmatch(path.removeprefix(self._base).encode())
            if file is not None and (_digest(viewer), file[1]) not in self._told:
                await PlainTextResponse("There is no such file.\n", 404)(scope, receive, send)
            else:
                await self._app(scope, receive, _unshared(send))
        elif scope["method"] in ("GET", "HEAD") and b"text/html" in _header(scope, b"accept"):
            asked = path + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            next = "" if asked == f"{self._base}/" else f"?next={quote(asked, safe='')}"
            await RedirectResponse(f"{self._base}{SIGN_IN}{next}", 303, {"Cache-Control": "no-store"})(
                scope, receive, send
            )
        else:
            await PlainTextResponse("Sign in first.\n", 401, {"Cache-Control": "no-store"})(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookie = _cookie(scope)
        viewer = self._viewer(cookie)
        if cookie is None or viewer is None:
            await _send_away(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in (SESSION_HEADER, VIEWER_HEADER)]
        digest = _digest(viewer)
        headers += [(SESSION_HEADER, cookie.encode()), (VIEWER_HEADER, digest)]
        browser = _Browser(receive)
        is_cut_off = False

        async def watched() -> Message:
            nonlocal is_cut_off
            while True:
                message = await browser.message(CHECK_S)
                if self._viewer(cookie) != viewer:
                    is_cut_off = True
                    return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
                if message is not None and _is_heard(message):
                    return message

        async def unless_cut_off(message: Message) -> None:
            if not is_cut_off:
                self._remember(digest, message.get("bytes") or b"")
                await send(message)

        try:
            await self._app({**scope, "headers": headers}, watched, unless_cut_off)
            if is_cut_off and not await browser.leaves(LEAVE_S):
                await _reload(send)
        finally:
            browser.forget()

    def _remember(self, digest: bytes, told: bytes) -> None:
        if b"/media/" not in told:
            return
        for file in FILE.findall(told):
            self._told.pop((digest, file), None)
            self._told[digest, file] = None
        while len(self._told) > FILES:
            del self._told[next(iter(self._told))]

    def _viewer(self, cookie: str | None) -> Viewer | None:
        return self._access.viewer(cookie, clock.now_s())


class _Browser:
    """What a browser sends over its websocket, for whom it may be too long to wait."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Task[Message] | None = None

    async def message(self, within_s: float) -> Message | None:
        """Return its next message, or None when there is none within so long; it is not lost then."""
        self._waiting = self._waiting or asyncio.ensure_future(self._receive())
        await asyncio.wait({self._waiting}, timeout=within_s)
        if not self._waiting.done():
            return None
        message, self._waiting = self._waiting.result(), None
        return message

    async def leaves(self, within_s: float) -> bool:
        """Whether it goes away by itself within so long; what it says in the meantime nobody hears."""
        until = time.monotonic() + within_s
        while (left_s := until - time.monotonic()) > 0:
            message = await self.message(left_s)
            if message is not None and message["type"] == "websocket.disconnect":
                return True
        return False

    def forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()


def _is_heard(message: Message) -> bool:
    """Whether a message of the browser is one that a page has to send; what is none at all Streamlit refuses."""
    try:
        return message.get("bytes") is None or BackMsg.FromString(message["bytes"]).WhichOneof("type") in HEARD
    except DecodeError:
        return True


async def _send_away(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a websocket only to have its page loaded anew, which leads to the sign-in page.

    Refused, a page that was open when its session ended would try again for ever, over numbers of long ago.
    """
    await receive()
    offered = [name.strip() for name in _header(scope, b"sec-websocket-protocol").decode("latin-1").split(",")]
    await send({"type": "websocket.accept", "subprotocol": offered[0] or None})
    await _reload(send)


async def _reload(send: Send) -> None:
    await send({"type": "websocket.send", "bytes": RELOAD.SerializeToString()})
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})


def _unshared(send: Send) -> Send:
    """Let no cache between here and the browser keep what was made for one person."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"cache-control"]
            message["headers"] = [*headers, (b"cache-control", b"private, no-store")]
        await send(message)

    return marked


def _digest(viewer: Viewer) -> bytes:
    """Return what differs between two viewers, for Streamlit to tell their connections apart."""
    limits = [None if said is None else sorted(said) for said in (viewer.campaigns, viewer.sites)]
    return hashlib.sha256(repr((viewer.role, viewer.name, limits)).encode()).hexdigest().encode()


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for header, value in scope["headers"] if header == name), b"")


def _cookie(scope: Scope) -> str | None:
    return HTTPConnection(scope).cookies.get(COOKIE)
