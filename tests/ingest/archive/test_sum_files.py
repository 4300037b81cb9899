"""The sums of settled calls and states are in files beside theirs: written, replaced and counted with them."""

import datetime as dt
from pathlib import Path

import pytest

from ingest.archive import inventory, segments
from ingest.publishing.publish import Moment
from metrics.kpis.sums import SUMS
from tests.support.stories.stream import Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
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
