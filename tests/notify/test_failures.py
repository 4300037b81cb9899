"""Why a channel did not take a message: a few reasons of our own, and nothing of the address or of the receiver."""

import contextlib
import http.client
import io
import logging
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import urllib3

from metrics.configuration.notification import LANGUAGES
from metrics.language import failure_words
from metrics.language.text import text
from notify import channels
from notify.channels import Channel, Message, apprise_channel, keep_services_quiet
from notify.errors import NotDelivered
from notify.failures import reason_of
from notify.webhook import webhook_channel
from tests.support.processes import wait_for

MESSAGE = Message("a.test", "title", "body", "info", {"kind": "test"})
RECEIVERS_TEXT = "HHHH-the-receivers-own-text"
PATH = "down"


@contextmanager
def answering(answer: bytes, listens: bool) -> Iterator[int]:
    """Send these bytes to who connects to the port, if it `listens` after the request, and nothing after them.

    Then read what else comes: bytes that nobody reads reset a connection, and the answer may be lost with it.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(10)
                    if listens:
                        connection.recv(65_536)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def refused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def channel(scheme: str, port: int, host: str = "127.0.0.1") -> Channel:
    keep_services_quiet()  # as the command does first
    if scheme.startswith("webhook"):
        made = webhook_channel("floor/1", scheme, f"{scheme}://{host}:{port}/{PATH}?secret=0123456789abcdef")
    else:
        made = apprise_channel(
            "floor/1", scheme, f"{scheme}://user:hunter2@{host}:{port}/{PATH}?from=a@example.org&to=b@example.org"
        )
    assert made is not None
    return made


def failure_of(channel: Channel) -> NotDelivered:
    with pytest.raises(NotDelivered) as failed:
        channel.deliver(MESSAGE)
    return failed.value


@pytest.mark.parametrize("scheme", ["webhook", "json", "mailto"])
@pytest.mark.parametrize("how", ["refused", "nonsense", "closed", "503"])
def test_a_failure_repeats_nothing_of_the_address_or_the_answer(
    scheme: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    version = "" if scheme == "mailto" else "HTTP/1.1 "
    answers = {
        "nonsense": f"{RECEIVERS_TEXT}\r\n\r\n",
        "closed": "",
        "503": f"{version}503 {RECEIVERS_TEXT}\r\n\r\n",
    }
    if how == "refused":
        port = refused_port()
        failed = failure_of(channel(scheme, port))
    else:
        with answering(answers[how].encode(), listens=scheme != "mailto") as port:
            failed = failure_of(channel(scheme, port))
    said = f"{failed} {failed.reason} {caplog.text}"
    assert not [part for part in (RECEIVERS_TEXT, "127.0.0.1", str(port), PATH, "hunter2", "example") if part in said]
    nonsense = "other" if scheme == "mailto" else "other BadStatusLine"
    assert failed.reason == {"nonsense": nonsense, "503": "answered 503"}.get(how, "no_connection")


@contextmanager
def dripping() -> Iterator[int]:
    """Send a byte every 50 ms to who connects to the port, and never a whole line."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while not done.wait(0.05):
                    connection.sendall(b"2")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("scheme", ["webhook", "json", "mailto"])
def test_a_receiver_that_drips_is_left_in_time(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "SENDS_WITHIN_S", 0.5)
    with dripping() as port:
        began = time.monotonic()
        failed = failure_of(channel(scheme, port))
        assert failed.reason == "no_answer" and time.monotonic() - began < 10
        wait_for(lambda: all(thread.name != "delivery" for thread in threading.enumerate()), "the end of its thread")


@pytest.mark.parametrize("scheme", ["webhook", "json", "mailto"])
def test_a_name_that_nobody_knows_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str, *_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failed = failure_of(channel(scheme, 1, "desk.example"))
    assert (failed.reason, str(failed)) == ("unknown_name", "the name of its server is unknown")


def test_what_no_layer_below_was_expected_to_raise_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that the channel let through would end its thread, with the address in the traceback."""

    def broken(*_: object, **__: object) -> None:
        raise UnicodeError("label too long: hunter2.example")

    monkeypatch.setattr(requests, "post", broken)
    assert failure_of(channel("webhook", 1)).reason == "other UnicodeError"


def wrapped(cause: BaseException) -> requests.RequestException:
    """Return an error as requests raises it: the cause is in an argument of an argument."""
    pool = urllib3.HTTPSConnectionPool("hunter2.example")
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, "/down", cause))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (wrapped(ssl.SSLCertVerificationError("hunter2")), "not_trusted"),
        (wrapped(ssl.SSLError("WRONG_VERSION_NUMBER")), "other SSLError"),
        (wrapped(ConnectionRefusedError("hunter2")), "no_connection"),
        (requests.ConnectTimeout("hunter2"), "no_connection"),
        (requests.ReadTimeout("hunter2"), "no_answer"),
        (TimeoutError("timed out"), "no_answer"),
        (http.client.RemoteDisconnected("hunter2"), "no_connection"),
        (OSError(113, "No route to host"), "no_connection"),
        (FileNotFoundError(2, "hunter2"), "other FileNotFoundError"),
        (smtplib.SMTPAuthenticationError(535, b"hunter2"), "sign_in"),
        (smtplib.SMTPDataError(451, b"hunter2"), "answered 451"),
        (smtplib.SMTPConnectError(-1, b"hunter2"), "other"),
        (smtplib.SMTPRecipientsRefused({"hunter2@example.org": (550, b"hunter2")}), "answered 550"),
        (smtplib.SMTPServerDisconnected("hunter2"), "no_connection"),
        (io.UnsupportedOperation("hunter2"), "other UnsupportedOperation"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_each_error_has_a_reason_without_its_words(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_in_every_language(language: str) -> None:
    reasons = ["no_connection", "no_answer", "answered 503", "unknown_name", "not_trusted", "sign_in", "other KeyError"]
    said = {failure_words.failure(reason, text(language)) for reason in (*reasons, "other")}
    assert len(said) == 8 and not said & set(reasons)
    assert all(number in " ".join(said) for number in ("503", "KeyError"))


@pytest.mark.parametrize(
    "older", ["ReadTimeout: HTTPConnectionPool(host='desk.example')", "", "answered by desk.example", "other /down"]
)
def test_a_reason_of_an_older_version_is_not_shown(older: str) -> None:
    assert failure_words.failure(older, text("en")) == "it did not take the message"
