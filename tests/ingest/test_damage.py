"""Damaged files of a data directory: each is refused with a sentence that says what to do, or healed by reading on.

Single bits of archived files are in tests/ingest/archive/test_checksums.py.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import StoreError
from ingest.events.batch import Batch
from ingest.rebuild import rebuild
from tests.support.stories.stream import DEFAULTS, PARTITION, PERSONS, Desk, Event, at, messages, read_story, sort

pytestmark = pytest.mark.slow

LATER = at("57:10:00")
QUERIES = (
    "FROM calls ORDER BY ALL",
    "SELECT * EXCLUDE (seconds) FROM agent_states ORDER BY ALL",
    'SELECT "offset", reason FROM dead_letters ORDER BY ALL',
    "SELECT events, dead_letters FROM ingest_status",
    "SELECT kind, measure FROM alarms",
)


def of_call(n: int) -> list[Event | bytes]:
    story = f"""
    09:00:0{n} queued call_id=c{n}
    09:00:1{n} answered call_id=c{n} agent=a{n}
    09:01:0{n} ended call_id=c{n}
    08:00:00 state agent=a{n} state=available
    09:30:00 state agent=a{n} state=paused
    """
    return [*(event | {"event_id": f"{n}-{event['event_id']}"} for event in read_story(story)), b"not JSON"]


LATE = read_story("09:02:00 wrapped call_id=c0 disposition=sold\n57:00:00 queued call_id=open")
TOPIC = messages([record for n in range(4) for record in of_call(n)] + LATE, LATER)


def read(desk: Desk, until: int) -> None:
    """Read the topic from where the store is up to an offset."""
    if (begin := desk.store.position(PARTITION) or 0) < until:
        desk.store.apply(sort(Batch({PARTITION: TOPIC[begin:until]}, {PARTITION: until})))


def final_rows(home: Path) -> list[list[Event]]:
    """The rows when the topic has been read to its end. Raises StoreError."""
    desk = Desk(home)
    try:
        read(desk, len(TOPIC))
        for _ in range(2):  # the second knows what was checked after the first
            desk.publish(LATER)
        return [desk.rows(query) for query in QUERIES]
    finally:
        desk.close()


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a power cut leaves: a store with a log, a publish, and settled days of before and after a checkpoint."""
    place = tmp_path_factory.mktemp("power cut")
    desk = Desk(place / "running")
    read(desk, 6)
    desk.publish(LATER)
    desk.store.checkpoint()
    read(desk, 12)
    desk.publish(LATER)
    read(desk, 14)
    shutil.copytree(place / "running", place / "left")
    desk.close()
    return place / "left"


@pytest.fixture(scope="module")
def undisturbed(crashed: Path) -> list[list[Event]]:
    shutil.copytree(crashed, crashed.parent / "undisturbed")
    return final_rows(crashed.parent / "undisturbed")


def flip(share: float) -> Callable[[bytearray], None]:
    """Change a bit at this share of the file."""

    def flipped(content: bytearray) -> None:
        content[int(share * len(content))] ^= 4

    return flipped


def cut(share: float) -> Callable[[bytearray], None]:
    """Leave only this share of the file."""

    def shortened(content: bytearray) -> None:
        del content[int(share * len(content)) :]

    return shortened


HEALED, RESTORE, REBUILD = "is healed", "restore", "rebuild"


@pytest.mark.parametrize(
    ("name", "harm", "remedy"),
    [
        pytest.param("store.duckdb", flip(0.541), RESTORE, id="a bit of its rows"),
        pytest.param("store.duckdb", cut(0.4), REBUILD, id="half a store"),
        pytest.param("store.duckdb.wal", flip(0.5), REBUILD, id="a bit of its log"),
        pytest.param("store.duckdb.wal", flip(0.99), RESTORE, id="a bit of the end of its log"),
        pytest.param("store.duckdb.wal", cut(0.99), HEALED, id="its log without the last transaction"),
        pytest.param("store.duckdb.wal", cut(0.1), REBUILD, id="its log without the names of archived files"),
        pytest.param("published/vigie.duckdb", flip(0.5), HEALED, id="a bit of the published file"),
        pytest.param("published/vigie.duckdb", cut(0.5), HEALED, id="half a published file"),
        pytest.param("snapshot.duckdb", flip(0.5), HEALED, id="a bit of the next published file"),
        pytest.param("published/calls", cut(0.5), REBUILD, id="half a file of calls"),
        pytest.param("published/call_sums", cut(0.5), HEALED, id="half a file of sums"),
        pytest.param("events", cut(0.5), RESTORE, id="half a file of events"),
        pytest.param("events", flip(0.5), RESTORE, id="a bit of a file of events"),
    ],
)
def test_damage_is_refused_or_healed(
    crashed: Path,
    undisturbed: list[list[Event]],
    tmp_path: Path,
    name: str,
    harm: Callable[[bytearray], None],
    remedy: str,
) -> None:
    home = tmp_path / "data"
    shutil.copytree(crashed, home)
    file = home / name if (home / name).is_file() else min((home / name).rglob("*.parquet"))
    content = bytearray(sound := file.read_bytes())
    harm(content)
    file.write_bytes(content)
    if remedy != HEALED:
        with pytest.raises(StoreError, match=f"(?s){remedy}") as refused:
            final_rows(home)
        assert str(file) in str(refused.value) or str(home) in str(refused.value)
    if remedy == RESTORE:
        shutil.rmtree(home)
        shutil.copytree(crashed, home)
        assert file.read_bytes() == sound
    elif remedy == REBUILD:
        rebuild(home, DEFAULTS, PERSONS, lambda *_: None)
    found = final_rows(home)
    assert (found[:3], found[-1]) == (undisturbed[:3], [])
