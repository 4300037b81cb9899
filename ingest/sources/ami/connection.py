"""A connection to Asterisk's manager interface (AMI): messages of `Name: value` lines, each ended by an empty line.

Source: docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/, of Asterisk 12 to 22.
"""

import os
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

from ingest.errors import UsageError

Message = dict[str, str]

SECRET = "VIGIE_AMI_SECRET"
CLASSES = "agent,call,system"  # of events: queues and their members, hang-ups, starts of Asterisk
CONNECT_WITHIN_S = 10.0
POLL_S = 0.2
PING_AFTER_S = 30.0  # of silence
LOST_AFTER_S = 60.0
LONGEST = 1 << 20  # bytes of one message


class Lost(Exception):
    """There is no connection, or no more; the message says why and repeats nothing that was received."""


@dataclass(frozen=True)
class Server:
    """Where Asterisk is, and how to sign in."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | None = None


class Connection:
    """A signed-in connection. Raises Lost, and UsageError when Asterisk refuses the user."""

    def __init__(self, server: Server) -> None:
        try:
            self._socket = socket.create_connection((server.host, server.port), CONNECT_WITHIN_S)
            if server.tls:
                self._socket = server.tls.wrap_socket(self._socket, server_hostname=server.host)
        except OSError as error:  # an SSLError is one
            raise Lost(f"no connection ({error.strerror or type(error).__name__})") from error
        self._rest = b""
        self._heard_at = self._asked_at = time.monotonic()
        try:
            self._log_in(server)
        except BaseException:
            self.close()
            raise

    def send(self, action: str, **fields: str) -> None:
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in fields.items())]
        try:
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        except OSError as error:
            raise Lost("the connection broke") from error

    def read(self) -> list[Message]:
        """The messages that have come, after waiting for some for a moment."""
        now = time.monotonic()
        if now > self._heard_at + LOST_AFTER_S:
            raise Lost("nothing was heard for a minute")
        if now > max(self._heard_at, self._asked_at) + PING_AFTER_S:
            self._asked_at = now
            self.send("Ping")
        return self._received(POLL_S)

    def close(self) -> None:
        self._socket.close()

    def _log_in(self, server: Server) -> None:
        self.send("Login", ActionID="login", Username=server.user, Secret=server.secret, Events=CLASSES)
        until = time.monotonic() + CONNECT_WITHIN_S
        self._early: list[Message] = []
        while time.monotonic() < until:
            messages = self._received(POLL_S)
            answers = [message for message in messages if "Response" in message]
            self._early += [message for message in messages if "Event" in message]
            if answers and answers[0]["Response"] == "Success":
                self.send("QueueStatus", ActionID="status")
                return
            if answers:
                raise UsageError(
                    "Asterisk refused the AMI user; check --ami-user, its secret, and permit in manager.conf."
                )
        raise Lost("no answer to the login")

    def early(self) -> list[Message]:
        """The events that came before the answer to the login."""
        return self._early

    def _received(self, within_s: float) -> list[Message]:
        try:
            has_more = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
            if not has_more and not select.select([self._socket], [], [], within_s)[0]:
                return []
            piece = self._socket.recv(1 << 16)
        except OSError as error:
            raise Lost("the connection broke") from error
        if not piece:
            raise Lost("Asterisk closed the connection")
        self._heard_at = time.monotonic()
        self._rest += piece
        *complete, self._rest = self._rest.split(b"\r\n\r\n")
        if len(self._rest) > LONGEST:
            raise Lost("this is not AMI")
        return [_message(text) for text in complete]


def _message(text: bytes) -> Message:
    """The fields of a message; the greeting before the first one has none."""
    lines = text.decode("utf-8", "replace").split("\r\n")
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def server(address: str, user: str, secret_file: str, has_tls: bool, ca_file: str) -> Server:
    """The server that the options name. Raises UsageError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError("--ami is not HOST:PORT, such as 127.0.0.1:5038.")
    if not user:
        raise UsageError("--ami-user is missing; name a user of manager.conf with read = agent,call,system.")
    return Server(host.strip("[]"), int(port), user, _secret(secret_file), _context(ca_file) if has_tls else None)


def _secret(file: str) -> str:
    """The secret from the file or from the environment, never from an argument: everybody can see those."""
    if not file:
        secret = os.environ.get(SECRET, "")
    else:
        try:
            secret = Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("--ami-secret-file cannot be read; name a file with the secret alone.") from error
    if not secret or len(secret.split("\n")) > 1:
        raise UsageError(f"There is no AMI secret; put it alone into the file --ami-secret-file, or into {SECRET}.")
    return secret


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError("--ami-ca-file is not a readable certificate; name a PEM file.") from error
