"""Damaged archived files ring, are not merged, recalled or rebuilt from, and can be restored or made again."""

import datetime as dt
import os
from pathlib import Path

import pytest

from ingest.archive import checksums
from ingest.archive.segments import MERGE_AT_FILES
from ingest.errors import StoreError
from ingest.rebuild import rebuild
from tests.support.stories.stream import DAY, DEFAULTS, PERSONS, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("57:10:00")
TEN = dt.date(2026, 3, 10)
RELATIONS = ("events", "calls", "agent_states", "dead_letters", "call_sums", "state_sums")
ORIGINALS = ("events", "dead_letters")
ALARMS = "SELECT measure, day, counted FROM alarms WHERE kind = 'files_damaged' ORDER BY ALL"
CALLS = "SELECT call_id, agent, answered_at, ended_at, disposition FROM calls ORDER BY ALL"


def story(n: int) -> list[Event]:
    """A call and two states of its agent, which settle together."""
    lines = (
        f"09:00:0{n} queued call_id=c{n}",
        f"09:00:1{n} answered call_id=c{n} agent=a{n}",
        f"09:01:0{n} ended call_id=c{n}",
        f"08:00:00 state agent=a{n} state=available",
        f"09:30:00 state agent=a{n} state=paused",
    )
    return [event | {"event_id": f"{n}-{event['event_id']}"} for event in read_story("\n".join(lines))]


def settle(desk: Desk, n: int) -> None:
    desk.apply([*story(n), {"bad": n}], LATER)
    desk.publish(LATER + dt.timedelta(seconds=n))


def wrapped(n: int = 0) -> list[Event]:
    """What comes late of a settled call."""
    return [
        event | {"event_id": f"late-{n}"} for event in read_story(f"09:02:00 wrapped call_id=c{n} disposition=sold")
    ]


def desk_of(home: Path, files: int = 1) -> Desk:
    desk = Desk(home)
    for n in range(files):
        settle(desk, n)
    return desk


