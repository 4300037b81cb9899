"""An HTTP receiver of webhooks, which keeps what it gets and answers as a test tells it to."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "0123456789abcdef-of-the-receiver"


@dataclass
class Request:
    """One POST that came whole: its headers (lower case), its bytes, and when [s since 1970]."""

    headers: dict[str, str]
    payload: bytes
    at_s: float

    @property
    def message(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.payload)
        return decoded


@dataclass
class Receiver:
    """`status` is what it answers; while `holds` is set it takes the request and answers nothing."""

    port: int
    requests: list[Request] = field(default_factory=list)
    status: int = 204
    holds: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"webhook://127.0.0.1:{self.port}/alerts?secret=${{HOOK_SECRET}}"

    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Request(headers, payload, time.time()))
            while receiver.holds.is_set():
                time.sleep(0.05)
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.holds.clear()
        server.shutdown()
        server.server_close()
        thread.join()
