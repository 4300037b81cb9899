"""Signing in by OpenID Connect, with a real provider and a real browser, and the viewer that its claims give."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, Page

from pages.accounts.access import Access
from pages.accounts.sessions import COOKIE, ProviderClaims, Session, Sessions
from tests.support.dashboard.browsing import Dashboard, browser, dashboard, needs_chromium, open_tab, refused
from tests.support.floor_file import FLOOR, publish
from tests.support.processes import free_port
from tests.support.servers.identity_provider import CLIENT_ID, CLIENT_SECRET, Provider, identity_provider

pytestmark = pytest.mark.slow

CAMPAIGNS = """
[clients]
brightcart = { name = "Brightcart" }
orea = { name = "Mutuelle Oréa" }
[campaigns.north]
client = "brightcart"
[campaigns.sud]
client = "orea"
"""
PEOPLE = """
[[people]]
email = "Cleo@orea.example"
role = "client"
clients = ["orea"]

[[people]]
subject = "mona-1"
role = "manager"
"""
CLAIMED = """
[sign_in]
role_claim = "roles"
clients_claim = "https://vigie.example/clients"
"""
SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "{client_id}"
client_secret = "{client_secret}"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""
KNOWN = {
    "cleo-1": {"name": "Cleo", "email": "cleo@OREA.example", "email_verified": True},
    "cleo-2": {"name": "Not Cleo", "email": "cleo@orea.example", "email_verified": False},
    "cleo-3": {"name": "Not Cleo", "email": "cleo@orea.example"},
    "mona-1": {"name": "Mona"},
    "claire": {"name": "Claire", "roles": ["offline", "client"], "https://vigie.example/clients": "orea"},
    "max": {"name": "Max <b>", "roles": "manager", "https://vigie.example/clients": ["*"]},
    "nina": {"name": "Nina", "roles": ["staff"]},
}


@contextmanager
def served(place: Path, people: dict[str, dict[str, Any]] = KNOWN) -> Iterator[tuple[Dashboard, Provider]]:
    """Serve a dashboard that signs people in through a provider, with three campaigns of three clients."""
    place.mkdir(exist_ok=True)
    publish(place / "published" / "vigie.duckdb", campaigns=FLOOR, calls=[{"campaign": campaign} for campaign in FLOOR])
    (place / "campaigns.toml").write_text(CAMPAIGNS + PEOPLE + CLAIMED)
    port = free_port()
    with identity_provider(f"http://127.0.0.1:{port}/oauth2callback", people) as provider:
        given = {"port": port, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "issuer": provider.issuer}
        (place / "secrets.toml").write_text(SECRETS.format(**given))
        options = ("--secrets.files", str(place / "secrets.toml"))
        with dashboard(place, *options, port=port, VIGIE_CAMPAIGNS=str(place / "campaigns.toml")) as running:
            yield running, provider


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("provider")


@pytest.fixture(scope="module")
def everything(place: Path) -> Iterator[tuple[Dashboard, Provider, Browser]]:
    with served(place) as (running, provider), browser() as chromium:
        yield running, provider, chromium


def sign_in(chromium: Browser, running: Dashboard, subject: str, path: str = "/") -> Page:
    """Open a page of the dashboard and sign in there as a user of the provider."""
    page = open_tab(chromium, running.address, None)
    page.goto(running.address + path)
    page.get_by_role("link", name="Sign in with your organisation’s account").click()
    page.get_by_role("link", name=subject, exact=True).click()
    page.wait_for_url(f"{running.address}/**")
    return page


@needs_chromium
@pytest.mark.parametrize(
    ("subject", "name", "sees"),
    [
        pytest.param("cleo-1", "Cleo", {"Mutuelle Oréa"}, id="by a verified address in campaigns.toml"),
        pytest.param("mona-1", "Mona", {"Almena", "Brightcart", "Mutuelle Oréa"}, id="by subject in campaigns.toml"),
        pytest.param("claire", "Claire", {"Mutuelle Oréa"}, id="by claims"),
        pytest.param("max", "Max <b>", {"Almena", "Brightcart", "Mutuelle Oréa"}, id="by claims, of everybody"),
    ],
)
def test_a_mapped_person_sees_their_campaigns(
    everything: tuple[Dashboard, Provider, Browser], subject: str, name: str, sees: set[str]
) -> None:
    running, _provider, chromium = everything
    page = sign_in(chromium, running, subject, "/calls?campaign=sud")
    page.wait_for_url("**/calls?campaign=sud")  # the requested page
    page.locator(".vigie-table").wait_for()
    page.get_by_role("button", name=name).wait_for()
    page.get_by_role("combobox", name="Campaign").click()
    options = page.get_by_role("option").all_inner_texts()
    assert {option.partition(" · ")[2] for option in options} == sees
    assert f"sign-in of {name} through the provider from 127.0.0.1: accepted as" in running.log_text()


@needs_chromium
@pytest.mark.parametrize("subject", ["cleo-2", "cleo-3", "nina"])
def test_an_unmapped_person_sees_only_an_explanation(
    everything: tuple[Dashboard, Provider, Browser], subject: str
) -> None:
    running, _provider, chromium = everything
    page = sign_in(chromium, running, subject)
    name = KNOWN[subject]["name"]
    page.get_by_text(f"You are signed in as {name}, but nothing is assigned to you.").wait_for()
    for path in ("/calls?campaign=sud", "/wallboard", "/nothing"):
        page.goto(running.address + path)
        page.get_by_text(f"You are signed in as {name}, but nothing is assigned to you.").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in with your organisation’s account").wait_for()


@needs_chromium
def test_signing_out_ends_the_session_here_and_at_the_provider(everything: tuple[Dashboard, Provider, Browser]) -> None:
    running, provider, chromium = everything
    page = sign_in(chromium, running, "cleo-1", "/campaign?campaign=sud")
    page.locator(".vigie-headline").wait_for()
    cookies = page.context.cookies()
    provider.signed_out.clear()
    page.get_by_role("button", name="Cleo").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert [request["client_id"] for request in provider.signed_out] == [CLIENT_ID]
    assert not {cookie["name"] for cookie in page.context.cookies()} & {COOKIE, "_streamlit_user"}
    thief = chromium.new_context()
    thief.add_cookies(cookies)  # neither our session cookie nor Streamlit's is valid now
    stolen = thief.new_page()
    stolen.goto(f"{running.address}/calls")
    stolen.get_by_role("heading", name="Sign in").wait_for()


@needs_chromium
def test_a_person_removed_from_the_configuration_loses_access_within_seconds(
    tmp_path: Path, everything: tuple[Dashboard, Provider, Browser]
) -> None:
    chromium = everything[2]
    with served(tmp_path / "place") as (running, _provider):
        page = sign_in(chromium, running, "mona-1", "/campaign?campaign=north")
        page.locator(".vigie-headline").wait_for()
        path = tmp_path / "place" / "campaigns.toml"
        path.write_text(
            CAMPAIGNS + PEOPLE.replace('role = "manager"', 'role = "analyst"\nclients = ["orea"]') + CLAIMED
        )
        page.get_by_text("There is no such campaign here").wait_for()  # reloaded, with less access
        path.write_text(CAMPAIGNS + CLAIMED)
        page.get_by_text("You are signed in as Mona, but nothing is assigned to you.").wait_for()


@needs_chromium
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"signs_with": RSAKey.generate_key(2048, {"kid": "one"})}, id="another's signature"),
        pytest.param({"claims": {"aud": "somebody-else"}}, id="a token for somebody else"),
        pytest.param({"claims": {"iss": "https://evil.example"}}, id="another issuer"),
        pytest.param({"claims": {"nonce": "of another sign-in"}}, id="another sign-in's token"),
        pytest.param({"claims": {"exp": 1_700_000_000}}, id="a token that is over"),
        pytest.param({"claims": {"iat": int(time.time()) - 3600}}, id="a token of an hour ago"),
    ],
)
def test_an_invalid_token_lets_nobody_in(
    everything: tuple[Dashboard, Provider, Browser], monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    running, provider, chromium = everything
    for name, value in wrong.items():
        monkeypatch.setattr(provider, name, value)
    page = sign_in(chromium, running, "mona-1", "/calls")
    page.get_by_role("heading", name="Sign in").wait_for()
    assert COOKIE not in {cookie["name"] for cookie in page.context.cookies()}


def test_a_forged_streamlit_cookie_lets_nobody_in(everything: tuple[Dashboard, Provider, Browser]) -> None:
    running, _provider, _chromium = everything
    forged = json.dumps({"sub": "mona-1", "iat": time.time(), "origin": running.address, "provider": "default"})
    for cookie in (f"_streamlit_user={forged}", "_streamlit_user=x", "_streamlit_user=chunks-9"):
        request = urllib.request.Request(f"{running.address}/sign-in", headers={"Cookie": cookie})
        with urllib.request.urlopen(request) as answer:
            assert "Sign in with your organisation" in answer.read().decode() and COOKIE not in str(answer.headers)


# the viewer that the claims give


OF_PROVIDER = '[sign_in]\nrole_claim = "r"\n'
CLAIMS = {
    "by subject": (ProviderClaims("mona-1"), "", ("manager", None)),
    "by address": (ProviderClaims("any", "cleo@orea.example"), "", ("client", {"sud"})),
    "a name in the file before claims": (
        ProviderClaims("mona-1", roles=("client",), clients=("orea",)),
        CLAIMED,
        ("manager", None),
    ),
    "nobody": (ProviderClaims("nobody"), CLAIMED, None),
    "no address is nobody's address": (ProviderClaims("any", ""), "", None),
    "claims that the configuration does not use": (ProviderClaims("any", roles=("manager",)), "", None),
    "no claim for limits is configured": (ProviderClaims("any", roles=("manager",)), OF_PROVIDER, ("manager", None)),
    "a client without a limit": (ProviderClaims("any", roles=("client",)), OF_PROVIDER, ("client", set())),
    "a claim that limits": (
        ProviderClaims("any", roles=("manager",), clients=("orea",)),
        CLAIMED,
        ("manager", {"sud"}),
    ),
    "a configured claim that is missing": (ProviderClaims("any", roles=("manager",)), CLAIMED, ("manager", set())),
    "a claim for every client": (ProviderClaims("any", roles=("analyst",), clients=("*",)), CLAIMED, ("analyst", None)),
    "a client may not claim every client": (
        ProviderClaims("any", roles=("client",), clients=("*",)),
        CLAIMED,
        ("client", set()),
    ),
    "two roles are none": (ProviderClaims("any", roles=("manager", "client"), clients=("orea",)), CLAIMED, None),
}


@pytest.mark.parametrize(("claims", "claimed", "seen"), CLAIMS.values(), ids=CLAIMS)
def test_what_a_person_sees_by_their_claims(tmp_path: Path, claims: ProviderClaims, claimed: str, seen: object) -> None:
    (tmp_path / "campaigns.toml").write_text(CAMPAIGNS + PEOPLE + claimed)
    viewer = Access(tmp_path, tmp_path / "campaigns.toml").viewer_in(Session("id", "x", 0, claims=claims))
    assert (viewer and (viewer.role, viewer.campaigns)) == seen


def test_sites_limit_whose_agents_are_named(tmp_path: Path) -> None:
    (tmp_path / "campaigns.toml").write_text('[sign_in]\nrole_claim = "r"\nsites_claim = "s"\n')
    access = Access(tmp_path, tmp_path / "campaigns.toml")
    for sites, named in ((("Rabat",), {"Rabat"}), ((), set()), (("*",), None)):
        viewer = access.viewer_in(Session("id", "x", 0, claims=ProviderClaims("any", roles=("manager",), sites=sites)))
        assert viewer is not None and viewer.sites == named


def test_the_cookie_holds_the_claims(tmp_path: Path) -> None:
    claims = ProviderClaims("mona-1", "m@orea.example", ("manager",), ("orea", "*"), ("sud",), ("Rabat", "Tanger"))
    session = Session("id", "Mona", 2_000_000_000, claims=claims)
    sessions = Sessions(tmp_path)
    assert sessions.read(sessions.cookie(session), 1_900_000_000) == session


# starting


@pytest.mark.parametrize(
    ("auth", "people", "message"),
    [
        pytest.param(SECRETS, "", "does not say who may see what; add [[people]] or [sign_in]", id="nobody is named"),
        pytest.param(SECRETS.replace("client_id", "x"), PEOPLE, "missing the following keys: ['client_id']", id="half"),
        pytest.param(re.sub('"0123.*"', '"short"', SECRETS), PEOPLE, "has 5 characters; give it at", id="short"),
        pytest.param(SECRETS.replace("/oauth2callback", "/"), PEOPLE, "it ends with /oauth2callback", id="address"),
    ],
)
def test_an_invalid_provider_refuses_to_start(tmp_path: Path, auth: str, people: str, message: str) -> None:
    (tmp_path / "campaigns.toml").write_text(CAMPAIGNS + people)
    given = {"port": 1, "client_id": "x", "client_secret": "y", "issuer": "http://127.0.0.1:1"}
    (tmp_path / "secrets.toml").write_text(auth.replace("{x}", "{client_id}").format(**given))
    variables = {"VIGIE_CAMPAIGNS": str(tmp_path / "campaigns.toml")}
    assert message in refused(tmp_path / "data", "--secrets.files", str(tmp_path / "secrets.toml"), **variables)
