"""Persons are erased from everything that is kept, and stay so; every figure stays what it was."""

import argparse
import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest import forget
from ingest.errors import UsageError
from ingest.events import keys
from ingest.events.persons import Persons, known_by
from ingest.events.sorting import Sorter
from ingest.rebuild import bring_up_to_date, rebuild
from ingest.store.erasing import Erasure
from metrics import clock
from metrics.audit.trail import Trail
from metrics.quoting import quoted
from tests.support.oracle import KEY
from tests.support.stories.stream import DEFAULTS, PARTITION, Batch, Desk, Event, at, messages, read_story

pytestmark = pytest.mark.slow

MARIE, OTHER = "+33612345678", "+33698765432"
#: Two days of which the first settles; ana and bob answer, miss, hand on and dial.
STORY = """
    08:00:00 profile agent=ana name=Ana_Núñez team=blue site=casa hourly_cost=20 event_id=p1
    08:00:00 profile agent=bob name=Bob team=blue site=casa event_id=p2
    08:00:00 state agent=ana state=available campaign=sav event_id=s1
    08:00:00 state agent=bob state=available campaign=sav event_id=s2
    09:00:00 queued caller=+33612345678 event_id=c1-1
    09:00:05 rang agent=bob event_id=c1-2
    09:00:15 missed agent=bob event_id=c1-3
    09:00:20 answered agent=ana event_id=c1-4
    09:00:20 state agent=ana state=busy event_id=s3
    09:05:00 transferred to_agent=bob event_id=c1-5
    09:05:00 state agent=ana state=available event_id=s4
    10:00:00 queued call_id=c2 caller=+33698765432 event_id=c2-1
    10:00:09 missed call_id=c2 agent=ana event_id=c2-2
    10:00:10 answered call_id=c2 agent=bob event_id=c2-3
    10:00:10 state agent=bob state=busy event_id=s5
    11:00:00 dialed call_id=c3 callee=0033612345678 agent=ana event_id=c3-1
    11:00:05 connected call_id=c3 answered_by=human event_id=c3-2
    11:00:06 answered call_id=c3 event_id=c3-3
    11:30:00 state agent=ana state=offline event_id=s6
    12:00:00 state agent=bob state=offline event_id=s7
    33:00:00 state agent=ana state=available campaign=sav event_id=s8
    33:00:01 queued call_id=c4 caller=+33612345678 event_id=c4-1
    33:00:09 answered call_id=c4 agent=ana event_id=c4-2
    33:00:59 ended call_id=c4 event_id=c4-3
"""
NOW = at("33:01:00")
FIGURES = (
    "SELECT * EXCLUDE (caller, callee, caller_key, callee_key, agent, missed_by, offers) FROM calls ORDER BY call_id",
    "SELECT * EXCLUDE (agent) FROM agent_states ORDER BY ALL",
    "FROM kpi_daily ORDER BY ALL",
    f"FROM kpi_campaign('{at('00:00:00')}', '{NOW}')",
    f"SELECT * EXCLUDE (agent, name) FROM kpi_agent('{at('00:00:00')}', '{NOW}') ORDER BY ALL",
    "FROM call_sums ORDER BY ALL",
    "FROM state_sums ORDER BY ALL",
    "SELECT team, site, state, since FROM agents ORDER BY ALL",
)


@pytest.fixture(autouse=True)
def _one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, KEY)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    desk = Desk(tmp_path / "data")
    desk.apply(read_story(STORY), NOW)
    desk.publish(NOW)
    desk.close()
    yield tmp_path / "data"


def folder(home: Path) -> Path:
    return keys.folder_of(home, None)


def erase(home: Path, *, callers: tuple[str, ...] = (), agents: tuple[str, ...] = ()) -> list[Erasure]:
    forget.note(folder(home), callers, agents)
    return forget.erase_at_rest(home, DEFAULTS, known_by(folder(home)))


def figures(home: Path) -> list[list[Event]]:
    desk = Desk(home)
    desk.publish(NOW)
    found = [desk.rows(query) for query in FIGURES]
    desk.close()
    return found


def texts(home: Path) -> str:
    """Return all that is in the store, but the notes of erasures, and in all files that are there, as JSON."""
    rows: list[Any] = []
    with duckdb.connect() as connection:
        for file in home.rglob("*.parquet"):
            rows += connection.execute(f"SELECT to_json(t)::VARCHAR FROM {quoted(file)} t").fetchall()
        for file in (home / "store.duckdb", home / "published" / "vigie.duckdb"):
            connection.execute(f"ATTACH {quoted(file)} AS opened (READ_ONLY)")
            tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'opened'"
            for (table,) in connection.execute(tables).fetchall():
                rows += connection.execute(f"SELECT to_json(t)::VARCHAR FROM opened.{table} t").fetchall()
            connection.execute("DETACH opened")
    return "\n".join(text for (text,) in rows if '"erased_at"' not in text)


def of_marie() -> str:
    return known_by(Path("/nowhere")).keys.hashed("caller", MARIE, 0)


def read_again(home: Path, persons: Persons) -> None:
    """Read the topic from its beginning."""
    desk = Desk(home)
    batch = Batch({PARTITION: messages(read_story(STORY), NOW)}, {PARTITION: 99})
    desk.store.apply(Sorter(persons).sort(batch))
    desk.publish(NOW)
    desk.close()


