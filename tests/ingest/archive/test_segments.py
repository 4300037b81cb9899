"""The Parquet files of what is settled: when they are merged, replaced and deleted, and which rows of them count."""

import datetime as dt
import shutil
import types
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ingest.archive import inventory, segments
from ingest.errors import StoreError
from ingest.store.store import Store
from metrics.published.relations import FOLDER
from tests.support.stories.stream import PERSONS

pytestmark = pytest.mark.slow

TEN_MINUTES_S = 600.0
MONDAY, TUESDAY, WEDNESDAY = (dt.date(2026, 3, day) for day in (9, 10, 11))
NOTHING = f"(SELECT DATE '{MONDAY}' AS day, 0 AS n LIMIT 0)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def numbers(rows: int, day: dt.date = TUESDAY) -> str:
    """Rows of a day, which are dead letters: nothing of them is ever outdated."""
    return f"(SELECT DATE '{day}' AS day, range AS n FROM range({rows}))"


def calls(*names: str, day: dt.date = TUESDAY) -> str:
    return "(" + " UNION ALL ".join(f"SELECT DATE '{day}' AS day, '{name}' AS call_id" for name in names) + ")"


def write(store: Store, relation: str, fresh: str, outdated: str | None = None) -> set[dt.date]:
    """Write rows as settling does; return the days of which files were merged."""
    with store.transaction():
        merged = store.segments.write(relation, fresh, *([outdated] if outdated else []))
    store.segments.reload()
    return merged


def rows_of_files(store: Store, relation: str) -> list[int]:
    found = store.connection.execute("SELECT rows FROM segments WHERE relation = ? ORDER BY ALL", [relation])
    return [rows for (rows,) in found.fetchall()]


def call_ids(store: Store) -> list[str]:
    query = store.segments.rows("calls")
    assert query is not None
    return sorted(name for (name,) in store.connection.execute(f"SELECT call_id FROM ({query})").fetchall())


def files(home: Path) -> set[Path]:
    return set(home.rglob("*.parquet"))


# What is merged


@pytest.mark.parametrize(
    ("written", "left"),
    [
        pytest.param([1, 1, 1], [1, 1, 1], id="three files of a size stay"),
        pytest.param([1, 1, 1, 1], [4], id="four become one"),
        pytest.param([100, 100, 100, 100], [400], id="large ones too"),
        pytest.param([4, 4, 4, 1, 1, 1, 1], [16], id="one of the next size, and that is the fourth of them"),
        pytest.param([10, 10, 10, 2, 2, 2, 7], [43], id="the size is that of all rows that are merged"),
        pytest.param([500, 500, 500, 1, 1, 1], [1, 1, 1, 500, 500, 500], id="three small ones beside large ones"),
        pytest.param([500, 500, 500, 1, 1, 1, 1], [4, 500, 500, 500], id="four small ones beside large ones"),
        pytest.param([1, 1, 1, 500], [500 + 3], id="small ones go into a large one"),
    ],
)
def test_four_files_of_a_size_become_one(store: Store, written: list[int], left: list[int]) -> None:
    for rows in written:
        write(store, "dead_letters", numbers(rows))
    assert rows_of_files(store, "dead_letters") == left
    query = store.segments.rows("dead_letters")
    assert store.connection.execute(f"SELECT day FROM ({query})").fetchall() == [(TUESDAY,)] * sum(written)


def test_it_says_of_which_days_files_were_merged(store: Store) -> None:
    for _ in range(3):
        assert write(store, "dead_letters", numbers(1)) == set()
    assert write(store, "dead_letters", f"({numbers(1)} UNION ALL {numbers(1, MONDAY)})") == {TUESDAY}


def test_rows_that_are_there_twice_are_merged_as_they_are(store: Store) -> None:
    """To hide them is not to mend them: they are counted after a merge, and ring."""
    for _ in range(4):
        write(store, "calls", calls("c1"))
    assert call_ids(store) == ["c1"] * 4


def test_an_outdated_day_is_written_again_without_what_no_longer_counts(store: Store, tmp_path: Path) -> None:
    write(store, "calls", calls("c1", "c2"))
    write(store, "calls", calls("c3", day=MONDAY))
    before = files(tmp_path)
    store.connection.execute("INSERT INTO recalled_calls VALUES ('c1', ?)", [TUESDAY])
    assert call_ids(store) == ["c2", "c3"]
    assert write(store, "calls", calls("c4", day=MONDAY), "SELECT day FROM recalled_calls") == {TUESDAY}
    store.connection.execute("DELETE FROM recalled_calls")
    assert call_ids(store) == ["c2", "c3", "c4"]
    assert rows_of_files(store, "calls") == [1, 1, 1]
    assert len(files(tmp_path) - before) == 2


