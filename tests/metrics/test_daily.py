"""kpi_daily has a row for every campaign and day, from the first day with a call or agent time to the last."""

from pathlib import Path

import pytest

from tests.support.stories.stream import Desk, Event, at, campaign, configured, read_story

pytestmark = pytest.mark.slow

CALLS = "09:00:00 queued\n09:00:10 answered agent=amina\n09:01:00 ended"
LATER = at("150:00:00")  # Monday the 16th, 6:00
DAILY = "SELECT campaign, day, offered, available_s, service_level, conserved FROM kpi_daily ORDER BY campaign, day"


def daily(home: Path, events: list[Event], settle_rows: int, *zones: str) -> dict[str, dict[int, tuple[object, ...]]]:
    """Return by campaign and day of March: offered, available [h], service level, conserved."""
    named = [campaign(name, zone) for name, zone in zip(("sav", "ventas"), zones, strict=True)]
    desk = Desk(home, configured(*named), settle_rows)
    desk.apply(events, LATER)
    for _ in range(2):
        desk.publish(LATER)
    found: dict[str, dict[int, tuple[object, ...]]] = {}
    for name, day, offered, available_s, level, conserved in (tuple(row.values()) for row in desk.rows(DAILY)):
        assert day.month == 3 and conserved is True
        found.setdefault(name, {})[day.day] = (offered, available_s / 3600, level)
    return found


@pytest.mark.parametrize("settle_rows", [1, 10_000], ids=["settled", "not settled"])
class TestDays:
    def test_without_calls_between_others_have_zeros_and_no_ratio(self, tmp_path: Path, settle_rows: int) -> None:
        later = read_story(
            "81:00:00 queued call_id=c2\n81:00:30 answered call_id=c2 agent=amina\n81:01:00 ended call_id=c2"
        )
        events = read_story(CALLS) + [event | {"event_id": f"later-{event['event_id']}"} for event in later]
        assert daily(tmp_path, events, settle_rows, "UTC", "UTC") == {
            "sav": {10: (1, 0, 1.0), 11: (0, 0, None), 12: (0, 0, None), 13: (1, 0, 0.0)},
            "ventas": dict.fromkeys((10, 11, 12, 13), (0, 0, None)),
        }

    def test_on_which_agents_waited_before_the_first_call_and_after_the_last(
        self, tmp_path: Path, settle_rows: int
    ) -> None:
        shifts = read_story("""
            -15:00:00 state agent=amina state=available campaign=sav
            -14:00:00 state agent=amina state=offline
            47:00:00 state agent=amina state=available
            49:00:00 state agent=amina state=offline
        """)
        events = read_story(CALLS) + [event | {"event_id": f"s{n}"} for n, event in enumerate(shifts)]
        assert daily(tmp_path, events, settle_rows, "UTC", "UTC")["sav"] == {
            9: (0, 1, None),
            10: (1, 0, 1.0),
            11: (0, 1, None),
            12: (0, 1, None),
        }

    @pytest.mark.parametrize(
        ("zone", "other", "days"),
        [
            pytest.param("America/Lima", "UTC", (8, 9, 10), id="Sunday evening there, Monday in UTC"),
            pytest.param("UTC", "America/Lima", (9, 10), id="Sunday evening where nobody worked"),
            pytest.param("Pacific/Auckland", "UTC", (9, 10), id="Monday afternoon"),
        ],
    )
    def test_begin_in_the_campaigns_own_zone(
        self, tmp_path: Path, settle_rows: int, zone: str, other: str, days: tuple[int, ...]
    ) -> None:
        shift = read_story("-22:00:00 state agent=amina state=available\n-21:00:00 state agent=amina state=offline")
        shift = [event | {"event_id": f"s{n}", "campaign": "sav"} for n, event in enumerate(shift)]
        found = daily(tmp_path, read_story(CALLS) + shift, settle_rows, zone, other)
        first, *between = days[:-1]
        assert found["sav"] == {first: (0, 1, None), 10: (1, 0, 1.0)} | dict.fromkeys(between, (0, 0, None))

    def test_begin_with_work_and_not_with_an_absent_agent(self, tmp_path: Path, settle_rows: int) -> None:
        shift = read_story("""
            -39:00:00 state agent=amina state=offline campaign=sav
            -15:00:00 state agent=driss state=paused
            -14:00:00 state agent=driss state=offline
        """)
        events = read_story(CALLS) + [event | {"event_id": f"s{n}"} for n, event in enumerate(shift)]
        assert list(daily(tmp_path, events, settle_rows, "UTC", "UTC")["sav"]) == [10]  # driss works for no campaign

    def test_without_any_call_are_those_with_agent_time(self, tmp_path: Path, settle_rows: int) -> None:
        shift = read_story("""
            18:00:00 state agent=amina state=paused campaign=sav
            23:00:00 state agent=amina state=available
            25:00:00 state agent=amina state=offline
        """)
        assert daily(tmp_path, shift, settle_rows, "UTC", "UTC")["sav"] == {10: (0, 1, None), 11: (0, 1, None)}

    def test_are_the_same_for_campaigns_of_all_zones(self, tmp_path: Path, settle_rows: int) -> None:
        shift = read_story("22:30:00 state agent=amina state=available\n23:30:00 state agent=amina state=offline")
        shift = [event | {"event_id": f"s{n}", "campaign": "sav"} for n, event in enumerate(shift)]
        found = daily(tmp_path, read_story(CALLS) + shift, settle_rows, "Europe/Paris", "America/Lima")
        assert found["sav"] == {10: (1, 0.5, 1.0), 11: (0, 0.5, None)}
        assert found["ventas"] == {10: (0, 0, None), 11: (0, 0, None)}

    def test_after_the_last_event_have_no_row_yet(self, tmp_path: Path, settle_rows: int) -> None:
        """A month replayed years later is a month, although `as_of` is today."""
        assert list(daily(tmp_path, read_story(CALLS), settle_rows, "UTC", "UTC")["sav"]) == [10]

    def test_of_an_empty_store_are_none(self, tmp_path: Path, settle_rows: int) -> None:
        assert daily(tmp_path, [], settle_rows, "UTC", "UTC") == {}


