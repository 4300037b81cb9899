"""The sums of settled calls and states are in files beside theirs: written, replaced and counted with them."""

import datetime as dt
import os
from pathlib import Path

import pytest

from ingest.archive import inventory, segments
from ingest.errors import StoreError
from ingest.publishing.publish import Moment
from ingest.store.store import Store
from metrics.composition.sums import SUMS
from tests.support.stories.stream import DAY, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
MUCH_LATER = LATER + dt.timedelta(days=4)
WITH_DAY = ", hive_partitioning = true, hive_types = {day: DATE}"
FIGURES = "FROM kpi_campaign('2026-03-10', '2026-03-11') ORDER BY campaign"


def load(number: int, more: str = "") -> list[Event]:
    story = f"""
        09:00:00 queued event_id=q{number}
        09:00:10 answered event_id=a{number} agent=ana
        09:02:00 ended event_id=e{number}
        09:02:00 state event_id=s{number} agent=ana{number} state=available campaign=sales
        09:20:00 state event_id=t{number} agent=ana{number} state=offline
    """
    return [event | ({"call_id": f"k{number}"} if "call" in event["type"] else {}) for event in read_story(story)]


def names(desk: Desk, relation: str) -> set[str]:
    found = desk.store.connection.execute("SELECT parse_filename(file) FROM segments WHERE relation = ?", [relation])
    return {name for (name,) in found.fetchall()}


def settled(home: Path, *numbers: int) -> Desk:
    desk = Desk(home)
    for number in numbers:
        desk.apply(load(number), LATER)
        desk.publish(LATER)
    return desk


def test_each_file_of_rows_has_its_sums(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1, 2)
    for name, sums in SUMS.items():
        assert names(desk, name) == names(desk, sums.of) != set()
        for file in names(desk, name):
            assert len(list((tmp_path / "published" / name).rglob(file))) == 1
    assert desk.store.segments.bytes(*SUMS) == sum(
        file.stat().st_size for name in SUMS for file in (tmp_path / "published" / name).rglob("*.parquet")
    )
    desk.close()


def test_sums_are_replaced_with_the_rows_that_they_are_of(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1, 2, 3)
    replaced = names(desk, "calls")
    assert len(replaced) == segments.MERGE_AT_FILES - 1
    desk.apply(load(4), LATER)
    desk.publish(LATER)
    assert len(names(desk, "calls")) == 1
    assert names(desk, "call_sums") == names(desk, "calls")
    named = desk.store.connection.execute("SELECT relation, parse_filename(file) FROM replaced_files").fetchall()
    assert {name for relation, name in named if relation == "call_sums"} == replaced
    assert inventory.take(desk.store.connection, tmp_path).unknown == set()
    (row,) = desk.rows("SELECT sum(offered) AS offered, sum(talk_us) AS talk_us FROM call_sums")
    assert row == {"offered": 4, "talk_us": 4 * 110_000_000}
    desk.close()


def test_what_is_recalled_is_taken_off(tmp_path: Path) -> None:
    """Until it settles again, a recalled call is in no sum twice, and a corrected one counts as corrected.

    Of calls, only the files of its day are read for that.
    """
    desk = settled(tmp_path, 1, 2)
    desk.apply(call("k3", "09:00:00", "09:02:00", DAY + dt.timedelta(days=1)), MUCH_LATER)
    desk.publish(MUCH_LATER)
    later = next(event for event in load(1) if event["event_id"] == "e1")
    desk.apply([later | {"revision": 1, "ts": at("09:03:00").isoformat()}], MUCH_LATER)
    moment = Moment(MUCH_LATER, MUCH_LATER)
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    whole = "SELECT sum(offered) AS offered, sum(handled) AS handled, sum(talk_us) // 1000000 AS talk_s FROM call_sums"
    expected = [{"offered": 3, "handled": 3, "talk_s": 110 + 170 + 120}]
    (unread,) = (tmp_path / "published" / "calls" / f"day={DAY.date() + dt.timedelta(days=1)}").iterdir()
    content = unread.read_bytes()
    unread.write_bytes(b"")
    assert desk.rows(whole) == expected
    assert len(desk.rows("SELECT offered FROM call_sums WHERE offered < 0")) == 1
    unread.write_bytes(content)
    desk.publish(MUCH_LATER)
    assert desk.rows(whole) == expected
    assert desk.rows("SELECT offered FROM call_sums WHERE offered < 0") == []
    desk.close()


