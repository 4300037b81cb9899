"""The page of the audit trail, and what pages write into it."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from metrics import clock
from metrics.audit.trail import DAY_S, AuditError, Entry
from metrics.authorisation.viewer import Viewer
from pages.accounts import visitor
from pages.accounts.access import access
from tests.support.dashboard.drawing import open_page, section, words
from tests.support.floor_file import FLOOR, MANAGER, publish

LETTER = {"reason": "no such type", "payload": '{"type": "call.lost"}'}
SHOW = "Show its content"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    path = tmp_path / "published" / "vigie.duckdb"
    publish(path, campaigns=FLOOR, calls=[{"campaign": "north"}] * 3, letters=[LETTER] * 2, as_of=clock.now())
    return path


def append(kind: Any, what: str, *, who: str = "anna", days_ago: float = 0) -> None:
    access().audit.append(kind, who=who, address="192.0.2.1", what=what, at=clock.now_s() - days_ago * DAY_S)


def noted(kind: str) -> list[Entry]:
    return access().audit.entries(kind=kind)


def table(test: AppTest) -> str:
    return words("".join(html.proto.body for html in test.get("html") if "<table" in html.proto.body))


def test_managers_of_everything_read_who_did_what(path: Path) -> None:
    append("query", "FROM <b>calls</b>", days_ago=3)
    append("sign-in", "manager", who="bo")
    access().audit.count_refusal(who="an unknown name", address="*", what="too many attempts", at=clock.now_s())
    access().audit.count_refusal(who="an unknown name", address="*", what="too many attempts", at=clock.now_s())
    today = table(open_page("audit.py"))
    assert "bo signed in 192.0.2.1 Manager" in today and "FROM" not in today
    assert "an unknown name refused × 2 others too many attempts" in today
    french = table(open_page("audit.py", lang="fr", period="all"))
    assert "anna a lancé du SQL 192.0.2.1 FROM <b>calls</b>" in french and "un nom inconnu refusé × 2 autres" in french
    assert "bo" not in table(open_page("audit.py", period="7", kind="query"))
    assert "anna" not in table(open_page("audit.py", period="7", person="bo"))


def test_what_people_wrote_and_their_names_are_not_translated(path: Path) -> None:
    append("account", "manager · added · manager · everything", who="client")
    append("query", "SELECT 'caller · removed'", who="manager")
    append("erasure", "caller · 4fc0", who="root")
    append("erasure", "retention · names of agents · orea · 2026-03-10 – 2026-03-12 · 6", who="vigie")
    french = table(open_page("audit.py", lang="fr"))
    assert "client a modifié un compte 192.0.2.1 manager · ajout · Responsable · tout" in french
    assert "manager a lancé du SQL 192.0.2.1 SELECT 'caller · removed'" in french
    assert "192.0.2.1 appelant · 4fc0" in french
    assert "conservation · noms d’agents · orea · 2026-03-10 – 2026-03-12 · 6" in french


@pytest.mark.parametrize(
    "viewer",
    [
        Viewer("manager", frozenset({"north"})),
        Viewer("manager", None, sites=frozenset({"Rabat"})),
        Viewer("analyst", None),
    ],
    ids=["of a campaign", "of a site", "analyst"],
)
def test_nobody_else_does(path: Path, viewer: Viewer) -> None:
    with pytest.raises(ValueError, match=r"audit\.py"):  # they have no such page
        open_page("audit.py", viewer)


def test_the_page_checks_the_trail(path: Path) -> None:
    append("query", "FROM calls")
    test = open_page("audit.py")
    next(button for button in test.button if button.label == "Check the trail").click().run()
    (whole,) = test.success
    chain = access().audit.verify()
    assert f"{chain.newest}:{chain.hash}" in whole.value and "complete and unchanged" in whole.value


def test_the_content_of_a_rejected_record_is_shown_on_purpose(path: Path) -> None:
    test = open_page("feed.py", letter="call-events/0/1/1")
    assert "no such type" in section(test, "letters") and not test.code and not noted("payload")
    next(button for button in test.button if button.label == SHOW).click().run()
    assert [element.value for element in test.code] == [LETTER["payload"]]
    (entry,) = noted("payload")
    assert entry.what == "call-events/0/1/1" and entry.who.startswith("manager")
    test.selectbox(key="letter_choice").select("call-events/0/0/1").run()
    assert not test.code  # each record is shown on purpose
    test.selectbox(key="letter_choice").select("call-events/0/1/1").run()
    assert not test.code and len(noted("payload")) == 1


def test_sql_is_noted_before_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = open_page("analyst.py")
    test.text_area(key="sql").set_value("SELECT 1 AS n -- +33 6 12 34 56 78")
    next(button for button in test.button if button.label == "Run").click().run()
    (entry,) = noted("query")
    assert entry.what == "SELECT 1 AS n -- •••"


def test_a_download_is_noted_whenever_it_is_made(path: Path) -> None:
    content = visitor.exported(MANAGER, "north-2026-11.pdf", lambda: b"%PDF")
    assert not noted("export")
    assert content() == content() == b"%PDF"
    assert [entry.what for entry in noted("export")] == ["north-2026-11.pdf"] * 2


def test_what_cannot_be_noted_is_not_given(path: Path) -> None:
    access().audit.path.unlink(missing_ok=True)
    access().audit.path.mkdir()
    made: list[bool] = []
    with pytest.raises(AuditError):
        visitor.exported(MANAGER, "x.csv", lambda: made.append(True) or b"")()
    assert not made


def test_a_new_configuration_is_noted_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = path.parent / "campaigns.toml"
    monkeypatch.setenv("VIGIE_CAMPAIGNS", str(file))
    for campaign in ("north", "north", "sud"):
        file.write_text(f'[clients]\na = {{ name = "A" }}\n[campaigns.{campaign}]\nclient = "a"\n')
        access().configuration()
    assert len(noted("configuration")) == 2
    assert words("".join(entry.what for entry in noted("configuration"))).startswith("campaigns.toml · sha256 ")
