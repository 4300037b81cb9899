"""The audit trail: its chain, its retention, refusals that are counted, and what never gets into it."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.audit import trail
from metrics.audit.trail import DAY_S, HOUR_S, LONGEST, MOST_COUNTED, OTHERS, AuditError, Trail
from metrics.errors import ConfigurationError

AT = 1_790_000_000.0
STRANGER = {"who": "an unknown name", "address": "203.0.113.7", "what": "wrong name or password"}


def append(audit: Trail, what: str = "north · csv", at: float = AT) -> None:
    audit.append("export", who="anna", address="192.0.2.1", what=what, at=at)


def changed(audit: Trail, *statements: str) -> None:
    """Change the file as somebody who may write to it, and knows how to get past the triggers."""
    with sqlite3.connect(audit.path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    audit = Trail(tmp_path)
    assert audit.entries() == [] and audit.verify().entries == 0
    append(audit)
    audit.append("query", who="bo", address="192.0.2.2", what="FROM calls", at=AT + 60)
    newest, oldest = audit.entries()
    assert (newest.entry, newest.kind, newest.who, newest.what, newest.times) == (2, "query", "bo", "FROM calls", 1)
    assert (oldest.entry, oldest.at, oldest.address) == (1, AT, "192.0.2.1")
    assert [e.entry for e in audit.entries(kind="query")] == [e.entry for e in audit.entries(who="bo")] == [2]
    assert [e.entry for e in audit.entries(since=AT + 1)] == [2]
    assert [e.entry for e in audit.entries(until=AT + 1)] == [1]
    assert [e.entry for e in audit.entries(most=1)] == [2] and audit.people() == ["anna", "bo"]
    assert audit.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE entries SET what = 'nothing' WHERE entry = 2", 2),
        ("UPDATE entries SET at = at - 1 WHERE entry = 1", 1),
        ("UPDATE entries SET times = 2 WHERE entry = 3", 3),
        ("DELETE FROM entries WHERE entry = 2", 2),
        ("UPDATE anchor SET hash = 'x'", 1),
    ],
)
def test_a_change_behind_its_back_breaks_the_chain(tmp_path: Path, statement: str, broken: int) -> None:
    audit = Trail(tmp_path)
    for n in range(3):
        append(audit, str(n))
    before = audit.verify()
    assert (before.entries, before.newest, before.broken) == (3, 3, None)
    changed(audit, statement)
    assert audit.verify().broken == broken


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entries SET what = ''", "DELETE FROM entries WHERE entry = 1", "UPDATE anchor SET entry = -1"],
)
def test_the_trail_is_append_only(tmp_path: Path, statement: str) -> None:
    audit = Trail(tmp_path)
    append(audit)
    connection = sqlite3.connect(audit.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_deleting_the_oldest_keeps_the_chain(tmp_path: Path) -> None:
    audit = Trail(tmp_path, kept_days=10)
    for day in range(30):
        append(audit, str(day), AT + day * DAY_S)
        chain = audit.verify()
        assert chain.broken is None and chain.newest == day + 1 and chain.entries <= 12
    assert [entry.what for entry in audit.entries()][-1] == "18"  # the retention, and up to a day more
    changed(audit, "DELETE FROM entries WHERE entry = (SELECT min(entry) FROM entries)")
    assert audit.verify().broken is not None


def test_a_clock_that_was_set_back_leaves_no_gap(tmp_path: Path) -> None:
    audit = Trail(tmp_path, kept_days=10)
    for at in (AT, AT + 30 * DAY_S, AT + DAY_S, AT + 45 * DAY_S):
        append(audit, at=at)
    assert audit.verify().broken is None and sorted(entry.entry for entry in audit.entries()) == [4]


def test_refusals_are_counted_exactly_and_stay_few(tmp_path: Path) -> None:
    audit = Trail(tmp_path)
    for n in range(3 * MOST_COUNTED):
        for _ in range(2):
            audit.count_refusal(**STRANGER | {"address": f"203.0.113.{n}"}, at=AT)
    so_far = audit.entries(most=1000)
    assert len(so_far) == MOST_COUNTED + 1 and {entry.entry for entry in so_far} == {0}
    append(audit, at=AT + HOUR_S)
    entries = audit.entries(kind="refusal", most=1000)
    assert len(entries) == MOST_COUNTED + 1 and all(entry.entry for entry in entries)
    assert sum(entry.times for entry in entries) == 6 * MOST_COUNTED
    assert [entry.times for entry in entries if entry.who == OTHERS] == [4 * MOST_COUNTED]
    assert audit.verify().broken is None


def test_many_append_at_once(tmp_path: Path) -> None:
    audit = Trail(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append(audit, str(n)) if n % 2 else audit.count_refusal(**STRANGER, at=AT), range(60)))
    chain = audit.verify()
    assert (chain.entries, chain.broken) == (30, None) and audit.entries(kind="refusal")[0].times == 30


def test_a_transaction_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    audit = Trail(tmp_path)
    with pytest.raises(ValueError, match="no"), audit.transaction(AT) as add:
        add("account", "anna", "here", "added bo")
        raise ValueError("no")
    assert audit.entries() == []


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("caller = '+33 6 12 34 56 78'", "caller = '•••'"),
        ("caller LIKE '%0612345678%'", "caller LIKE '%•••%'"),
        ("(0)612-34-56-78", "(•••"),
        ("day = '2026-11-23' AND at > '2026-11-23 09:00:00'", "day = '2026-11-23' AND at > '2026-11-23 09:00:00'"),
        ("LIMIT 100000", "LIMIT 100000"),
        ("a\n\nb\tc", "a b c"),
        ("\ud800x", "?x"),
    ],
)
def test_numbers_of_callers_are_not_kept(tmp_path: Path, words: str, kept: str) -> None:
    audit = Trail(tmp_path)
    append(audit, words)
    assert audit.entries()[0].what == kept and audit.verify().broken is None


def test_long_texts_are_cut(tmp_path: Path) -> None:
    audit = Trail(tmp_path)
    audit.append("query", who="x" * 1000, address="y" * 1000, what="z " * 100_000, at=AT)
    (entry,) = audit.entries()
    assert len(entry.what) == LONGEST and len(entry.who) == len(entry.address) == trail.LONGEST_NAME


@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.floats(0, 4e9)), max_size=5))
def test_whatever_is_appended_the_chain_holds(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:  # type: ignore[type-arg]
    audit = Trail(tmp_path_factory.mktemp("trail"), kept_days=100_000)
    for who, address, what, at in rows:
        audit.append("sign-in", who=who, address=address, what=what, at=at)
    assert audit.verify().broken is None and audit.verify().entries == len(rows)


def test_a_trail_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "audit.sqlite").write_text(json.dumps("no database") * 100)
    with pytest.raises(AuditError, match=r"audit\.sqlite cannot be used"):
        append(Trail(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="cannot be used"):
        append(Trail(tmp_path / "file"))


@pytest.mark.parametrize("days", ["0", "-1", "x", "1.5"])
def test_a_retention_that_is_no_number_of_days_is_refused(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("VIGIE_AUDIT_DAYS", days)
    with pytest.raises(ConfigurationError, match="VIGIE_AUDIT_DAYS"):
        trail.kept_days()