def test_the_marks_of_a_file_go_with_it(store: Store, tmp_path: Path) -> None:
    for number in range(4):
        if number == 3:  # of the first file the first row was recalled; another's mark stays
            name = min(files(tmp_path), key=lambda file: file.stat().st_mtime_ns).name
            store.connection.execute("INSERT INTO recalled_events VALUES (?, 0), ('another', 0)", [name])
        write(store, "events", f"(SELECT DATE '{TUESDAY}' AS day, 'e{number}' AS event_id)")
    query = store.segments.rows("events")
    found = store.connection.execute(f"SELECT event_id FROM ({query}) ORDER BY ALL").fetchall()
    assert found == [("e1",), ("e2",), ("e3",)]
    assert store.connection.execute("SELECT file FROM recalled_events").fetchall() == [("another",)]


# What is asked of them


def test_days_are_those_from_a_day_on(store: Store) -> None:
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        write(store, "dead_letters", numbers(1, day))
    assert store.segments.days("dead_letters", TUESDAY) == {TUESDAY, WEDNESDAY}
    assert store.segments.days("dead_letters", dt.date.min) == {MONDAY, TUESDAY, WEDNESDAY}
    assert store.segments.days("calls", dt.date.min) == set()


def test_bytes_are_those_of_the_relations_asked_for(store: Store, tmp_path: Path) -> None:
    write(store, "dead_letters", numbers(100))
    write(store, "calls", calls("c1"))
    write(store, "events", numbers(10_000))
    sizes = {file.parent.parent.name: file.stat().st_size for file in files(tmp_path)}
    for own in (store.segments, segments.Segments(store.connection, tmp_path)):
        assert own.bytes("events") == sizes["events"]
        assert own.bytes("calls", "dead_letters") == sizes["calls"] + sizes["dead_letters"]
    store.checkpoint()  # its log may be there, or not
    assert store.bytes() == (tmp_path / "store.duckdb").stat().st_size + sizes["events"]
    store.connection.execute("INSERT INTO recalled_calls VALUES ('c9', ?)", [TUESDAY])
    both = sum(file.stat().st_size for file in tmp_path.glob("store.duckdb*"))
    assert both > (tmp_path / "store.duckdb").stat().st_size and store.bytes() == both + sizes["events"]


def test_rows_are_counted_by_day_and_the_last_count_stays(store: Store) -> None:
    write(store, "calls", calls("c1", "c2", "c2"))
    write(store, "calls", calls("c3", day=MONDAY))
    write(store, "events", f"(SELECT DATE '{TUESDAY}' AS day, 'e1' AS event_id)")
    store.segments.count_rows("events", [TUESDAY])
    for _ in range(2):
        for days in ([MONDAY], [TUESDAY], [WEDNESDAY], []):
            store.segments.count_rows("calls", days)
    assert store.connection.execute("FROM archived_counts ORDER BY ALL").fetchall() == [
        ("calls", MONDAY, 1, 1),
        ("calls", TUESDAY, 3, 2),
        ("events", TUESDAY, 1, 1),
    ]


def test_where_nothing_has_settled_there_is_no_past(store: Store) -> None:
    store.connection.execute("CREATE TEMP TABLE recent_calls AS SELECT 'c1' AS call_id")
    assert store.connection.execute(store.segments.past()["calls"]).fetchall() == []


def test_published_files_are_where_a_reader_says_and_events_are_not(store: Store, tmp_path: Path) -> None:
    write(store, "calls", calls("c1"))
    write(store, "events", f"(SELECT DATE '{TUESDAY}' AS day, 'e1' AS event_id)")
    published, events = store.segments.rows("calls"), store.segments.rows("events")
    shutil.move(tmp_path / "published", tmp_path / "moved")
    store.connection.execute(f"SET VARIABLE {FOLDER} = $here", {"here": str(tmp_path / "moved")})
    assert store.connection.execute(f"SELECT call_id FROM ({published})").fetchall() == [("c1",)]
    assert store.connection.execute(f"SELECT event_id FROM ({events})").fetchall() == [("e1",)]


# What did not commit