def test_a_state_that_lasts_reaches_today(tmp_path: Path) -> None:
    shift = read_story("143:00:00 state agent=amina state=available campaign=sav")  # Sunday, 23:00
    found = daily(tmp_path, [*read_story(CALLS), shift[0] | {"event_id": "s"}], 1, "UTC", "UTC")
    assert found["sav"][15] == (0, 1, None) and found["sav"][16] == (0, 6, None)


FIRST_SHIFT = read_story("""
    -40:00:00 state agent=driss state=available campaign=sav
    -39:00:00 state agent=driss state=offline
    -16:00:00 state agent=amina state=available campaign=sav
    -15:00:00 state agent=amina state=offline
""")


def shifts(events: list[Event], **changes: object) -> list[Event]:
    return [event | changes | {"event_id": f"s{n}"} for n, event in enumerate(events)]


@pytest.mark.parametrize(
    ("corrected", "days"),
    [
        pytest.param({"ts": "2026-03-09T10:00:00Z"}, [9, 10], id="it was a day later"),
        pytest.param({"ts": "2026-03-07T22:00:00Z"}, [7, 8, 9, 10], id="it was a day earlier"),
        pytest.param({"state": "offline"}, [9, 10], id="nobody was there"),
        pytest.param({"campaign": "ventas"}, [8, 9, 10], id="it was for another campaign"),
    ],
)
def test_the_first_shift_is_corrected_when_it_has_settled(
    tmp_path: Path, corrected: dict[str, object], days: list[int]
) -> None:
    told_first = shifts(FIRST_SHIFT)
    desk = Desk(tmp_path, configured(campaign("sav"), campaign("ventas")))
    desk.apply(read_story(CALLS) + told_first, LATER)
    desk.publish(LATER)
    assert [row["day"].day for row in desk.rows("SELECT DISTINCT day FROM kpi_daily ORDER BY day")] == [8, 9, 10]
    desk.apply([told_first[0] | corrected | {"revision": 1}], LATER)
    for _ in range(2):  # recalled, then settled again
        desk.publish(LATER)
        assert [row["day"].day for row in desk.rows("SELECT DISTINCT day FROM kpi_daily ORDER BY day")] == days


def test_the_first_shift_of_a_store_of_an_earlier_version(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(read_story(CALLS) + shifts(FIRST_SHIFT), LATER)
    desk.publish(LATER)
    desk.store.connection.execute("DROP TABLE first_states")  # earlier versions had none
    desk.close()
    again = Desk(tmp_path, configured(campaign("sav")))
    again.publish(LATER)
    assert [row["day"].day for row in again.rows("SELECT day FROM kpi_daily ORDER BY day")] == [8, 9, 10]
