"""`rebuild`: the same rows again from the archived events, whatever was lost, doubled or interrupted."""

import contextlib
import random
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingest.errors import StoreError
from ingest.rebuild import bring_up_to_date, rebuild
from ingest.store.store import Store
from ingest.topic.broker import Broker
from metrics.configuration.campaigns import load
from metrics.quoting import quoted
from tests.support.disks import Disk
from tests.support.doomed import rebuild_until
from tests.support.processes import (
    ROOT,
    catch_up,
    command,
    count_calls,
    environment,
    run,
    send,
    status,
    totals,
)
from tests.support.processes import (
    floor as busy_floor,
)
from tests.support.stories.floors import CONFIGURATION, as_of, delivered, floor
from tests.support.stories.stream import DEFAULTS, PERSONS, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

CALL = """
09:00:00 queued
09:00:10 answered agent=ana
09:05:00 ended
09:06:00 wrapped sale=true
"""
STATES = """
08:00:00 state agent=ana state=available campaign=sav
09:00:10 state agent=ana state=busy
09:05:00 state agent=ana state=available
17:00:00 state agent=ana state=offline
"""
LATER = at("30:00:00")


def silent(*_: int) -> None:
    """Show nothing."""


def rows(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """What is published, but for when it was, and by which pieces."""
    asked = {
        "calls": "FROM calls ORDER BY ALL",
        "agent_states": "SELECT * EXCLUDE (seconds) FROM agent_states ORDER BY ALL",
        "dead_letters": "FROM dead_letters ORDER BY ALL",
        "sources": "FROM feed_sources ORDER BY ALL",
        "status": "SELECT events, records, duplicates, dead_letters, last_event_at FROM ingest_status",
        "daily": "SELECT campaign, day, offered, answered, aht_s, service_level FROM kpi_daily ORDER BY ALL",
    }
    with duckdb.connect(str(home / "published" / "vigie.duckdb"), read_only=True) as snapshot:
        return {name: snapshot.execute(query).fetchall() for name, query in asked.items()}


def settled(home: Path, *loads: list[Event]) -> Desk:
    """A store to which `loads` came one after the other, published and settled each time."""
    desk = Desk(home)
    for load_ in loads:
        desk.apply(load_, LATER)
        desk.publish(LATER)
        desk.publish(LATER)
    return desk


def published_again(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """What the store publishes at LATER, opened by whoever comes next."""
    desk = Desk(home)
    desk.publish(LATER)
    desk.close()
    return rows(home)


EVENTS = [
    event | {"event_id": f"e{n}"}
    for n, event in enumerate(read_story(CALL) + read_story(STATES) + read_story("29:59:00 queued call_id=c2"))
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a settled call and states, a dead letter, and a call that is open."""
    settled(tmp_path / "data", [*EVENTS, {"bad": 1}]).store.close()
    return tmp_path / "data"


def test_the_rows_are_the_same(home: Path) -> None:
    before = rows(home)
    assert len(before["calls"]) == 2 and len(before["dead_letters"]) == 1
    done = rebuild(home, DEFAULTS, PERSONS, silent)
    assert (done.rows, done.events) == (9, 9)
    assert published_again(home) == before
    assert not (home / ".rebuild").exists()


@pytest.mark.parametrize("change", [{"ts": "2026-03-10T08:00:00Z"}, {"source": "other"}], ids=["earlier", "elsewhere"])
def test_a_source_was_last_heard_when_it_was(tmp_path: Path, change: Event) -> None:
    """Also by an event that a correction has moved to an earlier time, or to another source, since."""
    last = read_story("11:00:00 queued call_id=c3")[0] | {"event_id": "last", "source": "pbx"}
    desk = Desk(tmp_path)
    for load_ in ([*EVENTS[:-1], last], [last | change | {"revision": 1}]):
        desk.apply(load_, LATER)
    desk.publish(LATER)
    desk.close()
    before = rows(tmp_path)
    rebuild(tmp_path, DEFAULTS, PERSONS, silent)
    assert published_again(tmp_path) == before


@pytest.mark.parametrize("seed", range(2))
def test_a_floor_with_corrections_is_the_same(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    events = delivered(rng, floor(rng, 12))
    instant = as_of(rng)
    desk = Desk(tmp_path, CONFIGURATION, settle_rows=rng.choice((1, 10)))
    rng.shuffle(events)
    for begin in range(0, len(events), 12):
        desk.apply(events[begin : begin + 12], instant)
        desk.publish(instant)
    desk.close()
    before = rows(tmp_path)
    rebuild(tmp_path, CONFIGURATION, PERSONS, silent)
    desk = Desk(tmp_path, CONFIGURATION)
    desk.publish(instant)
    desk.close()
    assert rows(tmp_path) == before


def test_it_goes_on_where_it_was(home: Path) -> None:
    rebuild(home, DEFAULTS, PERSONS, silent)
    desk = Desk(home)
    desk.apply(read_story("09:10:00 rated score=5"), LATER)
    desk.publish(LATER)
    assert desk.rows("SELECT score FROM calls WHERE call_id = 'c1'") == [{"score": 5.0}]
    assert desk.store.totals().records == 11


def test_a_published_folder_that_was_deleted_is_made_again(home: Path) -> None:
    before = rows(home)
    shutil.rmtree(home / "published")
    with pytest.raises(StoreError, match=r"are not there.*restore the whole data directory.*ingest rebuild"):
        Desk(home)
    rebuild(home, DEFAULTS, PERSONS, silent)
    after = published_again(home)
    assert {**after, "dead_letters": []} == {**before, "dead_letters": []}


@pytest.mark.parametrize("empty", [False, True], ids=["lost", "empty"])
def test_a_lost_store_is_refused_and_made_again(home: Path, empty: bool) -> None:
    """Nothing that the store does not know is touched: neither now nor ten minutes later."""
    before = rows(home)
    (home / "store.duckdb").unlink()
    if empty:
        duckdb.connect(str(home / "store.duckdb")).close()
    files = set(home.rglob("*.parquet"))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"not known to its store.duckdb, which is missing, empty or older.*whole"):
            Desk(home)
    assert set(home.rglob("*.parquet")) == files
    rebuild(home, DEFAULTS, PERSONS, silent)
    settled(home, [*EVENTS, {"bad": 1}]).store.close()  # the topic is read from its beginning
    after = rows(home)
    for relation in ("calls", "agent_states", "dead_letters", "sources", "daily"):
        assert after[relation] == before[relation], relation


def test_an_older_store_beside_newer_files_is_refused(home: Path, tmp_path: Path) -> None:
    older = shutil.copy(home / "store.duckdb", tmp_path / "older.duckdb")
    desk = Desk(home)
    newer = read_story("29:59:10 queued call_id=c3 \n 29:59:20 abandoned call_id=c3")
    desk.apply([event | {"event_id": f"c3-{n}"} for n, event in enumerate(newer)], LATER)
    much_later = at("31:00:00")
    desk.publish(much_later)
    desk.publish(much_later)
    before = rows(home)
    desk.close()
    shutil.copy(older, home / "store.duckdb")
    with pytest.raises(StoreError, match="missing, empty or older than they are"):
        Desk(home)
    rebuild(home, DEFAULTS, PERSONS, silent)
    desk = Desk(home)
    desk.publish(much_later)
    desk.close()
    again = rows(home)
    assert (again["calls"], again["sources"]) == (before["calls"], before["sources"])
    assert [row[-1] for row in again["status"]] == [row[-1] for row in before["status"]]  # last_event_at


def test_a_store_that_cannot_be_opened_is_kept_aside(home: Path) -> None:
    (home / "store.duckdb").write_bytes(b"no store" * 4096)
    (home / "store.duckdb.wal").write_bytes(b"its log")
    with pytest.raises(StoreError, match="ingest rebuild"):
        Desk(home)
    rebuild(home, DEFAULTS, PERSONS, silent)
    assert (home / "unreadable-1" / "store.duckdb").read_bytes() == b"no store" * 4096
    assert (home / "unreadable-1" / "store.duckdb.wal").read_bytes() == b"its log"
    assert [call[0] for call in published_again(home)["calls"]] == ["c1"]


def test_a_damaged_archive_is_told_and_nothing_changes(home: Path) -> None:
    events = next((home / "events").rglob("*.parquet"))
    events.write_bytes(events.read_bytes()[:100])
    store = (home / "store.duckdb").read_bytes()
    with pytest.raises(StoreError, match=r"archived file cannot be read.*restore it from a backup, or move it away"):
        rebuild(home, DEFAULTS, PERSONS, silent)
    assert (home / "store.duckdb").read_bytes() == store and not (home / ".rebuild").exists()


def test_a_store_in_use_is_refused(home: Path) -> None:
    holding = f"import duckdb; c = duckdb.connect({str(home / 'store.duckdb')!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="in use by another consumer"):
            rebuild(home, DEFAULTS, PERSONS, silent)
        holder.communicate("\n")


def test_events_that_are_missing_are_not_rebuilt_without(home: Path) -> None:
    """What is made of the rest would not be the same, and the old rows would be swept."""
    published = set((home / "published").rglob("*.parquet"))
    shutil.move(home / "events", home.parent / "events")
    with pytest.raises(StoreError, match=r"files of archived events are not there.*restore them from a backup"):
        rebuild(home, DEFAULTS, PERSONS, silent)
    (home / "store.duckdb").unlink()
    with pytest.raises(
        StoreError, match=r"published/ has 1 days whose archived events are not there, such as 2026-03-10"
    ):
        rebuild(home, DEFAULTS, PERSONS, silent)
    assert set((home / "published").rglob("*.parquet")) == published


def test_a_newer_store_is_refused(home: Path) -> None:
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 1000")
    for open_it in (lambda: Desk(home), lambda: rebuild(home, DEFAULTS, PERSONS, silent)):
        with pytest.raises(StoreError, match="written by a newer Vigie"):
            open_it()


def test_files_on_another_disk_move_there(home: Path, disk: Disk) -> None:
    before = rows(home)
    shutil.move(home / "published", disk.place / "published")
    (home / "published").symlink_to(disk.place / "published")
    rebuild(home, DEFAULTS, PERSONS, silent)
    assert published_again(home) == before
    assert list((disk.place / "published").rglob("*.parquet"))


def test_what_was_never_finished_does_not_count(home: Path) -> None:
    leave_unfinished(home, "events")
    before = rows(home)
    rebuild(home, DEFAULTS, PERSONS, silent)
    assert published_again(home) == before


def test_a_correction_is_no_event_that_counts_twice(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    settled(home, [EVENTS[1] | {"revision": 1}]).store.close()
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 1")
    caplog.clear()
    bring_up_to_date(home, DEFAULTS, PERSONS, at_most=1)
    assert not caplog.text


def test_a_complete_rebuild_of_an_older_state_is_forgotten(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody restored a backup over it, or let an older version go on."""
    place = shutil.copytree(home, home.parent / "killed")
    complete = place / ".rebuild" / "complete"
    assert not rebuild_until(place, 0, from_=complete) and complete.exists()
    shutil.copytree(place / ".rebuild", home / ".rebuild")
    settled(home, [e | {"call_id": "c3", "event_id": f"c3-{n}"} for n, e in enumerate(read_story(CALL))]).store.close()
    before = rows(home)
    bring_up_to_date(home, DEFAULTS, PERSONS)
    assert "made from an older state of the store" in caplog.text
    assert published_again(home) == before


@pytest.mark.parametrize("left_kib", [400, 800, 1_200, 1_600])
def test_a_disk_that_fills_up_on_the_way_costs_nothing(tmp_path: Path, disk: Disk, left_kib: int) -> None:
    """The room is estimated; whatever is made of it, the old store or the new one is there at the end."""
    home = disk.place / "data"
    events = [
        event | {"call_id": f"c{n}", "event_id": f"c{n}-{event['event_id']}"}
        for n in range(800)
        for event in read_story(CALL)
    ]
    settled(home, events).store.close()
    before = rows(home)
    disk.resize(f"{disk.used_kib() + left_kib}k")
    with contextlib.suppress(StoreError):
        rebuild(home, DEFAULTS, PERSONS, silent)
    disk.resize("64m")
    bring_up_to_date(home, DEFAULTS, PERSONS)
    assert published_again(home) == before


def leave_unfinished(home: Path, relation: str) -> None:
    """Leave a file of `relation` whose transaction did not commit."""
    store = Store(home / "store.duckdb")
    store.connection.execute("CREATE TEMP TABLE half AS SELECT DATE '2026-03-10' AS day, 1 AS n")
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.segments.write(relation, "half")
        raise KeyboardInterrupt
    store.close()


def test_nothing_to_rebuild_from(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing to rebuild from"):
        rebuild(tmp_path, DEFAULTS, PERSONS, silent)


# A store that an older Vigie wrote


def as_layout_1(home: Path) -> None:
    """Make of the store in `home` what the layout before had left of it: its events twice, ends that do not say why."""
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("DROP TABLE layout")
        store.execute("DROP TABLE replaced_files")
        store.execute("DROP TABLE checksums")
        store.execute("ALTER TABLE inferred_ends DROP COLUMN closed_by_event")
        store.execute("ALTER TABLE inferred_ends DROP COLUMN closed_by_call")
        for (file,) in store.execute("SELECT file FROM segments WHERE relation = 'events'").fetchall():
            path = quoted(home / file)
            store.execute(f"CREATE OR REPLACE TABLE twice AS FROM read_parquet({path})")
            store.execute(f"COPY (FROM twice UNION ALL FROM twice) TO {path}")
            store.execute("DROP TABLE twice")
            store.execute("UPDATE segments SET rows = 2 * rows WHERE file = ?", [file])


def test_a_small_one_is_rebuilt_at_the_start(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = rows(home)
    as_layout_1(home)
    bring_up_to_date(home, DEFAULTS, PERSONS)
    assert "rebuilt from 9 events" in caplog.text and "6 rows counted twice" in caplog.text
    assert published_again(home) == before
    caplog.clear()
    bring_up_to_date(home, DEFAULTS, PERSONS)
    assert not caplog.text


def test_of_a_large_one_the_log_says_what_it_counts_twice(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    as_layout_1(home)
    bring_up_to_date(home, DEFAULTS, PERSONS, at_most=5)
    assert "6 archived events in" in caplog.text and "run `python -m ingest rebuild`" in caplog.text
    rebuild(home, DEFAULTS, PERSONS, silent)
    caplog.clear()
    bring_up_to_date(home, DEFAULTS, PERSONS, at_most=5)
    assert not caplog.text


def test_what_closed_a_call_is_found_in_one_that_goes_on(tmp_path: Path) -> None:
    """Two calls of one agent, the first without an end: whose end it is must be known after the upgrade too."""
    story = read_story("""
        09:00:00 queued
        09:00:10 answered agent=ana
        09:09:00 queued call_id=c2
        09:10:00 answered call_id=c2 agent=ana
        09:20:00 ended call_id=c2
    """)
    settled(tmp_path, story).store.close()
    with duckdb.connect(str(tmp_path / "store.duckdb")) as store:
        assert store.execute("SELECT closed_by_call FROM inferred_ends").fetchall() == [("c2",)]
        store.execute("UPDATE layout SET version = 1")
        store.execute("UPDATE inferred_ends SET closed_by_call = NULL")
    bring_up_to_date(tmp_path, DEFAULTS, PERSONS, at_most=0)
    desk = Desk(tmp_path)
    desk.apply([story[3] | {"revision": 1, "ts": at("09:12:00").isoformat()}], LATER)
    desk.publish(LATER)
    assert desk.rows("SELECT ended_at FROM calls WHERE call_id = 'c1'") == [{"ended_at": at("09:12:00")}]


def test_files_that_layout_1_had_replaced_do_not_keep_it_from_starting(home: Path) -> None:
    """It kept no list of them; nothing is in them that the store does not know."""
    for file in list(home.rglob("*.parquet")):
        shutil.copy(file, file.with_name("replaced.parquet"))
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 1")
    before = rows(home)
    bring_up_to_date(home, DEFAULTS, PERSONS, at_most=0)
    assert published_again(home) == before


# Killed

SETTLED = "FROM calls WHERE outcome != 'open' ORDER BY ALL"


def test_an_end_at_any_step_leaves_the_old_store_or_the_new_one(home: Path, tmp_path: Path) -> None:
    before, settled_calls, files = rows(home), settled_elsewhere(home), contents(home)
    ended = 0
    for after in range(100):
        place = shutil.copytree(home, tmp_path / f"killed-{after}")
        is_complete = rebuild_until(place, after)
        assert settled_elsewhere(place) == settled_calls  # readers never see a half of it
        bring_up_to_date(place, DEFAULTS, PERSONS)
        if contents(place) != files:  # what nothing has touched publishes what it did
            assert published_again(place) == before
        assert not (place / ".rebuild").exists()
        if is_complete:
            break
        ended += 1
    assert ended > 10


def contents(home: Path) -> dict[Path, bytes]:
    """Return every file in `home`."""
    return {file.relative_to(home): file.read_bytes() for file in home.rglob("*") if file.is_file()}


def settled_elsewhere(place: Path) -> list[tuple[object, ...]]:
    """What the published file in `place` says, its Parquet files looked for beside it."""
    with duckdb.connect(str(place / "published" / "vigie.duckdb"), read_only=True) as snapshot:
        snapshot.execute("SET VARIABLE vigie_folder = $here", {"here": str((place / "published").resolve())})
        return snapshot.execute(SETTLED).fetchall()


def test_a_rebuild_that_is_killed_is_forgotten(tmp_path: Path, broker: Broker, topic: str) -> None:
    """By the real signal, at a moment of its own; then the consumer goes on."""
    events = busy_floor(20_000)
    send(broker.bootstrap_servers, topic, events)
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    before = count_calls(tmp_path)
    with subprocess.Popen(
        command("rebuild", "--data-dir", str(tmp_path)), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        while not (tmp_path / ".rebuild" / "store.duckdb").exists():
            assert process.poll() is None
        process.kill()
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    assert count_calls(tmp_path) == before
    assert status(tmp_path)["events"] == len(events)
    assert not (tmp_path / ".rebuild").exists()


# The command


def test_the_command_and_then_the_topic_is_read_on(tmp_path: Path, broker: Broker, topic: str) -> None:
    events = busy_floor(4_000)
    send(broker.bootstrap_servers, topic, events[:3_000])
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    done = run("rebuild", "--data-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "3,000 events in" in done.stdout and "reads on" in done.stdout
    send(broker.bootstrap_servers, topic, events[3_000:])
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    assert (totals(tmp_path)["records"], status(tmp_path)["events"]) == (4_000, 4_000)
    whole = tmp_path / "whole"
    catch_up(whole, broker.bootstrap_servers, topic)
    assert published_calls(tmp_path) == published_calls(whole)


def published_calls(place: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(place / "published" / "vigie.duckdb"), read_only=True) as snapshot:
        return snapshot.execute("SELECT * EXCLUDE (wait_s) FROM calls ORDER BY call_id").fetchall()


def test_a_disk_without_room_is_refused_before_anything_is_written(home: Path, disk: Disk) -> None:
    place = shutil.copytree(home, disk.place / "data")
    disk.resize(f"{disk.used_kib() + 4}k")
    files = {file: file.stat().st_size for file in place.rglob("*")}
    with pytest.raises(StoreError, match=r"Rebuilding needs .* MiB and .* free.*Free some space"):
        rebuild(place, load(ROOT / "campaigns.toml"), PERSONS, silent)
    assert {file: file.stat().st_size for file in place.rglob("*")} == files


def test_an_unfinished_settling_leaves_no_files(home: Path) -> None:
    """Files of a transaction that did not commit are deleted at the next start, and no others."""
    files = set(home.rglob("*.parquet"))
    leave_unfinished(home, "calls")
    assert len(set(home.rglob("*.parquet")) - files) == 1
    Store(home / "store.duckdb").close()
    assert set(home.rglob("*.parquet")) == files
