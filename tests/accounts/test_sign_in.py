"""Signing in: what the gate lets through over HTTP and WebSocket, the forms, the limits, and a real browser."""

import http.client
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from msgspec.structs import replace
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus

from pages.accounts import passwords
from pages.accounts.sessions import COOKIE, PERSON_S
from pages.accounts.sign_in import MOST_WAITING
from pages.accounts.store import Account, Accounts
from tests.support.dashboard.browsing import Dashboard, browser, dashboard, needs_chromium, open_tab
from tests.support.dashboard.people import session_of
from tests.support.dashboard.streaming import stream
from tests.support.floor_file import FLOOR, MANAGER, publish
from tests.support.processes import WITHIN_S, free_port, wait_for

PASSWORD = "correct-horse-battery"
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}


# the gate, over HTTP


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with a floor and three people: mona and max see everything, cleo one campaign."""
    place = tmp_path_factory.mktemp("served")
    proof = passwords.proof_of(PASSWORD)
    people = {
        "mona": Account("mona", "manager", proof),
        "cleo": Account("cleo", "client", proof, campaigns=("north",)),
        "max": Account("max", "manager", proof),
    }
    Accounts(place / "access").change(lambda all: all.update(people))
    publish(place / "published" / "vigie.duckdb", campaigns=FLOOR, calls=[{"campaign": campaign} for campaign in FLOOR])
    with dashboard(place) as running:
        yield running


def ask(
    running: Dashboard, method: str, path: str, form: dict[str, str] | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """Send one request and return status, headers and body. `_` in a header's name becomes `-`."""
    connection = http.client.HTTPConnection(urlsplit(running.address).netloc, timeout=WITHIN_S)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None
    if form is not None:
        body, given["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.headers.items()}, text


def sign_in(running: Dashboard, name: str = "mona", password: str = PASSWORD, **headers: str) -> str:
    """Sign in and return the cookie."""
    status, answer_headers, body = ask(running, "POST", "/sign-in", {"name": name, "password": password}, **headers)
    assert status == 303, body
    return answer_headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")


@pytest.mark.parametrize(
    "path", ["/healthz", "/metrics", "/_stcore/health", "/_stcore/host-config", "/sign-in", "/tv", "/favicon.png"]
)
def test_these_paths_need_no_session(served: Dashboard, path: str) -> None:
    status, _headers, body = ask(served, "GET", path)
    assert status == 200 and "Customer care" not in body


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/wallboard",
            "/campaign?campaign=north",
            "/no-such-page",
            "/index.html",
            "//",
            "/sign-in/",
            "/healthz/x",
        ),
        *("/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/allowed-message-origins", "/media/x.csv"),
        *("/_stcore/upload_file/a/b", "/_stcore/stream", "/component/x/y", "/_stcore/agent/openapi.json"),
    ],
)
def test_every_other_path_redirects_to_the_sign_in_page(served: Dashboard, path: str) -> None:
    status, headers, _ = ask(served, "GET", path, Accept="text/html")
    assert status == 303 and headers["location"].startswith("/sign-in"), (status, headers)
    assert headers["cache-control"] == "no-store"
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(served, method, path)[0] == 401
    assert ask(served, "GET", path, Cookie=f"{COOKIE}=forged")[0] == 401


def test_nobody_uploads_anything(served: Dashboard) -> None:
    """Streamlit would keep it in memory, 200 MB a file, also of somebody who only looks."""
    cookie = sign_in(served)
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        for path in ("/_stcore/upload_file/session/file", "/campaign"):
            status, headers, _ = ask(served, method, path, Cookie=f"{COOKIE}={cookie}")
            assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert ask(served, "GET", "/campaign", Cookie=f"{COOKIE}={cookie}")[0] == 200