def files(home: Path, relation: str) -> list[Path]:
    root = home if relation == "events" else home / "published"
    return sorted((root / relation).rglob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def damage_unseen(file: Path) -> None:
    """Change a bit that no reader notices: of the four bytes at the beginning, which only say that this is Parquet."""
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def alarms(desk: Desk) -> list[tuple[object, ...]]:
    """The alarms when all files have been checked."""
    for n in range(2):
        desk.publish(LATER + dt.timedelta(minutes=n))
    return [tuple(row.values()) for row in desk.rows(ALARMS)]


def test_a_flipped_bit_rings_until_the_file_is_restored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk_of(tmp_path).close()
    sound = {relation: file.read_bytes() for relation in RELATIONS for file in files(tmp_path, relation)}
    for relation in RELATIONS:
        damage_unseen(*files(tmp_path, relation))
    for _ in range(2):  # logged once, even across a restart
        desk = Desk(tmp_path)
        assert [(relation, n) for relation, _, n in alarms(desk)] == [(relation, 1) for relation in sorted(RELATIONS)]
        desk.close()
    said = [record.getMessage() for record in caplog.records if "differs from its checksum" in record.getMessage()]
    assert len(said) == len(RELATIONS)
    for relation in RELATIONS:
        (file,) = files(tmp_path, relation)
        (message,) = (line for line in said if line.startswith(f"{file} is damaged: it differs from its checksum; "))
        assert ("restore this one file" if relation in ORIGINALS else "run `python -m ingest rebuild`") in message
        file.write_bytes(sound[relation])
    desk = Desk(tmp_path)
    desk.publish(LATER)
    assert desk.rows(ALARMS) == []


def test_a_damaged_file_is_not_merged_into_a_sound_one(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, MERGE_AT_FILES - 1)
    damaged = {relation: files(tmp_path, relation)[0] for relation in ("events", "calls", "dead_letters")}
    for file in damaged.values():
        damage_unseen(file)
    for n in range(MERGE_AT_FILES - 1, MERGE_AT_FILES + 1):
        settle(desk, n)
    for relation, file in damaged.items():
        names = desk.store.sql("SELECT parse_filename(file), rows FROM segments WHERE relation = ?", [relation])
        left = dict(names.fetchall())
        assert left.pop(file.name) and len(left) == 1
    desk.publish(LATER)
    assert {row["measure"] for row in desk.rows(ALARMS)} == damaged.keys()


def test_nothing_is_recalled_from_a_damaged_file(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    (events,) = files(tmp_path, "events")
    sound = events.read_bytes()
    desk.close()
    flip(events)
    with pytest.raises(StoreError, match=rf"{events} is damaged.*restore this one file from a backup"):
        Desk(tmp_path)  # which reads the keys in it
    events.write_bytes(sound)
    damage_unseen(events)
    desk = Desk(tmp_path)
    for late in (wrapped(), story(0)[:1]):  # of a call that has settled, or the same event again
        with pytest.raises(StoreError, match=rf"{events} is damaged.*restore this one file from a backup"):
            desk.apply(late, LATER)
    desk.close()
    events.write_bytes(sound)
    desk = Desk(tmp_path)
    desk.apply(wrapped(), LATER)
    desk.publish(LATER)
    assert [row["disposition"] for row in desk.rows(CALLS)] == ["sold"]


def test_only_files_from_which_something_is_recalled_are_read_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.apply([*story(0), *story(1)], LATER)
    desk.publish(LATER)
    (events,) = files(tmp_path, "events")
    of_the_day_before = "09:00:00 queued call_id=x event_id=x1 \n 09:01:00 abandoned call_id=x event_id=x2"
    desk.apply(read_story(of_the_day_before, DAY - dt.timedelta(days=1)), LATER)
    desk.publish(LATER)
    desk.close()
    desk = Desk(tmp_path)
    read: list[Path] = []
    crc32_of = checksums.crc32_of
    monkeypatch.setattr(checksums, "crc32_of", lambda file: (read.append(file), crc32_of(file))[1])
    for n in range(2):
        desk.apply(wrapped(n), LATER)
    assert read == [events]
    desk.close()


@pytest.mark.parametrize("relation", ["calls", "agent_states"])
def test_rows_are_not_written_again_from_a_damaged_file(tmp_path: Path, relation: str) -> None:
    """Its day has to be written again, because a row of it no longer counts. It is made again from the events."""
    desk = desk_of(tmp_path)
    damage_unseen(files(tmp_path, relation)[0])
    desk.apply(wrapped() + read_story("08:30:00 state agent=a0 state=paused"), LATER)
    with pytest.raises(StoreError, match=r"is damaged: it differs from its checksum; .*ingest rebuild"):
        desk.publish(LATER)
    desk.close()
    rebuild(tmp_path, DEFAULTS, PERSONS, lambda *_: None)
    desk = Desk(tmp_path)
    assert alarms(desk) == []
    assert [row["disposition"] for row in desk.rows(CALLS)] == ["sold"]
    states = desk.rows("SELECT state FROM agent_states WHERE agent = 'a0' AND state != 'offline' ORDER BY started_at")
    assert [row["state"] for row in states] == ["available", "paused"]


@pytest.mark.parametrize("relation", ORIGINALS)
def test_a_store_is_not_rebuilt_from_a_damaged_file(tmp_path: Path, relation: str) -> None:
    desk_of(tmp_path).close()
    (file,) = files(tmp_path, relation)
    damage_unseen(file)
    with pytest.raises(StoreError, match=rf"An archived file cannot be read \({file} differs from its checksum"):
        rebuild(tmp_path, DEFAULTS, PERSONS, lambda *_: None)
    assert not (tmp_path / ".rebuild").exists()


def test_files_of_an_older_vigie_get_their_checksums_by_the_way(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    desk.store.sql("DROP TABLE checksums")
    desk.close()
    desk = Desk(tmp_path)
    assert alarms(desk) == []
    query = "SELECT count(*), count(crc32), count_if(is_damaged) FROM checksums JOIN segments USING (file)"
    assert desk.store.sql(query).fetchall() == [(len(RELATIONS), len(RELATIONS), 0)]
    desk.close()
    damage_unseen(files(tmp_path, "events")[0])
    assert alarms(Desk(tmp_path)) == [("events", TEN, 1)]


def test_a_file_that_cannot_be_read_is_damaged(tmp_path: Path) -> None:
    """Also one that never had a checksum."""
    desk = desk_of(tmp_path)
    desk.store.sql("DROP TABLE checksums")
    desk.close()
    desk = Desk(tmp_path)
    (letters,) = files(tmp_path, "dead_letters")
    os.rename(letters, tmp_path / "aside")
    desk.store.segments.checksums.check_some()
    desk.store.segments.checksums.check_some()
    assert desk.store.sql("SELECT crc32 FROM checksums WHERE is_damaged").fetchall() == [(None,)]
    os.rename(tmp_path / "aside", letters)
    desk.close()
    desk = Desk(tmp_path)
    assert desk.store.sql("SELECT count(*) FROM checksums WHERE crc32 IS NULL OR is_damaged").fetchall() == [(0,)]


def test_files_are_checked_once_a_day_a_piece_at_a_publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk_of(tmp_path).close()
    desk = Desk(tmp_path)
    monkeypatch.setattr("ingest.archive.checksums.PIECE", 500)
    monkeypatch.setattr("ingest.archive.checksums.FILE_COSTS", 0)
    read: list[object] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (read.append(self), whole(self, *a, **k))[1])
    sizes = sum(file.stat().st_size for relation in RELATIONS for file in files(tmp_path, relation))
    for _ in range(sizes // 500 + 20):
        desk.store.segments.checksums.check_some()
    assert len(read) == len(set(read)) == len(RELATIONS)
