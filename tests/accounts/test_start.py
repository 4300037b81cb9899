"""How the dashboard starts, as a real process. It listens to other machines only when sign-in is configured."""

import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from metrics.audit.trail import Trail
from pages.accounts import start
from pages.accounts.sessions import SECRET_VARIABLE
from pages.accounts.store import Account, Accounts
from tests.support.dashboard.browsing import dashboard, refused
from tests.support.dashboard.people import session_of
from tests.support.dashboard.streaming import stream
from tests.support.floor_file import FLOOR, MANAGER, publish
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

REFUSED = "and nothing says who may sign in; add an account with `python -m pages.accounts add NAME --role manager`"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def add_account(place: Path) -> None:
    Accounts(place / "access").change(lambda all: all.update(m=Account("m", "manager", "no password fits")))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", ""])
def test_an_open_address_without_accounts_refuses_to_start(place: Path, address: str) -> None:
    error = refused(place, "--server.address", address)
    assert f"listen on {address or 'every address of this machine'} {REFUSED}" in error


def test_the_address_is_found_in_every_setting(place: Path, tmp_path: Path) -> None:
    assert "listen on 0.0.0.0" in refused(place, STREAMLIT_SERVER_ADDRESS="0.0.0.0")
    root = tmp_path / "root"  # the dashboard with another .streamlit/config.toml
    root.mkdir()
    for name in ("dashboard.py", "pages", "metrics", "notify", "campaigns.toml"):
        (root / name).symlink_to(ROOT / name)
    nothing_else = {"HOME": str(tmp_path), "STREAMLIT_SERVER_HEADLESS": "true"}
    assert "listen on every address of this machine" in refused(place, root=root, **nothing_else)
    (root / ".streamlit").mkdir()
    (root / ".streamlit" / "config.toml").write_text('[server]\naddress = "0.0.0.0"\n')
    assert "listen on 0.0.0.0" in refused(place, root=root, **nothing_else)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("127.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        (None, False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("no-such-host.invalid", False),
    ],
)
def test_loopback_addresses(address: str | None, loopback: bool) -> None:
    assert start.is_loopback(address) is loopback


def test_with_an_account_it_starts_and_serves_nothing_without_signing_in(place: Path) -> None:
    add_account(place)
    with dashboard(place, "--server.address", "0.0.0.0") as running:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(f"{running.address}/calls")
        assert refusal.value.code == 401
        refusal.value.close()


def test_on_this_machine_it_starts_without_accounts_and_says_what_to_do(place: Path) -> None:
    with dashboard(place) as running, urllib.request.urlopen(f"{running.address}/sign-in") as page:
        html = page.read().decode()
        assert "Nobody can sign in yet" in html and "python -m pages.accounts add NAME --role manager" in html
        assert "<form" not in html


def test_an_unsafe_secret_or_accounts_file_refuses_to_start(place: Path) -> None:
    assert "at least 32" in refused(place, **{SECRET_VARIABLE: "short"})
    add_account(place)
    (place / "access" / "accounts.json").chmod(0o644)
    assert "run `chmod 600" in refused(place)
    (place / "access" / "accounts.json").chmod(0o600)
    (place / "access" / "accounts.json").write_text("{}")
    assert "is not a valid accounts file" in refused(place)


def test_pages_without_the_gate_still_need_a_session(place: Path) -> None:
    """`streamlit run pages/app.py` runs without the gate, so the pages check the session themselves."""
    publish(place / "published" / "vigie.duckdb", campaigns=FLOOR)
    with dashboard(place, script="pages/app.py") as running:
        for page in ("", "campaign", "calls", "feed"):
            with stream(running.address, None) as connection:
                drawn = connection.open(page, campaign="sud")
                assert b"You are signed out" in drawn and "Oréa".encode() not in drawn
        with stream(running.address, None, **{"X-Vigie-Session": session_of(MANAGER)}) as connection:
            assert "Oréa".encode() in connection.open("campaign", campaign="sud")  # proves that the test can fail


def test_a_dashboard_under_a_proxys_path(place: Path) -> None:
    publish(place / "published" / "vigie.duckdb", campaigns=FLOOR)
    session = session_of(MANAGER)
    with dashboard(place, "--server.baseUrlPath", "vigie") as running:
        request = urllib.request.Request(f"{running.address}/vigie/calls?x=1", headers={"Accept": "text/html"})
        with urllib.request.urlopen(request) as page:
            assert page.url == f"{running.address}/vigie/sign-in?next=%2Fvigie%2Fcalls%3Fx%3D1"
            assert 'action="/vigie/sign-in"' in page.read().decode()
        with stream(f"{running.address}/vigie", session) as connection:
            assert "Oréa".encode() in connection.open("campaign", campaign="sud")
        with stream(f"{running.address}/vigie", None) as connection:
            connection.until_closed()
            assert [message.WhichOneof("type") for message in connection.received] == ["auth_redirect"]


# the address of a visitor


@pytest.mark.parametrize("proxies", ["*", "127.0.0.1, *", "0.0.0.0/0", "::/0"])
def test_a_dashboard_that_believes_everybody_refuses_to_start(place: Path, proxies: str) -> None:
    add_account(place)
    assert "name the addresses of your proxies" in refused(place, FORWARDED_ALLOW_IPS=proxies)


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        pytest.param("127.0.0.1", "198.51.100.7", id="a proxy that is named"),
        pytest.param("127.0.0.0/8", "198.51.100.7", id="a network of proxies"),
        pytest.param("192.0.2.1", "127.0.0.1", id="anybody else"),
    ],
)
def test_only_named_proxies_say_where_a_visitor_is(place: Path, proxies: str, seen: str) -> None:
    """The visitor also claims an address in the header; the proxy has appended the real one."""
    add_account(place)
    with dashboard(place, FORWARDED_ALLOW_IPS=proxies) as running:
        form = urllib.parse.urlencode({"name": "nobody", "password": "wrong"}).encode()
        headers = {"X-Forwarded-For": "10.9.9.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(urllib.request.Request(f"{running.address}/sign-in", form, headers))
        assert refusal.value.code == 403
        assert ("Strict-Transport-Security" in refusal.value.headers) == (seen != "127.0.0.1")
        refusal.value.close()
    (entry,) = Trail(place / "access").entries(kind="refusal")
    assert (entry.who, entry.address, entry.what) == ("an unknown name", seen, "wrong name or password")
