"""Work on a call belongs to the windows in which it was done, for at most max_state_s from its answer."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.composition.sums import work_of_day
from metrics.configuration.campaigns import Defaults
from tests.support.published import at as on
from tests.support.published import call, publish, state
from tests.support.published import rows as rows_of
from tests.support.stories.stream import DAY, Desk, Event, at, campaign, configured, read_story

pytestmark = pytest.mark.slow

UNENDED = "09:00:00 queued\n09:00:10 answered agent=ana"  # no later event names ana
DAYS = tuple((DAY + dt.timedelta(days=n), DAY + dt.timedelta(days=n + 1)) for n in range(10))
TEN_DAYS_LATER = DAYS[-1][1]
WORKED = "SELECT workload_s, handled, aht_s FROM kpi_campaign($t0, $t1) WHERE campaign = 'sav'"
KINDS = ("kpi_campaign($t0, $t1)", "kpi_queue($t0, $t1)", "kpi_agent($t0, $t1)")
BY_DAY = "SELECT workload_s / 3600 AS hours FROM kpi_interval($t0, $t1, 1440) ORDER BY interval_start"
LATE = {  # a story, and the hours of each day from the 10th on which its agent worked
    "a talk that nothing ends": (UNENDED, {0: 12}),
    "a talk that ends after days": (f"{UNENDED}\n57:00:10 ended", {0: 12}),
    "a wrap-up that is reported after days": (f"{UNENDED}\n10:00:10 ended\n81:00:10 wrapped", {0: 12}),
    "an e-mail answered days after it came": (
        "09:00:00 queued channel=email\n82:00:00 answered agent=ana\n83:00:00 ended",
        {3: 1},
    ),
    "an e-mail answered at night, late": (
        "09:00:00 queued channel=email\n95:00:00 answered agent=ana\n97:00:00 ended\n98:00:00 wrapped",
        {3: 1, 4: 2},
    ),
    "an answer before its call was queued": ("81:00:00 queued\n06:00:00 answered agent=ana\n07:00:00 ended", {0: 1}),
}


def spent(desk: Desk, relation: str, begin: dt.datetime, end: dt.datetime) -> float:
    ((hours,),) = [
        row.values()
        for row in desk.rows(f"SELECT coalesce(sum(workload_s), 0) / 3600 FROM {relation}", {"t0": begin, "t1": end})
    ]
    return float(hours)


@pytest.mark.parametrize("settle_rows", [1, 10_000], ids=["settled", "not settled"])
@pytest.mark.parametrize(("story", "hours"), LATE.values(), ids=LATE)
def test_each_day_has_the_work_done_on_it_and_the_days_add_up(
    tmp_path: Path, story: str, hours: dict[int, int], settle_rows: int
) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")), settle_rows)
    desk.apply(read_story(story), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    expected = [hours.get(number, 0) for number in range(len(DAYS))]
    assert [spent(desk, KINDS[0], *day) for day in DAYS[:5]] == expected[:5]
    assert [row["hours"] for row in desk.rows(BY_DAY, {"t0": DAY, "t1": TEN_DAYS_LATER})] == expected
    for relation in KINDS:
        first, rest, union = ((DAY, DAYS[4][0]), (DAYS[4][0], TEN_DAYS_LATER), (DAY, TEN_DAYS_LATER))
        assert [spent(desk, relation, *window) for window in (first, rest, union)] == [
            sum(expected[:4]), sum(expected[4:]), sum(expected)
        ], relation  # fmt: skip


def test_a_talk_that_nothing_ends_has_no_end_and_is_not_handled(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(read_story(UNENDED), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    assert desk.rows("SELECT outcome, ended_at, talk_s, handle_s, inferred_end FROM calls") == [
        {"outcome": "answered", "ended_at": None, "talk_s": None, "handle_s": None, "inferred_end": False}
    ]
    window = {"t0": DAY, "t1": TEN_DAYS_LATER}
    assert desk.rows(WORKED, window) == [{"workload_s": 43_200.0, "handled": 0, "aht_s": None}]


@pytest.mark.parametrize("hours", [1, 24])
def test_the_limit_is_configured(tmp_path: Path, hours: int) -> None:
    desk = Desk(tmp_path, configured(campaign("sav"), defaults=Defaults(max_state_s=hours * 3600)))
    desk.apply(read_story(UNENDED), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    assert desk.rows("SELECT max_state_s FROM ingest_status") == [{"max_state_s": hours * 3600}]
    assert [spent(desk, "kpi_campaign($t0, $t1)", *day) for day in DAYS[:3]] == pytest.approx(
        [1, 0, 0] if hours == 1 else [15 - 10 / 3600, 9 + 10 / 3600, 0]
    )


def test_an_agent_is_on_a_call_as_long_as_it_may_last(tmp_path: Path) -> None:
    story = f"{UNENDED}\n09:05:00 held"
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(read_story(story), at("21:00:00"))
    on_it = {"agent": "ana", "call_id": "c1", "call_since": at("09:00:10"), "held_since": at("09:05:00")}
    for clock, expected in (
        ("21:00:09.999999", on_it),
        ("21:00:10", {"agent": "ana", "call_id": None, "call_since": None, "held_since": None}),
        ("21:00:09.999999", on_it),  # the clock was set back
    ):
        desk.publish(at(clock))
        assert desk.rows("SELECT agent, call_id, call_since, held_since FROM agents") == [expected], clock


def test_an_agent_whose_first_call_nothing_ended_is_on_the_next(tmp_path: Path) -> None:
    chat = read_story("30:00:00 queued channel=chat call_id=c2\n30:00:10 answered agent=ana call_id=c2")
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(
        read_story(UNENDED) + [event | {"event_id": f"chat-{event['event_id']}"} for event in chat], at("31:00:00")
    )
    desk.publish(at("31:00:00"))
    assert desk.rows("SELECT call_id FROM agents") == [{"call_id": "c2"}]


def emails(answers: dict[int, str]) -> list[Event]:
    """Emails of the 10th, the 11th and so on, each answered at the given time for an hour."""
    events = []
    for number, answered in answers.items():
        hours, rest = answered.split(":", 1)
        story = f"{number * 24 + 9}:00:00 queued channel=email call_id=m{number}\n{answered} answered agent=ana"
        story += f" call_id=m{number}\n{int(hours) + 1}:{rest} ended call_id=m{number}"
        events += [event | {"event_id": f"m{number}-{event['event_id']}"} for event in read_story(story)]
    return events


def test_only_the_files_of_the_needed_days_are_opened(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(emails({0: "150:00:00", 1: "34:00:00", 2: "152:00:00", 3: "82:00:00", 6: "153:30:00"}), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    window = {"t0": DAYS[6][0], "t1": DAYS[6][1]}
    with duckdb.connect(str(desk.publisher.path), read_only=True) as snapshot:
        assert snapshot.execute(
            "SELECT day::VARCHAR, answered_on::VARCHAR FROM late_answers ORDER BY ALL"
        ).fetchall() == [
            ("2026-03-10", "2026-03-16"),
            ("2026-03-12", "2026-03-16"),
        ]
    for day in ("2026-03-11", "2026-03-13"):
        (file,) = (tmp_path / "published" / "calls" / f"day={day}").iterdir()
        file.write_text("not Parquet")
    assert desk.rows(WORKED, window)[0]["workload_s"] == 3 * 3600
    with pytest.raises(duckdb.Error):
        desk.rows(WORKED, window | {"t0": DAY})


def test_late_answers_settled_by_an_earlier_version_are_found(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(emails({0: "150:00:00"}), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    desk.store.connection.execute("DROP TABLE late_answers")
    desk.close()
    again = Desk(tmp_path, configured(campaign("sav")))
    again.publish(TEN_DAYS_LATER)
    assert [spent(again, "kpi_campaign($t0, $t1)", *day) for day in DAYS] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_a_corrected_late_answer_is_found_at_its_new_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    events = emails({0: "150:00:00"})
    desk.apply(events, TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    desk.apply([events[1] | {"revision": 1, "ts": at("100:00:00").isoformat()}], TEN_DAYS_LATER)
    for _ in range(2):  # recalled, then settled again
        desk.publish(TEN_DAYS_LATER)
        of_days = [spent(desk, "kpi_campaign($t0, $t1)", *day) for day in DAYS]
        assert of_days == [0, 0, 0, 0, 12, 0, 0, 0, 0, 0]


def test_a_streak_counts_answers_to_contacts_of_days_ago(tmp_path: Path) -> None:
    calls = [
        call(queued=f"{day} 09:00", answered_at=on(f"23 09:{minute}"), ended_at=on(f"23 09:{minute + 1}"))
        for day, minute in ((18, 10), (20, 20), (23, 30))
    ]
    late = [{"day": calls[n]["day"], "answered_on": on("09:00").date()} for n in (0, 1)]
    shift = [state("busy", "09:10", None)]
    with publish(tmp_path / "v.duckdb", calls, shift, as_of="10:00", late_answers=late) as published:
        found = rows_of(published, "SELECT agent, streak_calls FROM agent_strain($at)", at=on("10:00"))
    assert found == [{"agent": "ana", "streak_calls": 3}]


def test_a_window_may_be_taken_from_a_relation(tmp_path: Path) -> None:
    """Analysts write it so: the last day as of the snapshot."""
    with publish(tmp_path / "vigie.duckdb", [call()]) as published:
        for macro in ("kpi_campaign", "kpi_queue", "kpi_agent"):
            query = f"SELECT answered FROM ingest_status, {macro}(as_of - INTERVAL 2 DAYS, as_of)"
            assert rows_of(published, query) == [{"answered": 1}], macro


def test_an_agent_works_on_a_call_that_is_in_no_campaign(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("sav")))
    desk.apply(read_story("09:00:10 answered agent=ana\n09:10:10 ended"), TEN_DAYS_LATER)
    desk.publish(TEN_DAYS_LATER)
    assert spent(desk, "kpi_agent($t0, $t1)", *DAYS[0]) == pytest.approx(1 / 6)


MINUTES = st.integers(0, 5 * 1440)
CALLS = st.lists(
    st.tuples(st.sampled_from((None, "ana", "bo")), st.sampled_from((None, "vip")), MINUTES, st.none() | MINUTES),
    min_size=1,
    max_size=8,
)


@given(calls=CALLS, pieces=st.sampled_from((2, 3, 7, 40)), limit_s=st.sampled_from((600.0, 43_200.0, 86_400.0)))
def test_the_work_of_a_day_is_that_of_its_pieces(
    calls: list[tuple[str | None, str | None, int, int | None]], pieces: int, limit_s: float
) -> None:
    """Also of calls that begin and end in different pieces, overlap, have no agent, or do not end."""
    day = (DAY + dt.timedelta(days=2)).date()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET VARIABLE as_of = $as_of", {"as_of": DAY + dt.timedelta(days=6)})
        connection.execute("SET VARIABLE max_state_s = $limit_s", {"limit_s": limit_s})
        connection.execute(
            "CREATE TABLE calls (call_id VARCHAR, agent VARCHAR, campaign VARCHAR, queue VARCHAR,"
            " answered_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, wrapped_at TIMESTAMPTZ)"
        )
        for number, (agent, queue, answered, later) in enumerate(calls):
            answered_at = DAY + dt.timedelta(minutes=answered)
            ended_at = None if later is None else answered_at + dt.timedelta(minutes=later)
            connection.execute(
                "INSERT INTO calls VALUES (?, ?, 'sav', ?, ?, ?, NULL)",
                [f"c{number}", agent, queue, answered_at, ended_at],
            )
        whole = connection.execute(f"{work_of_day(day, 'FROM calls')} ORDER BY ALL").fetchall()
        parts = [work_of_day(day, "FROM calls", piece, pieces) for piece in range(pieces)]
        assert connection.execute(f"{' UNION ALL '.join(map('({})'.format, parts))} ORDER BY ALL").fetchall() == whole
