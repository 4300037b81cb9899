"""A log that somebody else's writing left beside the published file: what readers see, and how it is removed."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ingest.errors import StoreError
from ingest.publishing import folder
from ingest.publishing.publish import Moment
from ingest.store.holding import hold
from metrics import readers
from metrics.published.opening import foreign_logs, open_snapshot
from metrics.readers import Published
from tests.support.floor_file import MANAGER
from tests.support.intruder import ANSWERED, POISON, write_and_be_killed, writing
from tests.support.stories.stream import Desk, at, campaign, configured, read_story

pytestmark = pytest.mark.slow

STORY = """
09:00:00 queued
09:00:30 abandoned
09:01:00 queued call_id=c2
09:01:40 abandoned call_id=c2
"""
OUTCOMES = "SELECT outcome, count(*) FROM calls GROUP BY outcome"
RIGHT = [("abandoned", 2)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A floor with two abandoned calls, published."""
    desk = Desk(tmp_path, configured(campaign("sav")), settle_rows=1_000)
    desk.apply(read_story(STORY), at("09:02:00"))
    desk.publish(at("09:02:00"))
    return desk


def write(desk: Desk, clock: str) -> None:
    """Publish as the consumer does, without settling."""
    moment = Moment(at(clock), at(clock))
    desk.publisher.judge(moment)
    desk.publisher.write(moment)


def direct(path: Path) -> list[tuple[object, ...]]:
    """Read as any tool does, which knows nothing of Vigie."""
    with duckdb.connect(str(path), read_only=True) as snapshot:
        return snapshot.execute(OUTCOMES).fetchall()


def beside(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir() if entry.is_file() or entry.is_symlink()}


def a_file(path: Path) -> None:
    path.write_bytes(b"no log" * 100)


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "in it").touch()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("/nowhere/at all")


def a_link_to_a_folder(path: Path) -> None:
    path.symlink_to(path.parent.parent)


@pytest.mark.parametrize("statements", [(ANSWERED,), POISON], ids=["it changes figures", "nothing can be read with it"])
def test_the_next_publish_is_right_after_a_writer_was_killed(desk: Desk, statements: tuple[str, ...]) -> None:
    path = desk.publisher.path
    write_and_be_killed(path, *statements)
    assert foreign_logs(path) == [path.with_name("vigie.duckdb.wal")]
    write(desk, "09:02:01")
    assert direct(path) == RIGHT
    assert beside(path) == {"vigie.duckdb"}


@pytest.mark.parametrize(
    ("ending", "make"),
    [
        (".wal", a_file),
        (".wal.checkpoint", a_file),
        (".wal.recovery", a_file),
        (".wal", a_folder),
        (".wal", a_link_to_nothing),
        (".wal", a_link_to_a_folder),
        (".wal", os.mkfifo),
    ],
)
def test_whatever_has_the_name_of_a_log_is_removed(desk: Desk, ending: str, make: Callable[[Path], None]) -> None:
    path = desk.publisher.path
    make(path.with_name(path.name + ending))
    kept = path.parent.parent / "store.duckdb"
    with open_snapshot(path) as snapshot:
        assert snapshot.execute(OUTCOMES).fetchall() == RIGHT
    write(desk, "09:02:01")
    assert direct(path) == RIGHT
    assert foreign_logs(path) == [] and kept.exists()