FIRST, NEXT, THIRD, LAST = (DAY.date() + dt.timedelta(days=n) for n in range(4))


@pytest.mark.parametrize(
    ("from_at", "until_at", "left"),
    [
        pytest.param(DAY, None, [], id="all"),
        pytest.param(at("09:00:00.000001"), None, [FIRST], id="all but the first"),
        pytest.param(DAY, at("81:00:00"), [LAST], id="all but the last"),
        pytest.param(at("34:00:00"), at("58:00:00"), [FIRST, NEXT, LAST], id="one"),
        pytest.param(at("57:00:00"), at("81:00:00"), [FIRST, NEXT, LAST], id="up to the next"),
        pytest.param(at("-999:00:00"), at("999:00:00"), [], id="more than there are"),
    ],
)
def test_recalled_states_are_taken_off(
    tmp_path: Path, from_at: dt.datetime, until_at: dt.datetime | None, left: list[dt.date]
) -> None:
    """Those of one agent, from an instant to another; no file of another day is opened for it."""
    store = Store(tmp_path / "store.duckdb")
    states = f"""
        SELECT day, agent, 'sav' AS campaign, 'paused' AS state, started_at, started_at + INTERVAL 1 HOUR AS ended_at
        FROM (
            SELECT DATE '{FIRST}' + n::INTEGER AS day, TIMESTAMPTZ '{at("09:00:00")}' + n * INTERVAL 1 DAY AS started_at
            FROM range(4) t(n)
        ), (VALUES ('ana'), ('bob')) a(agent)
    """
    with store.transaction():
        store.segments.write("agent_states", f"({states})")
        store.segments.reload()
        store.segments.keep_sums()
    store.segments.reload()
    store.sql(f"CREATE TEMP TABLE recent_agent_states AS FROM ({states}) LIMIT 0")
    days = f"DATE '{FIRST}' AS first_day, DATE '{LAST}' AS last_day"
    store.sql(f"CREATE TEMP TABLE ingest_status AS SELECT TIMESTAMPTZ '{LATER}' AS as_of, {days}")
    store.sql("INSERT INTO recalled_states VALUES ('ana', ?, ?)", [from_at, until_at])
    for file, segment in [*store.segments.files("agent_states").items()][1:]:  # the first says which columns there are
        if segment.day < from_at.date() or (until_at and segment.day > until_at.date()):
            file.write_bytes(b"")
    query = f"SELECT day, sum(paused_us) FROM ({store.segments.past()['state_sums']}) GROUP BY day ORDER BY day"
    hours = {day: (1 + (day in left)) * 3_600_000_000 for day in (FIRST, NEXT, THIRD, LAST)}
    assert store.sql(query).fetchall() == list(hours.items())
    store.close()


def test_files_without_sums_are_added_up_until_they_get_them(tmp_path: Path) -> None:
    """As an older Vigie wrote them. They get sums when rows settle next."""
    desk = settled(tmp_path, 1, 2)
    expected = desk.rows(FIGURES)
    for name in SUMS:
        desk.store.sql("DELETE FROM segments WHERE relation = ?", [name])
        for file in (tmp_path / "published" / name).rglob("*.parquet"):
            file.unlink()
    desk.close()
    upgraded = Desk(tmp_path)
    upgraded.publish(LATER)
    assert upgraded.rows(FIGURES) == expected
    assert names(upgraded, "call_sums") == set()
    upgraded.close()
    again = Desk(tmp_path)
    again.apply(load(3), LATER + dt.timedelta(days=1))
    again.publish(LATER)
    for name, sums in SUMS.items():
        assert names(again, name) == names(again, sums.of)
    assert again.rows("SELECT sum(offered) AS offered FROM call_sums") == [{"offered": 3}]
    again.close()