def test_the_session_cookie_is_http_only(served: Dashboard) -> None:
    status, headers, _ = ask(served, "POST", "/sign-in", {"name": " Mona ", "password": PASSWORD, "next": "/calls?x=1"})
    assert (status, headers["location"]) == (303, "/calls?x=1")
    cookie, *flags = headers["set-cookie"].split("; ")
    assert {flag.lower() for flag in flags} == {"httponly", "samesite=lax", "path=/", f"max-age={PERSON_S}"}
    status, headers, _ = ask(served, "GET", "/", Cookie=cookie)
    assert status == 200 and headers["cache-control"] == "private, no-store"
    assert ask(served, "GET", "/sign-in", Cookie=cookie)[1]["location"] == "/"
    secure = ask(served, "POST", "/sign-in", {"name": "mona", "password": PASSWORD}, X_Forwarded_Proto="https")
    assert "secure" in secure[1]["set-cookie"].lower()


@pytest.mark.parametrize(
    "next",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nX: y",
        "/" + "a" * 3000,
        "",
    ],
)
def test_signing_in_redirects_to_no_other_site(served: Dashboard, next: str) -> None:
    status, headers, _ = ask(served, "POST", "/sign-in", {"name": "mona", "password": PASSWORD, "next": next})
    assert (status, headers["location"]) == (303, "/")
    page = ask(served, "GET", f"/sign-in?{urlencode({'next': next})}")[2]
    assert '<input type="hidden" name="next" value="">' in page


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=lambda headers: "-".join(f"{k}-{v}" for k, v in headers.items()),
)
def test_another_page_cannot_sign_anybody_in_or_out(served: Dashboard, headers: dict[str, str]) -> None:
    cookie = sign_in(served)
    status, answered, body = ask(served, "POST", "/sign-in", {"name": "mona", "password": PASSWORD}, **headers)
    assert status == 403 and COOKIE not in answered.get("set-cookie", "") and "another page" in body
    assert ask(served, "POST", "/sign-out", {}, Cookie=f"{COOKIE}={cookie}", **headers)[0] == 403
    assert ask(served, "GET", "/", Cookie=f"{COOKIE}={cookie}")[0] == 200
    own = {"Origin": served.address, "Sec_Fetch_Site": "same-origin"}
    assert ask(served, "POST", "/sign-out", {}, Cookie=f"{COOKIE}={cookie}", **own)[0] == 303
    assert ask(served, "GET", "/", Cookie=f"{COOKIE}={cookie}")[0] == 401


def try_sign_in(running: Dashboard, name: str, password: str, address: str) -> tuple[int, dict[str, str], str]:
    """Try to sign in from this address, as a proxy on this machine would report it."""
    return ask(running, "POST", "/sign-in", {"name": name, "password": password}, X_Forwarded_For=address)


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(served: Dashboard) -> None:
    def wrong(name: str, password: str) -> tuple[int, str]:
        status, _headers, body = try_sign_in(served, name, password, "10.1.0.1")
        return status, body.replace(name, "NAME")

    first = wrong("mona", "not the password")
    assert first[0] == 403 and "The user name or password is wrong." in first[1]
    assert wrong("nobody-of-here", "not the password") == first
    assert wrong("mona", "") == first
    status, _headers, body = try_sign_in(served, "<script>alert(1)</script>", PASSWORD, "10.1.0.1")
    assert status == 403 and "<script>alert" not in body and "&lt;script&gt;alert" in body
    assert try_sign_in(served, "mona", "x" * 10_000, "10.1.0.1")[0] == 403
    sign_in(served, "mona", X_Forwarded_For="10.1.0.1")  # clears the count of wrong attempts


def test_an_account_is_locked_for_a_while_whether_it_exists_or_not(served: Dashboard) -> None:
    for n, name in enumerate(("max", "no-such-name")):
        for attempt in range(5):
            assert try_sign_in(served, name, f"guess number {attempt}", f"10.2.{n}.1")[0] == 403
        status, headers, body = try_sign_in(served, name, PASSWORD, f"10.2.{n}.1")  # the right password of max
        assert status == 429 and 840 <= int(headers["retry-after"]) <= 900
        assert "Too many attempts. Try again in 1" in body
        assert COOKIE not in headers.get("set-cookie", "")