def interrupt(store: Store, home: Path) -> set[Path]:
    """Write a file in a transaction that does not commit; return it."""
    before = files(home)
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.segments.write("dead_letters", numbers(1))
        raise KeyboardInterrupt
    store.close()
    return files(home) - before


def test_what_is_being_written_is_noted_until_it_has_committed(store: Store, tmp_path: Path) -> None:
    notes = tmp_path / inventory.UNFINISHED
    with store.transaction():
        store.segments.write("dead_letters", NOTHING)
        assert not notes.exists()
        store.segments.write("dead_letters", f"({numbers(1)} UNION ALL {numbers(1, MONDAY)})")
        store.segments.write("calls", calls("c1"))
        begun_from, *names = notes.read_text().splitlines()
        assert begun_from == inventory.state_of([])
        written = (file.relative_to(tmp_path / "published") for file in files(tmp_path))
        assert sorted(names) == sorted(map(str, written)) and len(names) == 3
    assert not notes.exists()


def test_a_transaction_that_fails_after_others_leaves_no_files(store: Store, tmp_path: Path) -> None:
    write(store, "dead_letters", numbers(1))
    kept = files(tmp_path)
    assert len(interrupt(store, tmp_path)) == 1
    Store(tmp_path / "store.duckdb").close()
    assert files(tmp_path) == kept


def test_a_commit_that_fails_leaves_no_files(store: Store, tmp_path: Path) -> None:
    store.connection.execute("CREATE TABLE of_one (n INTEGER PRIMARY KEY)")
    with store.connection.cursor() as another, pytest.raises(StoreError, match="PRIMARY KEY"), store.transaction():
        store.segments.write("dead_letters", numbers(1))
        store.connection.execute("INSERT INTO of_one VALUES (1)")
        another.execute("INSERT INTO store.of_one VALUES (1)")
    store.close()
    assert len(files(tmp_path)) == 1
    Store(tmp_path / "store.duckdb").close()
    assert files(tmp_path) == set()


def test_a_file_that_was_never_begun_is_not_missed(store: Store, tmp_path: Path) -> None:
    (half,) = interrupt(store, tmp_path)
    half.unlink()
    Store(tmp_path / "store.duckdb").close()
    assert not (tmp_path / inventory.UNFINISHED).exists()


def test_notes_of_what_has_committed_are_forgotten_at_the_start(store: Store, tmp_path: Path) -> None:
    """The consumer was killed between the two. Were they kept, they would hide those of what does not commit next."""
    with store.transaction():
        store.segments.write("dead_letters", numbers(1))
        notes = (tmp_path / inventory.UNFINISHED).read_text()
    store.close()
    (tmp_path / inventory.UNFINISHED).write_text(notes)
    kept = files(tmp_path)
    for _ in range(2):
        assert len(interrupt(Store(tmp_path / "store.duckdb"), tmp_path)) == 1
    Store(tmp_path / "store.duckdb").close()
    assert files(tmp_path) == kept


def test_a_start_that_is_refused_changes_nothing(store: Store, tmp_path: Path) -> None:
    (half,) = interrupt(store, tmp_path)
    notes = (tmp_path / inventory.UNFINISHED).read_text()
    shutil.copy(half, half.with_name("unknown.parquet"))
    with pytest.raises(StoreError, match="not known to its store"):
        Store(tmp_path / "store.duckdb")
    assert {file.name for file in files(tmp_path)} == {half.name, "unknown.parquet"}
    assert (tmp_path / inventory.UNFINISHED).read_text() == notes


def test_where_the_store_is_lost_none_is_made(store: Store, tmp_path: Path) -> None:
    """An empty one would hide that it is."""
    write(store, "dead_letters", numbers(1))
    store.close()
    (tmp_path / "store.duckdb").unlink()
    (tmp_path / "store.duckdb.wal").unlink(missing_ok=True)
    with pytest.raises(StoreError, match="not known to its store"):
        Store(tmp_path / "store.duckdb")
    assert not (tmp_path / "store.duckdb").exists()


def test_a_file_that_counts_and_is_not_there_is_told(store: Store, tmp_path: Path) -> None:
    write(store, "dead_letters", numbers(1))
    store.close()
    (file,) = files(tmp_path)
    file.unlink()
    with pytest.raises(StoreError, match=rf"names 1 Parquet files that are not there, {file} among them"):
        Store(tmp_path / "store.duckdb")


# What was replaced


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the files' age is told by: nobody waits ten minutes."""
    clock = Clock()
    monkeypatch.setattr(segments, "time", types.SimpleNamespace(monotonic=clock.monotonic))
    return clock


