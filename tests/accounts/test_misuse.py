"""Requests that no page sends end in a sentence, and many of them write little into the log. Headers of responses."""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from pages.accounts import headers
from pages.accounts.sessions import COOKIE
from pages.assets import sha256
from tests.support.dashboard.browsing import Dashboard, dashboard
from tests.support.dashboard.people import session_of
from tests.support.dashboard.served import CLIENT, floor
from tests.support.dashboard.streaming import Stream, stream
from tests.support.floor_file import MANAGER
from tests.support.processes import WITHIN_S

pytestmark = pytest.mark.slow

MANY = 300
MOST_LOGGED = 1_000_000
"""What MANY misuses of a kind may write into the log [bytes]."""


class Served(NamedTuple):
    running: Dashboard
    session: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    floor(place / "published" / "vigie.duckdb")
    with pytest.MonkeyPatch.context() as patch, dashboard(place) as running:
        patch.setenv("VIGIE_DATA_DIR", str(place))
        yield Served(running, session_of(MANAGER))


def widgets(connection: Stream) -> list[Message]:
    """Return the widgets that the last request drew."""
    drawn = connection.received[-connection.last :]
    elements = [message.delta.new_element for message in drawn if message.HasField("delta")]
    kinds = [getattr(element, element.WhichOneof("type")) for element in elements if element.WhichOneof("type")]
    return [kind for kind in kinds if isinstance(kind, Message) and getattr(kind, "id", "")]


def shown(connection: Stream) -> str:
    """Return the last request's texts."""
    drawn = connection.received[-connection.last :]
    elements = [message.delta.new_element for message in drawn if message.HasField("delta")]
    assert not any(element.HasField("exception") for element in elements)
    return " ".join(element.markdown.body for element in elements if element.HasField("markdown"))


# values that a widget does not offer

FORGED: dict[str, Callable[[WidgetState], object]] = {
    "a text": lambda state: setattr(state, "string_value", "nonsense"),
    "a number": lambda state: setattr(state, "double_value", float("inf")),
    "a day without end": lambda state: state.string_array_value.data.append("infinity"),
    "numbers": lambda state: state.int_array_value.data.extend((2**40, -1)),
    "no JSON": lambda state: setattr(state, "json_value", "{"),
    "a long text": lambda state: setattr(state, "string_value", "x" * 100_000),
}


def test_forged_values_of_widgets_end_in_a_sentence(served: Served) -> None:
    """Every widget of three pages, with values of other kinds than its own. Each leaves a line, not a traceback."""
    before = len(served.running.log_text())
    tried, failed = 0, 0
    for page in ("campaign", "calls", "agents"):
        with stream(served.running.address, served.session) as connection:
            connection.open(page, campaign="north")
            ids = [str(widget.id) for widget in widgets(connection)]  # type: ignore[attr-defined]
        assert ids
        for forge in FORGED.values():
            for fresh in range(0, len(ids), 8):  # a value that fails stays, so one connection tries only a few
                with stream(served.running.address, served.session) as connection:
                    for widget in ids[fresh : fresh + 8]:
                        request = BackMsg()
                        request.rerun_script.page_name = page
                        request.rerun_script.query_string = "campaign=north"
                        forge(request.rerun_script.widget_states.widgets.add(id=widget))
                        connection.ask(request)
                        tried += 1
                        failed += "This page could not be shown" in shown(connection)
    log = served.running.log_text()[before:]
    assert failed and tried > 100
    assert log.count("Traceback") <= 20 and len(log) / tried < MOST_LOGGED / MANY


# forms that stop in the middle


@pytest.mark.parametrize("path", ["/sign-in", "/tv"])
def test_forms_that_stop_in_the_middle_are_not_attempts(served: Served, path: str) -> None:
    before = len(served.running.log_text())
    where = urlsplit(served.running.address)
    head = f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 500\r\n"
    for _ in range(MANY):
        with socket.create_connection((where.hostname, where.port), WITHIN_S) as connection:
            connection.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nname=mona".encode())
    status, _headers, body = ask(served, "POST", path, b"name=nobody&password=wrong&token=wrong")
    assert status == 403, body  # and not 429: none of them counted
    log = served.running.log_text()[before:]
    assert "Traceback" not in log and len(log) < MOST_LOGGED / 10


# files that are made on demand