def test_nobody_is_locked_out_by_somebody_elsewhere(served: Dashboard) -> None:
    for attempt in range(6):
        try_sign_in(served, "max", f"guess number {attempt}", "10.4.0.1")
    assert try_sign_in(served, "max", PASSWORD, "10.4.0.1")[0] == 429
    assert try_sign_in(served, "max", PASSWORD, "10.4.0.2")[0] == 303


def test_when_too_many_sign_in_at_once_the_next_is_told_at_once(served: Dashboard) -> None:
    with ThreadPoolExecutor(2 * MOST_WAITING) as people:
        tried = [
            people.submit(try_sign_in, served, "nobody", f"guess {n}", f"10.5.0.{n}") for n in range(2 * MOST_WAITING)
        ]
    statuses = Counter(attempt.result()[0] for attempt in tried)
    assert statuses[403] + statuses[503] == 2 * MOST_WAITING and statuses[403] >= MOST_WAITING and statuses[503]
    _status, headers, body = next(a.result() for a in tried if a.result()[0] == 503)
    assert headers["retry-after"] == "5" and "Try again in a few seconds." in body
    sign_in(served)


def test_an_address_is_locked_for_a_while(served: Dashboard) -> None:
    for attempt in range(50):
        assert try_sign_in(served, f"guess-{attempt}", "guess", f"2001:db8::{attempt}")[0] == 403
    household = "2001:db8::ffff"
    assert try_sign_in(served, "mona", PASSWORD, household)[0] == 429
    assert ask(served, "POST", "/tv", {"token": "guess"}, X_Forwarded_For=household)[0] == 429
    assert try_sign_in(served, "mona", PASSWORD, "2001:db9::1")[0] == 303


def test_the_log_names_accounts_and_no_secrets(served: Dashboard) -> None:
    sign_in(served, "cleo", X_Forwarded_For="10.3.0.1")
    try_sign_in(served, "cleo", "wrong-password", "10.3.0.2")
    try_sign_in(served, "my-password-by-mistake", "x", "10.3.0.3")
    log = served.log_text()
    assert "sign-in of cleo from 10.3.0.1: accepted as client" in log
    assert "sign-in of cleo from 10.3.0.2: wrong name or password" in log
    assert "sign-in of an unknown name from 10.3.0.3: wrong name or password" in log
    for secret in (PASSWORD, "wrong-password", "my-password-by-mistake"):
        assert secret not in log


# the gate, over WebSocket


def is_sent_away(messages: list[ForwardMsg]) -> bool:
    """Whether the last message told the browser to reload, and nothing was drawn."""
    kinds = [message.WhichOneof("type") for message in messages]
    return kinds[-1] == "auth_redirect" and not {"new_session", "delta"} & set(kinds)


@pytest.mark.parametrize("session", [None, "forged"])
def test_the_websocket_runs_nothing_without_a_session(served: Dashboard, session: str | None) -> None:
    forged = {"X-Vigie-Session": sign_in(served), "X-Vigie-Viewer": "x"}  # only the gate may set these headers
    with stream(served.address, session, **forged) as connection:
        connection.until_closed()
        assert is_sent_away(connection.received)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "http://127.0.0.1", "null"])
def test_the_websocket_is_for_the_dashboards_own_pages(served: Dashboard, origin: str) -> None:
    session = sign_in(served)
    with pytest.raises(InvalidStatus, match="403"), stream(served.address, session, Origin=origin):
        pass
    with stream(served.address, session, Origin=served.address) as connection:
        assert connection.open("campaign")