def test_the_latest_files_get_their_sums_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recalled call is taken off the sums of its file only if the file has some."""
    desk = settled(tmp_path, 1)
    desk.store.sql("DELETE FROM segments WHERE relation IN ('call_sums', 'state_sums')")
    desk.store.segments.reload()
    write_again(desk, "calls", *desk.store.segments.files("calls"))
    without = names(desk, "calls")
    monkeypatch.setattr(segments, "SUMMED_AT_ONCE", 1)
    desk.apply(load(2), LATER)
    desk.publish(LATER)
    assert names(desk, "call_sums") == names(desk, "calls") - without
    desk.apply([load(1)[2] | {"revision": 1, "ts": at("09:03:00").isoformat()}], LATER)
    moment = Moment(LATER, LATER)
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    (row,) = desk.rows("SELECT sum(offered) AS offered, sum(talk_us) // 1000000 AS talk_s FROM call_sums")
    assert row == {"offered": 2, "talk_s": 110 + 170}
    desk.close()


def call(name: str, answered: str, ended: str, day: dt.datetime = DAY) -> list[Event]:
    story = f"""
        08:59:00 queued event_id={name}q
        {answered} answered event_id={name}a agent=ana
        {ended} ended event_id={name}e
    """
    return [event | {"call_id": name} for event in read_story(story, day)]


def work(desk: Desk) -> tuple[list[Event], float]:
    """The kept work by day [s], and that of the window as the macro gives it."""
    kept = desk.rows(
        "SELECT day, sum(workload_us) / 1e6 AS s FROM work_sums WHERE NOT by_queue GROUP BY day ORDER BY day"
    )
    window = {"t0": DAY, "t1": DAY + dt.timedelta(days=1)}
    (row,) = desk.rows("SELECT workload_s FROM kpi_campaign($t0, $t1)", window)
    return kept, row["workload_s"]


def settle_another(desk: Desk, number: int) -> None:
    """Let a call of a later day settle: the work of days that did not change is made then."""
    desk.apply(call(f"another{number}", "10:00:00", "10:01:00", DAY + dt.timedelta(days=3)), MUCH_LATER)
    desk.publish(MUCH_LATER)


def test_work_is_kept_of_days_that_are_over_while_it_holds(tmp_path: Path) -> None:
    """A call that overlaps with one of another file adds only the time after it."""
    moment = Moment(MUCH_LATER, MUCH_LATER)
    desk = Desk(tmp_path)
    later_day = call("c2", "09:00:00", "09:02:00", DAY + dt.timedelta(days=3))
    desk.apply([*call("c1", "09:00:00", "09:02:00"), *later_day], MUCH_LATER)
    desk.publish(MUCH_LATER)
    assert work(desk) == ([], 120)
    settle_another(desk, 1)
    assert work(desk) == ([{"day": DAY.date(), "s": 120}], 120)
    desk.apply(call("c3", "09:01:00", "09:03:00"), MUCH_LATER)
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    assert work(desk) == ([], 180)
    desk.publish(MUCH_LATER)
    assert work(desk) == ([], 180)
    settle_another(desk, 2)
    assert work(desk) == ([{"day": DAY.date(), "s": 180}], 180)
    corrected = call("c1", "09:00:00", "09:00:30")[-1] | {"revision": 1}
    desk.apply([corrected], MUCH_LATER)
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    assert work(desk) == ([], 150)
    desk.publish(MUCH_LATER)
    settle_another(desk, 3)
    assert work(desk) == ([{"day": DAY.date(), "s": 150}], 150)
    kept = names(desk, "work_sums")
    assert len(kept) == 1
    settle_another(desk, 4)
    assert names(desk, "work_sums") == kept
    desk.close()


def test_the_latest_days_get_their_work_first_but_not_the_last_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that did not just change; a state of a day changes none of its work."""
    desk = Desk(tmp_path)
    days = [DAY + dt.timedelta(days=n) for n in range(6)]
    much_later = MUCH_LATER + dt.timedelta(days=6)
    desk.apply([e for n, day in enumerate(days) for e in call(f"c{n}", "09:00:00", "09:02:00", day)], much_later)
    desk.publish(much_later)
    assert names(desk, "work_sums") == set()
    monkeypatch.setattr(segments, "WORK_CALLS", 12)  # of the four days, three are made of 4 + 4 + 3 calls
    states = "09:00:00 state agent=ben state=paused event_id=s1 \n 09:01:00 state agent=ben state=offline event_id=s2"
    early = call("early", "09:00:00", "09:02:00", DAY - dt.timedelta(days=9))
    (last,) = (tmp_path / "published" / "calls" / f"day={days[5].date()}").iterdir()
    last.rename(tmp_path / "away")  # no other days' calls are read
    desk.apply([*early, *read_story(states, days[2])], much_later)
    desk.publisher.judge(moment := Moment(much_later, much_later))
    desk.publisher.settle(moment)
    (tmp_path / "away").rename(last)
    desk.publish(much_later)
    kept = desk.store.sql("SELECT day FROM segments WHERE relation = 'work_sums' ORDER BY day").fetchall()
    assert kept == [(day.date(),) for day in days[1:4]]
    desk.close()


