"""The dashboard's websocket without a browser: requests pages and records everything that comes back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import BackendOperationResponse, ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pages.accounts.sessions import COOKIE
from tests.support.processes import WITHIN_S


@dataclass
class Stream:
    """One connection; `raw` and `received` hold everything received so far, as bytes and as messages."""

    socket: ClientConnection
    raw: bytearray = field(default_factory=bytearray)
    received: list[ForwardMsg] = field(default_factory=list)
    last: int = 0
    """Number of messages that answered the last request."""

    def open(self, page: str = "", /, **parameters: str) -> bytes:
        """Request a page as a browser does and return what the server sent for it."""
        request = BackMsg()
        request.rerun_script.page_name = page
        request.rerun_script.query_string = urlencode(parameters)
        return self.ask(request)

    def ask(self, request: BackMsg) -> bytes:
        """Send a request and return what comes until its run has finished."""
        before, had = len(self.raw), len(self.received)
        self.socket.send(request.SerializeToString())
        while True:
            message = self.next()
            if message is None or (
                message.WhichOneof("type") == "script_finished"
                and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
            ):
                self.last = len(self.received) - had
                return bytes(self.raw[before:])

    def answer(self, request: BackMsg) -> BackendOperationResponse:
        """Request an operation of the server, such as making a file, and return its answer."""
        self.socket.send(request.SerializeToString())
        while (message := self.next()) is not None:
            if message.HasField("backend_operation_response"):
                return message.backend_operation_response
        raise ConnectionError("the server closed the connection without an answer")

    def next(self) -> ForwardMsg | None:
        """Return the next message; None when the server has closed the connection."""
        try:
            data = self.socket.recv(timeout=WITHIN_S)
        except ConnectionClosed:
            return None
        assert isinstance(data, bytes)
        self.raw += data
        self.received.append(ForwardMsg.FromString(data))
        return self.received[-1]

    def until_closed(self) -> None:
        while self.next() is not None:
            pass

    def session_id(self) -> str:
        return next(m.new_session.initialize.session_id for m in self.received if m.HasField("new_session"))

    def fragments(self) -> list[str]:
        """Return the fragments that the page reruns periodically."""
        return [m.auto_rerun.fragment_id for m in self.received if m.HasField("auto_rerun")]

    def tick(self, fragment: str) -> bytes:
        request = BackMsg()
        request.rerun_script.fragment_id = fragment
        return self.ask(request)


@contextmanager
def stream(address: str, session: str | None, *, resume: str = "", **headers: str) -> Iterator[Stream]:
    """Connect with this session's cookie; resume the Streamlit session `resume` if given."""
    given = headers | ({"Cookie": f"{COOKIE}={session}"} if session else {})
    protocols = ["streamlit", "none", resume] if resume else ["streamlit"]
    url = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
    with connect(url, subprotocols=protocols, additional_headers=given, max_size=None) as socket:  # type: ignore[arg-type]
        yield Stream(socket)


def as_bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()