def test_a_start_removes_it_even_if_kafka_does_not_answer(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    path = desk.publisher.path
    write_and_be_killed(path, ANSWERED)
    assert direct(path) == [("answered", 2)]
    desk.close()
    Desk(path.parent.parent)
    assert direct(path) == RIGHT
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("vigie.duckdb.wal beside the published file was removed: ")


def test_the_log_says_so_once_for_as_long_as_they_come_back(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    path = desk.publisher.path
    for number, ending in enumerate(["", ".wal", ".wal", "", ".wal.recovery"]):
        if ending:
            a_file(path.with_name(path.name + ending))
        write(desk, f"09:02:0{number}")
    names = [record.getMessage().split()[0] for record in caplog.records]
    assert names == ["vigie.duckdb.wal", "vigie.duckdb.wal.recovery"]


def test_a_log_of_the_file_that_is_being_written_is_not_read(desk: Desk) -> None:
    """In a container the consumer has the same process id after each start, and so the file the same name."""
    path = desk.publisher.path
    fresh = path.with_name(f".vigie-{os.getpid()}.duckdb")
    write_and_be_killed(path, *POISON)
    path.with_name("vigie.duckdb.wal").rename(f"{fresh}.wal")
    write(desk, "09:02:01")
    assert direct(path) == RIGHT and beside(path) == {"vigie.duckdb"}
    a_folder(fresh.with_name(f"{fresh.name}.tmp"))
    desk.close()
    assert Desk(path.parent.parent).publisher.path == path
    assert {entry.name for entry in path.parent.iterdir()} == {"vigie.duckdb"}


def test_files_of_others_and_temporary_files_of_readers_stay(desk: Desk) -> None:
    path = desk.publisher.path
    spilled = path.with_name("vigie.duckdb.tmp")
    a_folder(spilled)
    a_file(path.with_name("other.duckdb.wal"))
    write(desk, "09:02:01")
    assert direct(path) == RIGHT
    assert (spilled / "in it").exists() and beside(path) == {"vigie.duckdb", "other.duckdb.wal"}


def test_a_log_that_cannot_be_removed_stops_the_publish(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a log of another user in a folder with the sticky bit: root, as in CI, can remove everything."""

    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = desk.publisher.path
    before = path.stat().st_ino
    a_file(path.with_name("vigie.duckdb.wal"))
    monkeypatch.setattr(folder, "remove", lambda path: refuse(path) if path.name.endswith("wal") else None)
    with pytest.raises(
        StoreError, match=r"vigie\.duckdb\.wal cannot be removed \(Operation not permitted\).* remove it"
    ):
        write(desk, "09:02:01")
    assert path.stat().st_ino == before and beside(path) == {"vigie.duckdb", "vigie.duckdb.wal"}


# Readers until the next publish


@pytest.mark.parametrize("statements", [(ANSWERED,), POISON], ids=["it changes figures", "nothing can be read with it"])
def test_pages_do_not_read_a_foreign_log_and_name_it(desk: Desk, statements: tuple[str, ...]) -> None:
    path = desk.publisher.path
    write_and_be_killed(path, *statements)
    published = Published(path)
    board, feed = readers.board(published, MANAGER), readers.feed(published, MANAGER)
    assert board is not None and board.campaigns[0].today is not None and feed is not None
    assert (board.campaigns[0].today.answered, board.campaigns[0].today.abandoned) == (0, 2)
    assert feed.foreign_logs == ("vigie.duckdb.wal",)
    write(desk, "09:02:01")
    feed = readers.feed(published, MANAGER)
    assert feed is not None and feed.foreign_logs == ()


def test_pages_are_right_while_another_process_goes_on_writing(desk: Desk) -> None:
    """Its log is back at once after each publish, so that every page is opened beside one."""
    path = desk.publisher.path
    published = Published(path)
    with writing(path, ANSWERED):
        for number in range(1, 6):
            write(desk, f"09:02:0{number}")
            board = readers.board(published, MANAGER)
            assert board is not None and board.freshness.as_of == at(f"09:02:0{number}")
            assert board.campaigns[0].today is not None and board.campaigns[0].today.abandoned == 2
    published.close()
    write(desk, "09:02:09")
    assert direct(path) == RIGHT and beside(path) == {"vigie.duckdb"}


def test_pages_are_right_while_another_process_has_the_file_locked(desk: Desk) -> None:
    path = desk.publisher.path
    with writing(path, "SELECT 1"):
        board = readers.board(Published(path), MANAGER)
        assert board is not None and board.campaigns[0].today is not None
        assert board.campaigns[0].today.abandoned == 2


# Who may write


def modes(path: Path) -> dict[str, int]:
    return {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (path, *path.rglob("*"))}


@pytest.mark.parametrize(
    ("umask", "of_folder", "of_snapshot"),
    [
        pytest.param(0o000, 0o750, 0o440, id="all may do everything"),
        pytest.param(0o002, 0o750, 0o440, id="the group of the user, as on Debian"),
        pytest.param(0o027, 0o750, 0o440, id="the group may read"),
        pytest.param(0o077, 0o700, 0o400, id="nobody else may read"),
    ],
)
def test_nobody_else_may_write_and_only_the_group_may_read(
    tmp_path: Path, umask: int, of_folder: int, of_snapshot: int
) -> None:
    before = os.umask(umask)
    try:
        with hold(tmp_path):
            desk = Desk(tmp_path, configured(campaign("sav")))
            desk.apply(read_story(STORY), at("09:02:00"))
            desk.publish(at("33:00:00"))
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    found = modes(tmp_path)
    parquet = {mode for name, mode in found.items() if name.endswith((".parquet", "store.duckdb", ".wal"))}
    assert found["published"] == found["calls"] == found["events"] == found["day=2026-03-10"] == of_folder
    assert found["vigie.duckdb"] == of_snapshot and parquet == {of_folder & 0o666}


def test_a_start_closes_what_was_left_open(tmp_path: Path) -> None:
    """An older Vigie left it so; the folder may be a link to another disk."""
    (tmp_path / "another disk").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "published").symlink_to(tmp_path / "another disk")
    desk = Desk(tmp_path / "data", configured(campaign("sav")))
    desk.apply(read_story(STORY), at("09:02:00"))
    desk.publish(at("33:00:00"))
    desk.close()
    private = [tmp_path / "data" / "store.duckdb", *(tmp_path / "data" / "events").rglob("*")]
    entries = [*private, tmp_path / "another disk", *(tmp_path / "another disk").rglob("*")]
    assert any(entry.suffix == ".parquet" for entry in entries)
    for entry in entries:
        entry.chmod(entry.stat().st_mode | 0o027)
    Desk(tmp_path / "data")
    assert [entry for entry in entries if entry.stat().st_mode & 0o027] == []