def test_a_settling_that_does_not_commit_leaves_no_files_of_sums(tmp_path: Path) -> None:
    """Otherwise the next start would be refused, because nobody names them."""
    desk = Desk(tmp_path)
    desk.apply(
        call("c1", "09:00:00", "09:02:00") + call("c2", "09:00:00", "09:02:00", DAY + dt.timedelta(days=3)), LATER
    )
    desk.publish(MUCH_LATER)
    kept = set(tmp_path.rglob("*.parquet"))
    desk.apply(call("c3", "10:00:00", "10:01:00", DAY + dt.timedelta(days=3)), MUCH_LATER)
    desk.publisher.judge(Moment(MUCH_LATER, MUCH_LATER))
    with pytest.raises(KeyboardInterrupt), desk.store.transaction():
        desk.store.archive.settle(MUCH_LATER, 1)
        raise KeyboardInterrupt
    desk.close()
    written = set(tmp_path.rglob("*.parquet")) - kept
    assert {file.parent.parent.name for file in written} >= {"call_sums", "work_sums"}
    Store(tmp_path / "store.duckdb").close()
    assert set(tmp_path.rglob("*.parquet")) == kept


def test_work_of_many_calls_is_made_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece a settling, of some hours each; until all are there, the work of the day is made of calls."""
    desk = Desk(tmp_path)
    later_day = call("c2", "09:00:00", "09:02:00", DAY + dt.timedelta(days=3))
    from_piece_to_piece = call("c3", "15:58:00", "16:00:00")
    desk.apply([*call("c1", "09:00:00", "09:02:00"), *from_piece_to_piece, *later_day], MUCH_LATER)
    desk.publish(MUCH_LATER)
    monkeypatch.setattr(segments, "WORK_CALLS", 1)  # two calls: three pieces
    for number in range(2):
        settle_another(desk, number)
        assert work(desk) == ([], 240)
    settle_another(desk, 2)
    assert work(desk) == ([{"day": DAY.date(), "s": 240}], 240)
    assert len(names(desk, "work_sums")) == 3
    desk.close()


def test_the_work_of_a_very_large_day_is_made_in_pieces_that_are_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece is at least a quarter of an hour, so it may be of more calls than one settling makes work of."""
    desk = Desk(tmp_path)
    later_day = call("c2", "09:00:00", "09:02:00", DAY + dt.timedelta(days=3))
    desk.apply([*call("c1", "09:00:00", "09:02:00"), *call("c3", "15:58:00", "16:00:00"), *later_day], MUCH_LATER)
    desk.publish(MUCH_LATER)
    monkeypatch.setattr(segments, "WORK_CALLS", 1)
    monkeypatch.setattr(segments, "QUARTERS", 1)  # as if the day had no more of them
    settle_another(desk, 0)
    assert work(desk) == ([{"day": DAY.date(), "s": 240}], 240)
    desk.close()