def test_a_caller_leaves_everything_and_no_figure_changes(home: Path) -> None:
    before = figures(home)
    assert of_marie() in texts(home)
    (done,) = erase(home, callers=(MARIE,))
    assert (done.kind, done.person, done.calls) == ("caller", of_marie(), 3)
    left = texts(home)
    assert of_marie() not in left and "+33•••••••78" not in left
    assert "+33•••••••32" in left  # the other caller stays
    assert "+33•••••••78".encode() not in (home / "store.duckdb").read_bytes()  # nor where a row was before it changed
    assert figures(home) == before


def test_an_agent_gets_a_pseudonym_everywhere_and_no_figure_changes(home: Path) -> None:
    before = figures(home)
    erase(home, agents=("ana",))
    left = texts(home)
    assert re.findall(r'.{0,200}"ana\b.{0,100}|Núñez|hourly_cost', left) == []
    assert '"bob"' in left and re.search(r'"erased-[0-9a-f]{8}"', left)
    after = figures(home)
    assert after == before
    desk = Desk(home)
    desk.publish(NOW)
    (named,) = desk.rows("SELECT agent, name, team, site FROM agents WHERE agent != 'bob'")
    assert named == {"agent": named["agent"], "name": named["agent"], "team": "blue", "site": "casa"}
    (offers,) = desk.rows("SELECT missed_by, offers[1].agent AS agent FROM calls WHERE call_id = 'c2'")
    assert offers == {"missed_by": [named["agent"]], "agent": named["agent"]}
    desk.close()


@pytest.mark.parametrize(
    "who", [{"callers": (MARIE,)}, {"agents": ("ana",)}, {"callers": (MARIE,), "agents": ("ana",)}]
)
def test_what_comes_again_is_read_without_them(home: Path, who: dict[str, tuple[str, ...]]) -> None:
    """From the topic, into this store and into a new one; and by a rebuild of a backup that was made before."""
    erase(home, **who)
    persons, counted = known_by(folder(home)), figures(home)
    gone = [of_marie()] * ("callers" in who) + ['"ana"'] * ("agents" in who)
    read_again(home, persons)
    assert figures(home) == counted
    new = home.parent / "new"
    read_again(new, persons)
    rebuild(home, DEFAULTS, persons, lambda *_: None)
    for place in (home, new):
        assert [word for word in gone if word in texts(place)] == []
    assert figures(new) == counted == figures(home)


def test_a_backup_from_before_is_cleaned_when_it_is_opened(home: Path) -> None:
    forget.note(folder(home), [MARIE], ["ana"])
    persons = known_by(folder(home))
    bring_up_to_date(home, DEFAULTS, persons)
    assert {e.kind for e in forget.erase_at_rest(home, DEFAULTS, persons)} == {"caller", "agent"}
    assert forget.erase_at_rest(home, DEFAULTS, persons) == []  # nothing is done twice
    assert "Núñez" not in texts(home)


def test_what_an_erased_person_does_later_is_kept(home: Path) -> None:
    erase(home, callers=(MARIE,), agents=("ana",))
    later = clock.now() + dt.timedelta(seconds=2)
    call = {"type": "call.queued", "call_id": "c9", "event_id": "n1", "ts": later.isoformat(), "campaign": "sav"}
    event = call | {"queue": "q", "caller": MARIE, "agent": "ana"}
    sorted_ = Sorter(known_by(folder(home))).sort(Batch({PARTITION: messages([event], later)}, {PARTITION: 1}))
    (raw,) = sorted_.events[0]["raw"].to_pylist()
    assert json.loads(raw)["caller_key"] == of_marie() and json.loads(raw)["agent"] == "ana"


def test_the_audit_trail_says_who_erased_whom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIGIE_ACCESS_DIR", raising=False)
    options = {"data_dir": home, "campaigns": Path("campaigns.toml"), "keys_dir": None}
    assert forget.main(argparse.Namespace(**options, caller=[MARIE], agent=["ana"])) == 0
    agent, caller = Trail(home / "access").entries(kind="erasure")
    assert caller.what == f"caller · {of_marie()}" and re.fullmatch(
        r"agent · [0-9a-f]{20} · erased-[0-9a-f]{8}", agent.what
    )
    with pytest.raises(UsageError, match="nobody was erased"):
        forget.main(argparse.Namespace(**options, caller=["12"], agent=[]))
    assert len(Trail(home / "access").entries(kind="erasure")) == 2


def test_the_list_of_the_erased_is_private_and_says_by_hash_who(home: Path) -> None:
    forget.note(folder(home), [MARIE], ["ana"])
    path = folder(home) / keys.ERASED_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert not re.search(r"612345678|\bana\b", path.read_text())
    with pytest.raises(UsageError, match="fewer than three digits; nobody was erased"):
        forget.note(folder(home), ["x1"], ["bob"])
    assert len(path.read_text().splitlines()) == 2
    path.write_text("caller abc\n")
    with pytest.raises(UsageError, match="line 1, cannot be read"):
        keys.erased(folder(home))