def test_the_websocket_shows_the_campaigns_of_its_session(served: Dashboard) -> None:
    forged = {"X-Vigie-Session": sign_in(served, "mona")}
    with stream(served.address, sign_in(served, "cleo"), **forged) as connection:
        drawn = connection.open("campaign")
        assert b"Customer care" in drawn and "Oréa".encode() not in drawn
    with stream(served.address, sign_in(served, "mona")) as connection:
        assert "Oréa".encode() in connection.open("campaign")


def test_nobody_can_resume_the_page_of_another(served: Dashboard) -> None:
    mona = sign_in(served, "mona")
    with stream(served.address, mona) as first:
        first.open("calls", campaign="sud")
        session_id = first.session_id()
    with stream(served.address, mona, resume=session_id) as again:
        assert "Oréa".encode() in again.open("calls")
        assert again.session_id() == session_id
    with stream(served.address, sign_in(served, "cleo"), resume=session_id) as other:
        assert "Oréa".encode() not in other.open("calls")
        assert other.session_id() != session_id


def test_the_gate_drops_messages_that_no_page_sends(served: Dashboard) -> None:
    """Streamlit's messages for developers, such as the one that clears everybody's caches, are dropped."""
    for_developers = BackMsg(set_run_on_save=True)
    with stream(served.address, sign_in(served)) as connection:
        connection.open("calls")
        connection.socket.send(for_developers.SerializeToString())
        connection.open("calls")
        changes = [
            message.session_status_changed
            for message in connection.received
            if message.HasField("session_status_changed")
        ]
        assert changes and not any(change.run_on_save for change in changes)


def test_an_open_page_is_closed_when_its_session_ends(served: Dashboard) -> None:
    cookie = sign_in(served)
    with stream(served.address, cookie) as connection:
        connection.open("campaign", campaign="sud")
        assert any(b"Waiting" in connection.tick(tick) for tick in connection.fragments())
        assert ask(served, "POST", "/sign-out", {}, Cookie=f"{COOKIE}={cookie}")[0] == 303
        before = len(connection.received)
        connection.until_closed()  # the server closes it without another request
        assert is_sent_away(connection.received[before:])


# in a browser


@needs_chromium
@pytest.mark.parametrize(
    ("locale", "signs_in", "wrong", "signs_out", "options"),
    [
        ("fr-FR", "Se connecter", "L’identifiant ou le mot de passe est incorrect.", "Se déconnecter", {}),
        ("es-ES", "Iniciar sesión", "El usuario o la contraseña no son correctos.", "Cerrar sesión", PHONE),
        ("en-GB", "Sign in", "The user name or password is wrong.", "Sign out", {}),
    ],
    ids=["fr", "es, phone, dark", "en"],
)
def test_a_person_signs_in_and_out(
    served: Dashboard, locale: str, signs_in: str, wrong: str, signs_out: str, options: dict[str, Any]
) -> None:
    with browser() as chromium:
        page = open_tab(chromium, served.address, None, locale=locale, **options)
        page.goto(f"{served.address}/campaign?campaign=north")
        page.get_by_role("heading", name=signs_in).wait_for()
        page.keyboard.type("cleo")  # the first field has the focus; Tab leads to the others
        page.keyboard.press("Tab")
        page.keyboard.type("not her password")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text(wrong).wait_for()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == signs_in
        page.keyboard.press("Enter")
        page.wait_for_url("**/campaign?campaign=north")
        page.locator(".vigie-headline").wait_for()
        assert page.get_by_text("Oréa").count() == 0
        page.get_by_role("button", name="cleo").click()
        other = page.context.new_page()
        other.goto(f"{served.address}/calls")
        other.locator(".vigie-table").wait_for()
        page.get_by_role("button", name=signs_out).click()
        page.get_by_role("heading", name=signs_in).wait_for()
        other.get_by_role("heading", name=signs_in).wait_for()  # the other tab is signed out too
        page.goto(f"{served.address}/campaign?campaign=north")
        page.get_by_role("heading", name=signs_in).wait_for()