def test_a_month_has_one_file_of_sums(tmp_path: Path) -> None:
    """Of its days that are over, as long as their files are those that it was made of."""
    desk = settled(tmp_path, 1, 2)
    kept = "SELECT sum(offered) AS offered, sum(handled) AS handled FROM call_sums"
    assert names(desk, "call_sums_of_months") == set()
    settle_another(desk, 1)
    settle_another(desk, 2)
    assert len(names(desk, "call_sums_of_months")) == 1
    assert desk.rows(kept) == [{"offered": 4, "handled": 4}]
    for file in (tmp_path / "published" / "call_sums").glob(f"day={DAY.date()}/*"):
        file.write_bytes(b"not read any more")
    assert desk.rows(kept) == [{"offered": 4, "handled": 4}]
    desk.close()


def test_a_month_is_made_again_after_a_correction(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1, 2)
    settle_another(desk, 1)
    settle_another(desk, 2)
    (before,) = names(desk, "call_sums_of_months")
    whole = "SELECT sum(offered) AS offered, sum(talk_us) // 1000000 AS talk_s FROM call_sums"
    assert desk.rows(whole) == [{"offered": 4, "talk_s": 340}]
    later = next(event for event in load(1) if event["event_id"] == "e1")
    desk.apply([later | {"revision": 1, "ts": at("09:03:00").isoformat()}], MUCH_LATER)
    desk.publisher.judge(Moment(MUCH_LATER, MUCH_LATER))
    desk.publisher.write(Moment(MUCH_LATER, MUCH_LATER))
    assert desk.rows(whole) == [{"offered": 4, "talk_s": 400}]
    desk.publish(MUCH_LATER)
    assert desk.rows(whole) == [{"offered": 4, "talk_s": 400}]
    assert names(desk, "call_sums_of_months") == {before}
    settle_another(desk, 3)
    (after,) = names(desk, "call_sums_of_months")
    assert after != before
    assert desk.rows(whole) == [{"offered": 5, "talk_s": 460}]
    assert inventory.take(desk.store.connection, tmp_path).unknown == set()
    desk.close()


def test_a_damaged_file_of_a_month_is_made_again(tmp_path: Path) -> None:
    """From those of its days, which are read until then."""
    desk = settled(tmp_path, 1, 2)
    settle_another(desk, 1)
    settle_another(desk, 2)
    (before,) = names(desk, "call_sums_of_months")
    (file,) = (tmp_path / "published").rglob(before)
    file.write_bytes(b"X" + file.read_bytes()[1:])
    desk.close()
    desk = Desk(tmp_path)
    for _ in range(2):  # the first one checks it
        desk.publish(MUCH_LATER)
    assert desk.rows("SELECT sum(offered) AS offered FROM call_sums") == [{"offered": 4}]
    assert desk.rows("SELECT counted FROM alarms WHERE measure = 'call_sums_of_months'") == [{"counted": 1}]
    settle_another(desk, 3)
    settle_another(desk, 4)
    (after,) = names(desk, "call_sums_of_months")
    assert after != before
    assert desk.rows("SELECT sum(offered) AS offered FROM call_sums") == [{"offered": 6}]
    desk.publish(MUCH_LATER)
    assert desk.rows("SELECT counted FROM alarms") == []
    desk.close()


