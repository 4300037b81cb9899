"""A server that speaks AMI as Asterisk documents it. It stands in for Asterisk, which no package registry has."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

GREETING = b"Asterisk Call Manager/9.0.0\r\n"
WITHIN_S = 30.0

Message = Mapping[str, Any]


def encoded(message: Message) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in [*message.items()]).encode() + b"\r\n"


class Manager:
    """Accepts one connection after the other. `say` sends events; `drop` closes the connection."""

    def __init__(self, secret: str, tls: ssl.SSLContext | None = None) -> None:
        self._secret = secret
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._is_listening = threading.Event()  # the client has logged in and got the list
        self.port: int = self._socket.getsockname()[1]
        self.listed: Sequence[Message] = ()  # the answer to QueueStatus
        self.uptime_s = 3600
        self.actions: list[dict[str, str]] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def say(self, messages: Sequence[Message]) -> None:
        assert self._is_listening.wait(WITHIN_S), "nobody has logged in"
        assert self._client
        self._client.sendall(b"".join(map(encoded, messages)))

    def drop(self) -> None:
        assert self._is_listening.wait(WITHIN_S)
        self._is_listening.clear()
        assert self._client
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
        self._client.close()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
                self._client = self._tls.wrap_socket(client, server_side=True) if self._tls else client
                self._client.sendall(GREETING)
                for action in _actions(self._client):
                    self.actions.append(action)
                    if not self._answer(action, self._client):
                        break
                self._client.close()
            except OSError:
                if self._socket.fileno() < 0:
                    return

    def _answer(self, action: dict[str, str], client: socket.socket) -> bool:
        id = {"ActionID": action["ActionID"]} if "ActionID" in action else {}
        match action["Action"]:
            case "Login" if action["Secret"] == self._secret:
                booted = {"Event": "FullyBooted", "Privilege": "system,all", "Uptime": self.uptime_s}
                client.sendall(encoded({"Response": "Success", **id, "Message": "Authentication accepted"}))
                client.sendall(encoded({**booted, "LastReload": self.uptime_s, "Status": "Fully Booted"}))
            case "Login":
                client.sendall(encoded({"Response": "Error", **id, "Message": "Authentication failed"}))
                return False
            case "QueueStatus":
                started = {"Response": "Success", **id, "EventList": "start", "Message": "Queue status will follow"}
                client.sendall(encoded(started) + b"".join(map(encoded, self.listed)))
                client.sendall(encoded({"Event": "QueueStatusComplete", **id, "EventList": "Complete"}))
                self._is_listening.set()
            case "Ping":
                client.sendall(encoded({"Response": "Success", **id, "Ping": "Pong"}))
        return True


@contextlib.contextmanager
def running_manager(secret: str, certificate: Path | None = None) -> Iterator[Manager]:
    """A manager; with a `certificate` (PEM, with its key) it speaks TLS."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    manager = Manager(secret, context)
    try:
        yield manager
    finally:
        manager.close()


def _actions(client: socket.socket) -> Iterator[dict[str, str]]:
    read: Callable[[int], bytes] = client.recv
    rest = b""
    while piece := read(4096):
        *complete, rest = (rest + piece).split(b"\r\n\r\n")
        for text in complete:
            yield dict(line.split(": ", 1) for line in text.decode().split("\r\n"))