def named_as_replaced(store: Store) -> set[str]:
    return {Path(file).name for (file,) in store.connection.execute("SELECT file FROM replaced_files").fetchall()}


def replace_three(store: Store, home: Path, day: dt.date = TUESDAY) -> set[Path]:
    """Let four files of a day be merged; return the three that were replaced."""
    for _ in range(3):
        write(store, "dead_letters", numbers(1, day))
    before = {file for file in files(home) if file.parent.name == f"day={day}"}
    write(store, "dead_letters", numbers(1, day))
    return before


def test_what_was_replaced_is_deleted_when_it_is_old_enough(store: Store, tmp_path: Path, clock: Clock) -> None:
    first = replace_three(store, tmp_path, MONDAY)
    clock.now_s += 100
    second = replace_three(store, tmp_path, TUESDAY)
    kept = files(tmp_path) - first - second
    assert len(kept) == 2
    store.segments.sweep()
    clock.now_s += TEN_MINUTES_S - 100  # the first are ten minutes old to the second
    store.segments.sweep()
    assert files(tmp_path) == kept | first | second
    assert named_as_replaced(store) == {file.name for file in first | second}
    clock.now_s += 100  # and now the second
    store.segments.sweep()
    assert files(tmp_path) == kept | second
    assert named_as_replaced(store) == {file.name for file in second}
    clock.now_s += 0.5
    store.segments.sweep()
    assert files(tmp_path) == kept
    assert named_as_replaced(store) == set()
    assert store.segments.bytes("dead_letters") == sum(file.stat().st_size for file in kept)


def test_what_is_deleted_is_forgotten(store: Store, tmp_path: Path, clock: Clock) -> None:
    """Only what this store replaced is ever deleted, and once."""
    replaced = replace_three(store, tmp_path)
    for _ in range(2):
        clock.now_s += TEN_MINUTES_S + 1
        store.segments.sweep()
        assert not any(file.exists() for file in replaced)
    restored = replaced.pop()
    restored.write_text("somebody's")
    store.segments.sweep()
    assert restored.exists()


def test_what_was_replaced_before_a_restart_is_deleted_as_long_after_it(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    replaced = replace_three(store, tmp_path)
    store.close()
    gone = replaced.pop()
    gone.unlink()  # by somebody else
    clock.now_s += 2 * TEN_MINUTES_S
    again = Store(tmp_path / "store.duckdb")
    again.segments.sweep()
    assert all(file.exists() for file in replaced)
    clock.now_s += TEN_MINUTES_S + 1
    again.segments.sweep()
    assert not any(file.exists() for file in replaced)
    assert named_as_replaced(again) == set()
    again.close()


def test_a_store_that_was_upgraded_is_opened_as_it_is(store: Store, tmp_path: Path) -> None:
    """Only an upgrade deletes at once what it has replaced, because there were phone numbers in it."""
    replaced = replace_three(store, tmp_path)
    store.close()
    Store(tmp_path / "store.duckdb", PERSONS).close()
    assert all(file.exists() for file in replaced)


def test_files_put_beside_others_take_their_place(store: Store, tmp_path: Path) -> None:
    """As a rebuilt store does: what it replaces is in the folder that it will be moved to."""
    write(store, "dead_letters", numbers(1))
    write(store, "events", numbers(1))
    store.close()
    (tmp_path / "elsewhere").mkdir()
    rebuilt = Store(tmp_path / "elsewhere" / "store.duckdb")
    with rebuilt.transaction():
        rebuilt.segments.mark_replaced(tmp_path, files(tmp_path))
    named = set(rebuilt.connection.execute("FROM replaced_files").fetchall())
    rebuilt.close()
    expected = {("events", str(f.relative_to(tmp_path))) for f in files(tmp_path / "events")}
    root = tmp_path / "published"
    assert named == expected | {("dead_letters", str(f.relative_to(root))) for f in files(root)}


def test_a_row_of_a_call_is_read_with_its_day(store: Store) -> None:
    write(store, "calls", calls("c1", day=MONDAY))
    query = store.segments.rows("calls", [MONDAY])
    assert query is not None
    with duckdb.connect() as analyst:  # who needs no more than the files and the marks
        analyst.execute(segments.RECALLED)
        found = analyst.execute(query)
        assert [name for name, *_ in found.description] == ["call_id", "day"]
        assert found.fetchall() == [("c1", MONDAY)]
    assert store.segments.rows("calls", [TUESDAY]) is None