def asked_for(file_id: str, connection: Stream) -> BackMsg:
    request = BackMsg()
    request.backend_operation_request.request_id = "one"
    request.backend_operation_request.session_id = connection.session_id()
    request.backend_operation_request.deferred_file.file_id = file_id
    return request


def offered(connection: Stream) -> str:
    """Open the list of calls, and return the id of its file."""
    connection.open("calls", campaign="north")
    (button,) = [widget for widget in widgets(connection) if widget.DESCRIPTOR.name == "DownloadButton"]
    return str(button.deferred_file_id)  # type: ignore[attr-defined]


def test_a_file_is_made_only_for_a_viewer_who_was_offered_it(served: Served) -> None:
    with stream(served.running.address, served.session) as mine:
        file_id = offered(mine)
        with stream(served.running.address, session_of(CLIENT)) as other:
            other.open("calls", campaign="north")
            refused = other.answer(asked_for(file_id, other))
            assert (refused.request_id, refused.error_msg) == ("one", "There is no such file.")
            assert not refused.HasField("deferred_file")
        assert mine.answer(asked_for(file_id, mine)).deferred_file.url.startswith("/media/")


def test_no_other_operation_of_the_server_is_asked_for(served: Served) -> None:
    """Streamlit installs files into the project when a browser asks for that."""
    with stream(served.running.address, served.session) as connection:
        connection.open("calls", campaign="north")
        request = BackMsg()
        request.backend_operation_request.request_id = "one"
        others = [
            field.name
            for field in request.backend_operation_request.DESCRIPTOR.oneofs_by_name["payload"].fields
            if field.name != "deferred_file"
        ]
        assert others
        for name in others:
            getattr(request.backend_operation_request, name).SetInParent()
            connection.socket.send(request.SerializeToString())
        connection.open("calls", campaign="north")
        assert not any(message.HasField("backend_operation_response") for message in connection.received)


# headers


def ask(served: Served, method: str, path: str, body: bytes = b"", **given: str) -> tuple[int, dict[str, str], str]:
    """Send one request, and return status, headers (named in small letters) and body."""
    connection = http.client.HTTPConnection(urlsplit(served.running.address).netloc, timeout=WITHIN_S)
    sent = {name.replace("_", "-"): text for name, text in given.items()}
    if body:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body or None, sent)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.headers.items()}, text


def test_every_response_has_the_headers_of_the_sign_in_form(served: Served) -> None:
    signed_in = {"Cookie": f"{COOKIE}={served.session}"}
    with stream(served.running.address, served.session) as connection:
        file = connection.answer(asked_for(offered(connection), connection)).deferred_file.url
        for path, given in [
            *(("/campaign?campaign=north", {"Accept": "text/html"} | signed_in), ("/sign-in", {}), ("/tv", {})),
            *((file, signed_in), ("/healthz", {}), ("/metrics", {}), ("/_stcore/health", {}), ("/no-such", {})),
            ("/campaign", {"Accept": "text/html"}),
        ]:
            status, got, _text = ask(served, "GET", path, **given)
            assert status in (200, 303, 401)
            policy = got["content-security-policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
            for name in ("Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options"):
                assert got[name.lower()] == headers.HEADERS[name], path
            assert "strict-transport-security" not in got


def test_over_tls_the_browser_does_not_come_back_without_it(served: Served) -> None:
    """A proxy on this machine says that the browser uses TLS."""
    _status, got, _text = ask(served, "GET", "/sign-in", X_Forwarded_Proto="https")
    assert got["strict-transport-security"] == headers.HSTS


@pytest.mark.parametrize("path", ["/sign-in", "/tv", "/campaign"])
@pytest.mark.parametrize("is_signed_in", [False, True])
def test_a_policy_allows_every_script_that_is_sent_with_it(served: Served, path: str, is_signed_in: bool) -> None:
    given = {"Cookie": f"{COOKIE}={served.session}"} if is_signed_in else {}
    _status, got, text = ask(served, "GET", path, Accept="text/html", **given)
    for source in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
        assert sha256(source) in got["content-security-policy"]


def test_a_page_allows_no_script_but_ours(served: Served) -> None:
    given = {"Cookie": f"{COOKIE}={served.session}", "Accept": "text/html"}
    _status, got, _text = ask(served, "GET", "/campaign", **given)
    scripts = next(part for part in got["content-security-policy"].split("; ") if part.startswith("script-src"))
    assert scripts.startswith("script-src 'self' 'sha256-")
    assert not any(word in scripts for word in ("unsafe", "http", "data:", "blob:", "*"))
