"""Lets nobody through without a Viewer: not to a page, not to a download, not to the websocket that draws pages.

Streamlit runs a page's script for the browser's websocket. The gate accepts a websocket only for a valid session. It
tells Streamlit whose session it is, so that nobody can resume another person's connection. It checks the session again
at every message and every CHECK_S. If the session has ended, or may see something else now, the gate closes the
websocket and makes the browser load the page again.

Streamlit sends the addresses of downloads and pictures over the websocket, and serves them to anybody who asks. It also
sends the ids of files that it makes when somebody asks for them by that id, whoever does. The gate serves a file, and
lets one be made, only for a viewer to whom its address or its id was sent.
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
from pages.accounts.request import is_own
from pages.accounts.sessions import COOKIE
from pages.accounts.sign_in import SIGN_IN, SIGN_OUT, TELEVISION

CHECK_S = 2.0
"""An ended session is cut off within this time, even if its browser sends nothing."""
LEAVE_S = 3.0
"""Wait this long before making a cut-off page load again. A page that has just signed out leaves by then."""
SESSION_HEADER, VIEWER_HEADER = b"x-vigie-session", b"x-vigie-viewer"
"""Set here and trusted by Streamlit, see `trustedUserHeaders` in .streamlit/config.toml."""
PUBLIC: Final = (
    *("/_stcore/health", "/_stcore/host-config", "/favicon.png", "/manifest.json"),
    *(SIGN_IN, f"{SIGN_IN}/provider", SIGN_OUT, TELEVISION, "/auth/login", "/auth/logout", "/oauth2callback"),
)
"""Paths below `base` that health checks and signing in need. None of them shows anything about calls."""
PAGE_MESSAGES: Final = ("rerun_script", "stop_script", "app_heartbeat", "backend_operation_request")
"""The messages that pages need. Of the others one asks where to upload files; the rest is for developers: one clears
everybody's caches, one lists the project's files."""
READING: Final = ("GET", "HEAD")
"""What signed-in people may do outside PUBLIC. Pages take no files, and Streamlit would keep each in memory."""
FILE: Final = re.compile(rb"/media/([\w.-]+)")
UNMADE_FILE: Final = re.compile(rb"\x62\x20([0-9a-f]{32})")
"""DownloadButton.deferred_file_id as it is on the wire: field 12, a text of 32 bytes."""
MOST_FILES = 10_000
"""Remember to whom a file was offered for at most this many files, the newest."""
RELOAD = ForwardMsg()
RELOAD.auth_redirect.url = ""  # "" is the page that the browser is on
POLICY_VIOLATION = 1008


class Gate:
    """ASGI middleware around everything that the dashboard serves under the path `base`."""

    def __init__(self, app: ASGIApp, access: Access, base: str) -> None:
        self._app, self._access, self._base = app, access, base
        self._offered: dict[tuple[bytes, bytes], None] = {}
        """Digest of a viewer and name or id of a file that they were sent, oldest first."""
        self._public = {base + path for path in PUBLIC} | {"/healthz", "/metrics"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path in self._public or path.startswith(f"{self._base}/static/"):
            await self._app(scope, receive, send)
        elif (viewer := self._viewer(_cookie(scope))) is not None:
            file = FILE.fullmatch(path.removeprefix(self._base).encode())
            if scope["method"] not in READING:
                refusal = PlainTextResponse("Pages take no files.\n", 405, {"Allow": ", ".join(READING)})
                await refusal(scope, receive, send)
            elif file is not None and (_digest(viewer), file[1]) not in self._offered:
                await PlainTextResponse("There is no such file.\n", 404)(scope, receive, send)
            else:
                await self._app(scope, receive, _not_cached(send))
        elif scope["method"] in ("GET", "HEAD") and b"text/html" in _header(scope, b"accept"):
            requested = path + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            next = "" if requested == f"{self._base}/" else f"?next={quote(requested, safe='')}"
            await RedirectResponse(f"{self._base}{SIGN_IN}{next}", 303, {"Cache-Control": "no-store"})(
                scope, receive, send
            )
        else:
            await PlainTextResponse("Sign in first.\n", 401, {"Cache-Control": "no-store"})(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Streamlit would let in every port of this machine, and ask the internet for the machine's own address
        if not is_own(HTTPConnection(scope)):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # not accepted yet: the answer is 403
            return
        cookie = _cookie(scope)
        viewer = self._viewer(cookie)
        if cookie is None or viewer is None:
            await _accept_and_reload(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in (SESSION_HEADER, VIEWER_HEADER)]
        digest = _digest(viewer)
        headers += [(SESSION_HEADER, cookie.encode()), (VIEWER_HEADER, digest)]
        browser = _Browser(receive)
        is_cut_off = False

        async def receive_while_valid() -> Message:
            nonlocal is_cut_off
            while True:
                message = await browser.message(CHECK_S)
                if self._viewer(cookie) != viewer:
                    is_cut_off = True
                    return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
                if message is None:
                    continue
                if (unmade := _unmade_file(message)) is not None and (digest, unmade[1]) not in self._offered:
                    await _refuse_to_make(unmade[0], send)
                elif _is_allowed(message):
                    return message

        async def send_unless_cut_off(message: Message) -> None:
            if not is_cut_off:
                self._remember_files(digest, message.get("bytes") or b"")
                await send(message)

        try:
            await self._app({**scope, "headers": headers}, receive_while_valid, send_unless_cut_off)
            if is_cut_off and not await browser.leaves(LEAVE_S):
                await _reload(send)
        finally:
            browser.stop_receiving()

    def _remember_files(self, digest: bytes, payload: bytes) -> None:
        """Remember the files whose addresses or ids are in a message to this viewer."""
        for file in (*FILE.findall(payload), *UNMADE_FILE.findall(payload)):
            self._offered.pop((digest, file), None)
            self._offered[digest, file] = None
        while len(self._offered) > MOST_FILES:
            del self._offered[next(iter(self._offered))]

    def _viewer(self, cookie: str | None) -> Viewer | None:
        return self._access.viewer(cookie, clock.now_s())


class _Browser:
    """The messages that a browser sends over its websocket, with a time limit on waiting for one."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: asyncio.Task[Message] | None = None

    async def message(self, within_s: float) -> Message | None:
        """Return the next message, or None if none arrives in time. A later call then returns it."""
        self._waiting = self._waiting or asyncio.ensure_future(self._receive())
        await asyncio.wait({self._waiting}, timeout=within_s)
        if not self._waiting.done():
            return None
        message, self._waiting = self._waiting.result(), None
        return message

    async def leaves(self, within_s: float) -> bool:
        """Whether the browser disconnects in time. Its messages until then are ignored."""
        until = time.monotonic() + within_s
        while (left_s := until - time.monotonic()) > 0:
            message = await self.message(left_s)
            if message is not None and message["type"] == "websocket.disconnect":
                return True
        return False

    def stop_receiving(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()


def _is_allowed(message: Message) -> bool:
    """Whether pages need this message of the browser. A malformed one passes: Streamlit refuses it itself."""
    request = _request(message)
    if request is None:
        return True
    kind = request.WhichOneof("type")
    is_operation = kind == "backend_operation_request"
    return kind in PAGE_MESSAGES and (not is_operation or _unmade_file(message) is not None)


def _unmade_file(message: Message) -> tuple[str, bytes] | None:
    """Return the ids of the request and of the file, if this message asks for a file to be made."""
    request = _request(message)
    if request is None or request.WhichOneof("type") != "backend_operation_request":
        return None
    operation = request.backend_operation_request
    if operation.WhichOneof("payload") != "deferred_file":
        return None
    return operation.request_id, operation.deferred_file.file_id.encode()


def _request(message: Message) -> BackMsg | None:
    try:
        return None if message.get("bytes") is None else BackMsg.FromString(message["bytes"])
    except DecodeError:
        return None


async def _refuse_to_make(request_id: str, send: Send) -> None:
    """Answer as Streamlit does when there is no such file."""
    answer = ForwardMsg()
    answer.backend_operation_response.request_id = request_id
    answer.backend_operation_response.error_msg = "There is no such file."
    await send({"type": "websocket.send", "bytes": answer.SerializeToString()})


async def _accept_and_reload(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a websocket only to make its page load again, which leads to the sign-in page.

    If it were refused, a page that was open when its session ended would retry for ever and go on showing old numbers.
    """
    await receive()
    protocols = [name.strip() for name in _header(scope, b"sec-websocket-protocol").decode("latin-1").split(",")]
    await send({"type": "websocket.accept", "subprotocol": protocols[0] or None})
    await _reload(send)


async def _reload(send: Send) -> None:
    await send({"type": "websocket.send", "bytes": RELOAD.SerializeToString()})
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})


def _not_cached(send: Send) -> Send:
    """Forbid caches on the way to the browser to store a response, which is for one person only."""

    async def send_not_cached(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"cache-control"]
            message["headers"] = [*headers, (b"cache-control", b"private, no-store")]
        await send(message)

    return send_not_cached


def _digest(viewer: Viewer) -> bytes:
    """Return a digest of a viewer and their limits, by which Streamlit tells their connections from others'."""
    limits = [None if names is None else sorted(names) for names in (viewer.campaigns, viewer.sites)]
    return hashlib.sha256(repr((viewer.role, viewer.name, limits)).encode()).hexdigest().encode()


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for header, value in scope["headers"] if header == name), b"")


def _cookie(scope: Scope) -> str | None:
    return HTTPConnection(scope).cookies.get(COOKIE)