def test_files_of_other_months_are_not_opened(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1)
    april, may = (DAY + dt.timedelta(days=days) for days in (40, 80))
    for name, day in (("a", april), ("b", april), ("c", may), ("d", may), ("e", may)):
        desk.apply(call(name, "10:00:00", "10:01:00", day), may + dt.timedelta(days=1))
        desk.publish(may + dt.timedelta(days=1))
    (march,) = (tmp_path / "published" / "call_sums_of_months").rglob("month=2026-03-01/*.parquet")
    march.write_bytes(b"not opened")
    window = {"t0": april, "t1": april + dt.timedelta(days=1)}
    assert desk.rows("SELECT sum(offered) AS offered FROM kpi_campaign($t0, $t1)", window) == [{"offered": 2}]
    of_days = {"day0": april.date(), "day1": april.date() + dt.timedelta(days=1)}
    assert desk.rows("SELECT sum(offered) AS offered FROM kpi_days($day0, $day1)", of_days) == [{"offered": 2}]
    desk.close()


# Files that are written again, as when a person is erased


def write_again(desk: Desk, relation: str, file: Path) -> None:
    own = desk.store.segments
    with desk.store.transaction():
        own.rewrite(relation, own.files(relation)[file], f"FROM {inventory.read_files([file], WITH_DAY)}")
    own.reload()


def test_a_file_that_is_written_again_has_the_sums_of_the_old_one(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1, 2)
    before, replaced = desk.rows(FIGURES), min(desk.store.segments.files("calls"))
    kept = names(desk, "calls") - {replaced.name}
    write_again(desk, "calls", replaced)
    assert names(desk, "call_sums") == names(desk, "calls") > kept
    (written,) = names(desk, "calls") - kept
    sums = tmp_path / "published" / "call_sums" / replaced.parent.name
    assert (sums / written).samefile(sums / replaced.name) and written != replaced.name
    for one, other in (("segments", "checksums"), ("checksums", "segments")):
        assert desk.store.sql(f"SELECT file FROM {one} ANTI JOIN {other} USING (file)").fetchall() == []
    desk.publish(LATER)
    assert desk.rows(FIGURES) == before
    there = [file for name in SUMS for file in (tmp_path / "published" / name).rglob("*.parquet")]
    assert desk.store.segments.bytes(*SUMS) == sum(file.stat().st_size for file in there)
    desk.close()
    Store(tmp_path / "store.duckdb").close()


def test_what_was_recalled_from_a_file_stays_so_when_it_is_written_again(tmp_path: Path) -> None:
    desk = settled(tmp_path, 1, 2)
    desk.apply([load(1)[2] | {"revision": 1, "ts": at("09:03:00").isoformat()}], LATER)
    archived = "SELECT event_id FROM ({}) ORDER BY ALL"
    query = desk.store.segments.rows("events")
    before = desk.store.sql(archived.format(query)).fetchall()
    for file in desk.store.segments.files("events"):
        write_again(desk, "events", file)
    assert desk.store.segments.rows("events") != query
    assert desk.store.sql(archived.format(desk.store.segments.rows("events"))).fetchall() == before
    assert desk.store.sql("SELECT count(*) FROM recalled_events").fetchall() == [(3,)]
    desk.close()


@pytest.mark.parametrize("relation", ["calls", "call_sums"])
def test_a_damaged_file_is_not_written_again(tmp_path: Path, relation: str) -> None:
    desk = settled(tmp_path, 1)
    (file,) = desk.store.segments.files(relation)
    file.write_bytes(b"X" + file.read_bytes()[1:])
    with pytest.raises(StoreError, match=f"{file} is damaged"):
        write_again(desk, "calls", *desk.store.segments.files("calls"))
    desk.close()


def test_what_was_being_written_again_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = settled(tmp_path, 1)
    kept, link = set(tmp_path.rglob("*.parquet")), os.link

    def killed(old: Path, new: Path) -> None:
        link(old, new)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        write_again(desk, "calls", *desk.store.segments.files("calls"))
    desk.close()
    assert len(set(tmp_path.rglob("*.parquet")) - kept) == 2
    Store(tmp_path / "store.duckdb").close()
    assert set(tmp_path.rglob("*.parquet")) == kept