@needs_chromium
def test_a_removed_person_is_signed_out_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    publish(tmp_path / "published" / "vigie.duckdb", campaigns=FLOOR)
    session = session_of(MANAGER)
    with dashboard(tmp_path) as running, browser() as chromium:
        page = open_tab(chromium, running.address, session)
        page.goto(running.address)
        page.locator(".vigie-board").wait_for()
        Accounts(tmp_path / "access").change(lambda all: all.clear())
        removed_at = time.monotonic()
        page.get_by_text("Nobody can sign in yet").wait_for()
        assert time.monotonic() - removed_at < 30  # 2 s on an idle machine
        page.goto(f"{running.address}/tv#no-such-token")
        page.get_by_role("alert").get_by_text("This token is not known, or was revoked.").wait_for()
        assert "no-such-token" not in page.url


@needs_chromium
def test_the_language_is_chosen_before_signing_in_and_stays(served: Dashboard) -> None:
    with browser() as chromium:
        page = open_tab(chromium, served.address, None)
        page.goto(f"{served.address}/calls")
        page.get_by_role("link", name="Español").click()
        page.get_by_role("heading", name="Iniciar sesión").wait_for()
        assert page.evaluate("document.documentElement.lang") == "es"
        page.fill("#name", "mona")
        page.fill("#password", PASSWORD)
        page.get_by_role("button", name="Iniciar sesión").click()
        page.wait_for_url("**/calls")
        page.get_by_role("link", name="Llamadas").first.wait_for()


# a television


@needs_chromium
def test_a_television_shows_the_wall_by_its_token_until_it_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    path, port, token = tmp_path / "published" / "vigie.duckdb", free_port(), passwords.new_token()
    screen = Account("hall", "television", passwords.token_proof(token), campaigns=("sud",))
    accounts = Accounts(tmp_path / "access")
    accounts.change(lambda all: all.update(hall=screen, other=replace(screen, name="other", proof="sha256:")))
    publish(path, campaigns=FLOOR)
    with browser() as chromium:
        with dashboard(tmp_path, port=port) as running:
            page = open_tab(chromium, running.address, None)
            page.goto(f"{running.address}/tv?every=20&lang=en&campaign=other#{token}")
            page.locator(".vigie-board").wait_for()
            assert page.url == f"{running.address}/wallboard?tv=1&every=20&lang=en"
            assert page.get_by_text("Mutuelle Oréa").count() == 1 and page.get_by_text("Brightcart").count() == 0
            assert page.get_by_role("button", name="hall").count() == 0  # a wall has no menus
            page.go_back()  # back to the form, which no longer holds the token
            assert token not in page.url + page.content()
            page.goto(f"{running.address}/wallboard?tv=1")
            page.locator(".vigie-board").wait_for()
            assert token not in running.log_text() and "television hall from 127.0.0.1: accepted" in running.log_text()
        publish(path, campaigns=FLOOR, calls=[{"campaign": "sud", "outcome": "open"}] * 7)
        with dashboard(tmp_path, port=port) as running:  # the same screen reconnects on its own
            waiting = page.locator(".vigie-floor .n.first b").first
            wait_for(lambda: waiting.inner_text() == "7", "the new number on the screen")
            for refused in ("calls?campaign=sud", "campaign?campaign=sud", "feed", "agents"):
                page.goto(f"{running.address}/{refused}")
                page.get_by_text("This page is not for you").wait_for()
            page.goto(f"{running.address}/wallboard?tv=1")
            page.locator(".vigie-board").wait_for()
            accounts.change(lambda all: all.pop("hall") and None)
            page.get_by_role("heading", name="Sign in").wait_for()
            page.goto(f"{running.address}/tv#{token}")
            page.get_by_role("alert").get_by_text("This token is not known, or was revoked.").wait_for()
