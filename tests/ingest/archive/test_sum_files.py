"""The sums of settled calls and states are in files beside theirs: written, replaced and counted with them."""

import datetime as dt
from pathlib import Path

import pytest

from ingest.archive import inventory, segments
from ingest.publishing.publish import Moment
from metrics.composition.sums import SUMS
from tests.support.stories.stream import DAY, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
MUCH_LATER = LATER + dt.timedelta(days=4)
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
    """Until it settles again, a recalled call is in no sum twice, and a corrected one counts as corrected."""
    desk = settled(tmp_path, 1, 2)
    later = next(event for event in load(1) if event["event_id"] == "e1")
    desk.apply([later | {"revision": 1, "ts": at("09:03:00").isoformat()}], LATER)
    moment = Moment(LATER, LATER)
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    whole = "SELECT sum(offered) AS offered, sum(handled) AS handled, sum(talk_us) // 1000000 AS talk_s FROM call_sums"
    expected = [{"offered": 2, "handled": 2, "talk_s": 110 + 170}]
    assert desk.rows(whole) == expected
    assert len(desk.rows("SELECT offered FROM call_sums WHERE offered < 0")) == 1
    desk.publish(LATER)
    assert desk.rows(whole) == expected
    assert desk.rows("SELECT offered FROM call_sums WHERE offered < 0") == []
    desk.close()


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
    desk.close()


def test_work_of_very_many_calls_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    later_day = call("c2", "09:00:00", "09:02:00", DAY + dt.timedelta(days=3))
    desk.apply([*call("c1", "09:00:00", "09:02:00"), *later_day], MUCH_LATER)
    desk.publish(MUCH_LATER)
    monkeypatch.setattr(segments, "WORK_CALLS", 0)
    settle_another(desk, 1)
    assert work(desk) == ([], 120)
    monkeypatch.setattr(segments, "WORK_CALLS", 1)
    settle_another(desk, 2)
    assert work(desk) == ([{"day": DAY.date(), "s": 120}], 120)
    desk.close()
