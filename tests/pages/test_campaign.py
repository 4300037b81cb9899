"""The campaign page: the usual weekday, weeks by weekday and hour, queues and calls; and what clients must not see."""

import dataclasses
import re
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from metrics import readers
from metrics.authorisation.suppression import SMALLEST, WORK_FIGURES
from metrics.authorisation.viewer import Viewer
from metrics.clock import now
from metrics.configuration.campaigns import Campaign
from metrics.readers import FIGURES, CallFilters, Published
from pages.accounts.sessions import COOKIE
from pages.day import timeline
from pages.figure import call_list
from pages.shared import i18n, ticks
from pages.wall import tiles
from tests.support.dashboard.browsing import browser, dashboard, drawn, needs_chromium, open_tab
from tests.support.dashboard.drawing import headline, open_page, section, words
from tests.support.dashboard.people import session_of
from tests.support.floor_file import FLOOR, MANAGER, MIXED, NOON, publish
from tests.support.processes import WITHIN_S, wait_for
from tests.support.published import Row, at, call, campaign
from tests.support.published import publish as publish_rows

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = pytest.mark.slow

CLIENT = Viewer("client", frozenset({"c", "north"}))


def published_rows(tmp_path: Path, calls: list[Row], of: Campaign | None = None, as_of: str = "10:00") -> Published:
    place = tmp_path / f"{as_of}.duckdb"
    publish_rows(place, calls, campaigns=[of or campaign()], as_of=as_of).close()
    return Published(place)


def calls_at(moment: str, *waits: float, of: Campaign | None = None, **fields: Any) -> list[Row]:
    return [call(wait=wait, queued=moment, of=of, **fields) for wait in waits]


# the same weekday


def test_usual_is_the_mean_of_the_same_weekdays_that_had_calls(tmp_path: Path) -> None:
    calls = [
        *calls_at("2026-11-23 09:20", 5, 99),
        *calls_at("2026-11-16 09:05", 5, 5, 5, 99),  # 3 of 4 in time
        *calls_at("2026-11-16 15:00", 5),
        *calls_at("2026-11-09 09:14:59", 99, 99),  # 0 of 2
        *calls_at("2026-11-20 09:05", *[5] * 50),  # a Friday
        *calls_at("2026-10-19 09:05", *[5] * 50),  # five weeks before
    ]
    compared = readers.compare(published_rows(tmp_path, calls), MANAGER, "c")
    assert compared is not None
    assert compared.days == (date(2026, 11, 9), date(2026, 11, 16))  # the other two Mondays had no calls
    nine, three = compared.usual_at(at("09:00")), compared.usual_at(at("15:00"))
    assert nine and three
    assert (nine.intervals, nine.mean("offered"), three.mean("offered")) == (2, 3.0, 0.5)
    assert nine.kpis.service_level == 3 / 6  # the ratio of the sums; the mean of the ratios would be 0.375
    assert compared.until == at("10:00") and compared.own is not None and compared.usual_so_far is not None
    assert (compared.own.offered, compared.own.service_level) == (2, 0.5)
    assert compared.usual_so_far.kpis.offered == 6  # without the call at 15:00, which is later than now


def test_a_comparison_ends_with_the_last_complete_interval(tmp_path: Path) -> None:
    calls = [*calls_at("09:05", 5), *calls_at("09:31", 5), *calls_at("2026-11-16 09:05", 5)]
    reader = published_rows(tmp_path, calls, as_of="09:40")
    quarter, hour = (readers.compare(reader, MANAGER, "c", minutes=minutes) for minutes in (15, 60))
    assert quarter and hour and quarter.own and hour.own
    assert (quarter.until, quarter.own.offered) == (at("09:30"), 1)
    assert (hour.until, hour.own.offered) == (at("09:00"), 0)
    early = readers.compare(published_rows(tmp_path, calls, as_of="00:10"), MANAGER, "c")
    assert early is not None and (early.until, early.own, early.usual_so_far) == (None, None, None)


def test_without_earlier_days_there_is_no_mean(tmp_path: Path) -> None:
    compared = readers.compare(published_rows(tmp_path, calls_at("09:05", 5)), MANAGER, "c")
    assert compared is not None and (compared.days, compared.usual_at(at("09:00"))) == ((), None)


def test_a_past_day_is_compared_in_full(tmp_path: Path) -> None:
    calls = [*calls_at("2026-11-16 15:00", 5), *calls_at("2026-11-09 23:59", 5, 5), *calls_at("09:00", 5)]
    compared = readers.compare(published_rows(tmp_path, calls), MANAGER, "c", day=date(2026, 11, 16))
    assert compared is not None and compared.until == compared.campaign.t1
    assert (
        compared.own and compared.usual_so_far and (compared.own.offered, compared.usual_so_far.kpis.offered) == (1, 2)
    )


def test_usual_is_by_local_time(tmp_path: Path) -> None:
    paris = campaign(zone="Europe/Paris")
    calls = [
        *calls_at("2026-10-25 00:30", 5, of=paris),  # 2:30 in summer time
        *calls_at("2026-10-25 01:30", 5, of=paris),  # 2:30 again, in winter time
        *calls_at("2026-10-25 08:05", 5, of=paris),  # 9:05
        *calls_at("2026-10-18 07:05", 5, of=paris),  # 9:05, a week before, in summer time
    ]
    reader = published_rows(tmp_path, calls, paris, as_of="2026-11-01 12:00")
    compared = readers.compare(reader, MANAGER, "c")
    assert compared is not None
    nine, repeated = compared.usual_at(at("2026-11-01 08:00")), compared.usual_at(at("2026-11-01 01:30"))
    assert nine and (nine.intervals, nine.mean("offered")) == (2, 1.0)
    assert repeated and (repeated.intervals, repeated.kpis.offered) == (3, 2)


# weeks by weekday and hour


def test_weeks_add_up_by_weekday_and_hour(tmp_path: Path) -> None:
    calls = [
        *calls_at("2026-11-16 09:05", 5, 5, 5, 99, talk=60.0),
        *calls_at("2026-11-09 09:55", 99, talk=560.0),
        *calls_at("2026-11-18 22:00", 5),
        *calls_at("2026-11-23 09:05", 5),  # today is not over
        *calls_at("2026-10-19 09:05", 5),  # five weeks ago
    ]
    reader = published_rows(tmp_path, calls)
    four, eight = (readers.weeks(reader, MANAGER, "c", count) for count in (4, 8))
    assert four and eight
    assert four.days == (date(2026, 11, 9), date(2026, 11, 16), date(2026, 11, 18))
    assert (four.first, four.until) == (date(2026, 10, 26), date(2026, 11, 23))
    monday, wednesday = four.cells[0, 9], four.cells[2, 22]
    assert (monday.intervals, monday.mean("offered"), monday.kpis.service_level) == (2, 2.5, 3 / 5)
    assert monday.kpis.aht_s == (4 * 60 + 560) / 5
    assert (wednesday.intervals, wednesday.kpis.offered) == (1, 1)
    assert (
        four.cells[0, 10].kpis.service_level is None and (1, 9) not in four.cells
    )  # an hour without calls, and a closed day
    assert eight.cells[0, 9].kpis.offered == 6
    with pytest.raises(ValueError, match="allowed are"):
        readers.weeks(reader, MANAGER, "c", 5200)


def test_a_late_event_is_in_the_weeks_and_in_the_usual_day_after_some_seconds(tmp_path: Path) -> None:
    place = tmp_path / "published" / "vigie.duckdb"
    reader = Published(place)
    seen = []
    for seconds in (0, 10, 20):
        calls = [{"campaign": "north", "queued_at": NOON - timedelta(days=7)}] * (seconds + 1)
        publish(place, campaigns=FLOOR, calls=calls, as_of=NOON + timedelta(seconds=seconds))
        weeks, usual = readers.weeks(reader, MANAGER, "north"), readers.compare(reader, MANAGER, "north")
        assert readers.board(reader, MANAGER) and weeks is not None and usual is not None
        at_noon = usual.usual_at(NOON)
        seen.append((weeks.cells[NOON.weekday(), 12].kpis.offered, at_noon and at_noon.kpis.offered))
    assert seen == [(1, 1), (1, 1), (21, 21)]


@pytest.mark.parametrize("ask", [readers.weeks, readers.compare])
def test_the_weeks_of_all_campaigns_of_a_zone_are_asked_once(tmp_path: Path, ask: Any) -> None:
    named = {name: campaign(name, zone) for name, zone in (("a", "UTC"), ("b", "UTC"), ("paris", "Europe/Paris"))}
    calls = [
        *calls_at("2026-11-16 09:05", 5, of=named["a"], campaign="a"),
        *calls_at("2026-11-16 09:05", 5, 5, of=named["b"], campaign="b"),
        *calls_at("2026-11-16 09:05", 5, 5, 5, of=named["paris"], campaign="paris"),
    ]
    publish_rows(tmp_path / "v.duckdb", calls, campaigns=named.values(), as_of="10:00").close()
    reader = Published(tmp_path / "v.duckdb")

    def questions() -> int:
        return sum(isinstance(question, tuple) and question[0] in ("weeks", "compared") for question in reader._kept)

    found = [ask(reader, MANAGER, name) for name in ("a", "b")]
    assert questions() == 1
    found += [ask(reader, viewer, "paris") for viewer in (MANAGER, Viewer("client", frozenset({"paris"})))]
    assert questions() == 2
    if ask is readers.weeks:
        assert [next(cell.kpis.offered for cell in weeks.cells.values() if cell.kpis.offered) for weeks in found] == [
            1,
            2,
            3,
            3,
        ]
    else:
        assert [max(added.kpis.offered for added in of.usual.values()) for of in found] == [1, 2, 3, 3]


# queues


def test_a_day_by_its_queues(tmp_path: Path) -> None:
    calls = [
        *calls_at("09:00", 5, 99, queue="sales"),
        *calls_at("09:00", 5, 5, 5, queue="care"),
        *calls_at("2026-11-22 09:00", 5, queue="care"),
    ]
    reader = published_rows(tmp_path, calls)
    queues = readers.queues(reader, MANAGER, "c")
    assert [(name, kpis.offered, kpis.service_level) for name, kpis in queues] == [("care", 3, 1.0), ("sales", 2, 0.5)]
    assert [(name, kpis.offered) for name, kpis in readers.queues(reader, MANAGER, "c", date(2026, 11, 22))] == [
        ("care", 1)
    ]
    day = readers.day(reader, MANAGER, "c")
    assert day and day.total and day.total.offered == sum(kpis.offered for _name, kpis in queues)


def test_queues_and_weeks_are_not_shown_to_other_viewers(tmp_path: Path) -> None:
    reader = published_rows(tmp_path, calls_at("09:00", 5))
    for viewer in (Viewer("client", frozenset({"other"})), Viewer("television", None)):
        assert readers.queues(reader, viewer, "c") == ()
        assert readers.compare(reader, viewer, "c") is None and readers.weeks(reader, viewer, "c") is None


# what clients must not see

TALK_S = 4242.0  # 1:10:42
CANARY = {"talk": TALK_S, "hold": 17.0, "wrap": 29.0, "agent": "zqcanaryqz"}


def work_fields(answer: object) -> Iterator[tuple[str, object]]:
    """Yield name and value of every field about how people work, at any depth."""
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        for field in dataclasses.fields(answer):
            value = getattr(answer, field.name)
            if field.name in {*WORK_FIGURES, *call_list.WORK_COLUMNS} and value is not None:
                yield field.name, value
            yield from work_fields(value)
    elif isinstance(answer, Mapping):
        for name, value in answer.items():
            if name in WORK_FIGURES and value is not None:
                yield name, value
            yield from work_fields(value)
    elif isinstance(answer, tuple):
        for item in answer:
            yield from work_fields(item)


def everything(reader: Published, viewer: Viewer) -> list[object]:
    """Call the readers of the campaign, calls and figures pages with all their options."""
    day = readers.campaign(reader, viewer, "c")
    assert day is not None
    answers: list[object] = [readers.board(reader, viewer), readers.weeks(reader, viewer, "c")]
    spans = ((day.t0, day.t1), (at("09:00"), at("09:15")), (at("08:00"), at("09:00:01")))
    for on in (None, date(2026, 11, 16)):
        answers += [readers.queues(reader, viewer, "c", on), readers.shifts(reader, viewer, "c", on or day.day)]
        answers += [readers.day(reader, viewer, "c", day=on, minutes=minutes) for minutes in readers.STEPS]
        answers += [readers.compare(reader, viewer, "c", day=on, minutes=minutes) for minutes in readers.STEPS]
    for t0, t1 in spans:
        answers += [readers.explain(reader, viewer, "c", kpi, t0, t1) for kpi in FIGURES]
        answers += [readers.calls(reader, viewer, "c", t0, t1, CallFilters(), page=page) for page in (1, None)]
    return answers


def test_no_reader_gives_a_client_working_times(tmp_path: Path) -> None:
    calls = [*calls_at("09:00", 5, **CANARY), *calls_at("2026-11-16 09:00", 5, **CANARY)]
    reader = published_rows(tmp_path, calls)
    assert {name for name, _value in work_fields(tuple(everything(reader, MANAGER)))} > {
        "aht_s",
        "talk_s",
        "ended_at",
        "agent",
    }
    assert list(work_fields(tuple(everything(reader, CLIENT)))) == []
    listed = readers.calls(reader, CLIENT, "c", at("09:00"), at("09:15"), CallFilters())
    assert listed is not None
    (only,) = listed.calls
    assert (only.wait_s, only.answered_at, only.hit) == (5.0, at("09:00:05"), True)  # a client may see these
    day = readers.day(reader, CLIENT, "c")
    assert day and day.total and (day.total.offered, day.total.service_level, day.total.asa_s) == (1, 1.0, 5.0)
    assert readers.explain(reader, CLIENT, "c", "aht_s", at("09:00"), at("09:15")) is None
    assert readers.explain(reader, CLIENT, "c", "asa_s", at("09:00"), at("09:15")) is not None


def test_work_figures_are_those_made_of_peoples_time() -> None:
    assert {"aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "occupancy", "utilisation"} <= WORK_FIGURES
    assert {"talk_s", "hold_s", "wrap_s", "busy_s", "available_s", "paused_s", "workload_s"} <= WORK_FIGURES
    of_calls = {"service_level", "asa_s", "abandon_rate", "longest_wait_s", "answered", "handled", "conversion"}
    assert not of_calls & WORK_FIGURES


@pytest.mark.parametrize(
    ("logged_in", "is_told"),
    [
        pytest.param(0, True, id="nobody: counts identify no one"),
        pytest.param(1, False, id="one person: their state would show"),
        pytest.param(SMALLEST - 1, False, id="one fewer than the minimum"),
        pytest.param(SMALLEST, True, id="the minimum"),
    ],
)
def test_a_client_does_not_see_states_of_few_agents(path: Path, logged_in: int, is_told: bool) -> None:
    agents = {f"a{n}": ("north", "busy") for n in range(logged_in)}
    publish(path, campaigns=FLOOR, agents=agents | {"b": ("sud", "paused")}, as_of=now())
    reader = Published(path)
    client, manager = readers.board(reader, CLIENT), readers.board(reader, MANAGER)
    assert client and manager
    (north,) = client.campaigns
    assert (north.agents is not None) is is_told and (client.agents is not None) is is_told
    assert next(tile for tile in manager.campaigns if tile.campaign.campaign == "north").agents == readers.AgentCounts(
        busy=logged_in
    )
    text = words("".join(html.proto.body for html in open_page("campaign.py", viewer=CLIENT).get("html")))
    assert ("Not shown: it would describe fewer than 5 people." in text) is not is_told


def test_a_managers_cached_wall_is_not_shown_to_a_client(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, as_of=NOON)
    reader = Published(path)
    drawn_for = {}
    for role in ("manager", "client"):  # the manager first, so that the cache could leak
        viewer = Viewer(role, frozenset({"north"}))  # type: ignore[arg-type]
        board = readers.board(reader, viewer)
        assert board is not None
        drawn_for[role] = words(tiles.draw(board, viewer, i18n.text("en"), 0.0, 1.0))
    assert "2:00 AHT" in drawn_for["manager"] and "Occupancy" in drawn_for["manager"]
    assert "AHT" not in drawn_for["client"] and "Occupancy" not in drawn_for["client"] and "ASA" in drawn_for["client"]


def test_no_page_shows_a_client_handling_times(path: Path) -> None:
    of = campaign("north")
    as_of = now()
    calls = [call(of=of, wait=5, queued=as_of - timedelta(hours=2), **CANARY)]
    path.parent.mkdir(parents=True)
    publish_rows(path, calls, campaigns=[of], as_of=as_of).close()
    day = (as_of - timedelta(hours=2)).date().isoformat()
    pages = [("campaign.py", {"day": day}), ("calls.py", {"day": day})]
    pages += [("kpi.py", {"day": day, "kpi": kpi}) for kpi in FIGURES]
    shown: dict[str, str] = {}
    for viewer in (MANAGER, CLIENT):
        shown[viewer.role] = ""
        for page, query in pages:
            test = open_page(page, viewer=viewer, campaign="north", **query)
            texts = [*test.caption, *test.info, *test.markdown]
            shown[viewer.role] += "".join(
                [html.proto.body for html in test.get("html")] + [element.value for element in texts]
            )
    for canary in ("1:10:42", "1:11:28", "zqcanaryqz"):  # talk time, handle time, agent
        assert canary in shown["manager"] and canary not in shown["client"]
    privacy = "is shown for whole months only, on the contract page"
    assert privacy in shown["client"] and privacy not in shown["manager"]
    reader = Published(path)
    span = as_of - timedelta(days=1), as_of
    for viewer, is_seen in ((MANAGER, True), (CLIENT, False)):
        listed = readers.calls(reader, viewer, "north", *span, CallFilters(), page=None)
        assert listed is not None
        sheet = call_list.as_csv(listed.calls, "UTC", worked=viewer.sees_work).decode("utf-8-sig")
        assert ("4242" in sheet) is is_seen and ("talk_s" in sheet) is is_seen and ("ended_at" in sheet) is is_seen
        assert ",5.0," in sheet  # the wait


# the page


OTHERS = ("voicemail", "overflowed", "callback")


def busy_floor(path: Path, as_of: datetime, *more: Row) -> None:
    """Publish a campaign of two queues with calls today, yesterday and a week ago, and the calls in `more`."""
    of = campaign("north")
    calls = [
        call("abandoned" if n % 4 == 3 else "answered", of=of, wait=10 + n, queued=as_of - ago, queue=queue)
        for n in range(8)
        for queue in ("care", "sales")
        for ago in (timedelta(minutes=30 + n), timedelta(days=7, minutes=30 + n), timedelta(days=1, hours=1))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_rows(path, [*calls, *more], campaigns=[of], as_of=as_of).close()


def test_the_campaign_page_breaks_down_the_day(path: Path) -> None:
    as_of = now().replace(hour=12, minute=5)
    busy_floor(path, as_of)
    test = open_page("campaign.py", campaign="north")
    assert headline(test)["Offered"] == "16"
    outcomes = section(test, "vigie-table sums shares")
    assert "Answered 12 75.0%" in outcomes and "Offered 16 = Answered 12 + Abandoned 4" in outcomes
    queues = section(test, "vigie-table sums queues")
    assert "care 8 2" in queues and "sales 8 2" in queues
    usual = section(test, "vigie-table sums compared")
    assert f"Usual {as_of:%A}" in usual and "Usual: 1 day only" in usual and "Offered 16 16 =" in usual
    (body,) = [html.proto.body for html in test.get("html") if "vigie-table sums shares" in html.proto.body]
    assert 'href="calls?campaign=north&amp;outcome=abandoned"' in body
    html = "".join(element.proto.body for element in test.get("html"))
    assert 'href="calls?campaign=north&amp;queue=care"' in html
    assert "outcome=abandoned" in html and "outcome=answered" in html and "outcome=other" not in html
    chart, _of_agents = test.get("plotly_chart")
    assert "16 offered, service level" in str(chart.proto)


def test_a_page_shows_one_snapshot_though_the_next_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_of = now().replace(hour=12, minute=5)
    busy_floor(path, as_of)
    line = timeline.now_line

    def publish_and_draw(*of: Any) -> str:
        later = path.with_suffix(".next")
        more = [call(of=campaign("north"), queued=as_of - timedelta(minutes=5)) for _ in range(3)]
        busy_floor(later, as_of + timedelta(seconds=30), *more)
        later.replace(path)
        return line(*of)

    monkeypatch.setattr(timeline, "now_line", publish_and_draw)
    assert headline(open_page("campaign.py", campaign="north"))["Offered"] == "16"
    monkeypatch.setattr(timeline, "now_line", line)
    assert headline(open_page("campaign.py", campaign="north"))["Offered"] == "19"


def test_only_the_first_drawing_pauses_before_what_is_below_the_fold(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(ticks, "sleep", pauses.append)
    busy_floor(path, now())
    page = open_page("campaign.py", campaign="north")
    assert pauses == [ticks.HEAD_START_S]
    page.run()
    assert pauses == [ticks.HEAD_START_S]
    assert "By interval" in [heading.value for heading in page.subheader]


def test_a_page_that_begins_with_a_chart_runs_plotly_after_streamlit(path: Path, tmp_path: Path) -> None:
    busy_floor(path, now())
    with dashboard(tmp_path) as running:
        for page, expected in (("campaign", ["index", "PlotlyChart"]), ("wallboard", ["index"])):
            headers = {"Accept": "text/html", "Cookie": f"{COOKIE}={session_of(MANAGER)}"}
            request = urllib.request.Request(f"{running.address}/{page}", headers=headers)
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                html = answer.read().decode()
            scripts = re.findall(r'<script type="module" crossorigin src="[^"]*/static/js/(\w+)', html)
            assert scripts == expected


def test_weeks_show_the_requested_figure(path: Path) -> None:
    as_of = now().replace(hour=12, minute=5)
    busy_floor(path, as_of)
    for measure, shown in (("offered", "16"), ("service_level", "75%"), ("abandon_rate", "25%"), ("aht_s", "3:00")):
        heat = section(open_page("campaign.py", campaign="north", measure=measure), 'class="vigie-heat"')
        assert "Mon Tue Wed Thu Fri Sat Sun" in heat
        assert shown in heat or measure == "service_level"
        assert "–" in heat  # hours without calls
    for nonsense in ({"measure": "agent"}, {"weeks": "9999"}, {"measure": "", "weeks": "x"}):
        assert "16" in section(open_page("campaign.py", campaign="north", **nonsense), 'class="vigie-heat"')
    client = open_page("campaign.py", viewer=CLIENT, campaign="north", measure="aht_s")
    assert "3:00" not in section(client, 'class="vigie-heat"') and "16" in section(client, 'class="vigie-heat"')


def test_only_viewers_who_may_see_agents_read_their_names(path: Path) -> None:
    agents = {f"agent {n}": ("north", "busy") for n in range(6)}
    publish(path, campaigns=FLOOR, agents=agents | {"elsewhere": ("sud", "busy")}, as_of=now())
    agents_html = section(open_page("campaign.py", campaign="north"), 'class="vigie-agents')
    assert "6 agents" in agents_html and "agent 3" in agents_html and "elsewhere" not in agents_html
    client = open_page("campaign.py", viewer=CLIENT, campaign="north")
    html = "".join(element.proto.body for element in client.get("html"))
    assert "agent 3" not in html and "0 Available" not in html
    assert "Available 0 Busy 6 Wrap-up 0 Paused 0" in section(client, "vigie-tiles four")
    elsewhere = open_page("campaign.py", viewer=Viewer("manager", None, sites=frozenset({"Fès"})), campaign="north")
    assert "agent 3" not in section(elsewhere, 'class="vigie-agents')


# who worked on a past day

YESTERDAY = NOON - timedelta(days=1)


def worked(agent: str, of: str, *states: tuple[int, str], site: str = "Rabat") -> dict[str, Any]:
    """Return an agent's row and states of yesterday, from (hour, state). Each lasts until the next."""
    hours = [YESTERDAY.replace(hour=hour) for hour, _state in states]
    spans = [
        {"agent": agent, "campaign": of, "state": state, "started_at": start, "ended_at": end}
        for (_hour, state), start, end in zip(states, hours, hours[1:], strict=False)
    ]
    return {"agents": {agent: {"campaign": of, "state": "offline", "site": site}}, "states": spans}


def past_floor() -> dict[str, Any]:
    """Yesterday Ana worked 8 h for north, with a pause of 2 h, Zoe 2 h for north and 3 h for sud. Bea missed a call."""
    zoe = [
        worked("Zoe", "north", (8, "busy"), (9, "available"), (10, "offline"), site="Fès"),
        worked("Zoe", "sud", (10, "busy"), (13, "offline"), site="Fès"),
    ]
    ana = worked("Ana", "north", (8, "available"), (10, "busy"), (13, "paused"), (15, "wrap_up"), (16, "offline"))
    calls = [{"agent": "Ana", "queued_at": YESTERDAY.replace(hour=10, minute=n)} for n in (0, 30)]
    calls += [{"agent": "Zoe", "queued_at": YESTERDAY.replace(hour=8), "missed_by": ["Bea", "Ana"]}]
    calls += [{"agent": "Ana", "queued_at": NOON - timedelta(hours=1)}]  # a call of today
    return {
        "agents": {"Bea": {"campaign": "north", "state": "busy", "site": "Rabat"}} | ana["agents"] | zoe[0]["agents"],
        "states": ana["states"] + zoe[0]["states"] + zoe[1]["states"],
        "calls": [{"campaign": "north"} | call for call in calls],
    }


def test_agents_of_a_past_day(path: Path) -> None:
    publish(path, campaigns=FLOOR, **past_floor())
    reader = Published(path)
    north = readers.shifts(reader, MANAGER, "north", YESTERDAY.date())
    assert north is not None and north.shifts is not None and north.people == 3
    ana, bea, zoe = north.shifts
    assert (ana.agent, ana.answered, ana.aht_s, ana.missed, ana.site) == ("Ana", 2, 120, 1, "Rabat")
    assert (ana.logged_in_s, ana.paused_s) == (8 * 3600, 2 * 3600)
    assert (ana.occupancy, ana.utilisation) == (4 / 6, 4 / 8)  # 3 h busy and 1 in wrap-up, 2 h available, 2 paused
    assert (zoe.agent, zoe.answered, zoe.logged_in_s, zoe.occupancy) == (
        "Zoe",
        1,
        2 * 3600,
        0.5,
    )  # without the work for sud
    assert (bea.agent, bea.missed, bea.answered, bea.occupancy) == ("Bea", 1, None, None)
    sud = readers.shifts(reader, MANAGER, "sud", YESTERDAY.date())
    assert sud is not None and sud.shifts is not None
    assert [(shift.agent, shift.answered, shift.logged_in_s) for shift in sud.shifts] == [("Zoe", 0, 3 * 3600)]
    before = readers.shifts(reader, MANAGER, "north", date(2026, 11, 21))
    assert before is not None and (before.people, before.shifts) == (0, ())


def test_only_viewers_who_may_see_agents_get_those_of_a_past_day(path: Path) -> None:
    floor = past_floor()
    few = [{"campaign": "sud", "agent": f"a{n}", "queued_at": YESTERDAY} for n in range(SMALLEST)]
    publish(path, campaigns=FLOOR, **floor | {"calls": floor["calls"] + few})
    reader = Published(path)
    assert readers.shifts(
        reader, MANAGER, "north", YESTERDAY.date()
    )  # the manager's answer is cached, and must not leak
    rabat = readers.shifts(reader, Viewer("manager", None, sites=frozenset({"Rabat"})), "north", YESTERDAY.date())
    assert rabat is not None and rabat.shifts is not None
    assert [shift.agent for shift in rabat.shifts] == ["Ana", "Bea"] and rabat.people == 2
    few_people, enough = (
        readers.shifts(reader, Viewer("client", frozenset({of})), of, YESTERDAY.date()) for of in ("north", "sud")
    )
    assert few_people is not None and (few_people.people, few_people.shifts) == (None, None)
    assert enough is not None and (enough.people, enough.shifts) == (SMALLEST + 1, None)
    for viewer in (Viewer("client", frozenset({"sud"})), Viewer("television", None)):
        assert readers.shifts(reader, viewer, "north", YESTERDAY.date()) is None


def test_a_past_day_shows_its_agents_and_links_to_their_calls(path: Path) -> None:
    publish(path, campaigns=FLOOR, **past_floor())
    day = f"{YESTERDAY:%Y-%m-%d}"
    test = open_page("campaign.py", campaign="north", day=day)
    text = section(test, 'class="vigie-agents')
    assert "3 agents Agent Time logged in Calls AHT Occupancy Utilisation Time in pauses Missed offers" in text
    assert "Ana Rabat 8:00:00 2 2:00 67% 50% 2:00:00 1 Bea Rabat – – – – – – 1 Zoe Fès 2:00:00 1 2:00 50% 50%" in text
    html = "".join(element.proto.body for element in test.get("html"))
    assert f'href="calls?campaign=north&amp;day={day}&amp;agent=Ana&amp;outcome=answered"' in html
    assert f'href="calls?campaign=north&amp;day={day}&amp;missed_by=Bea"' in html
    assert f'href="kpi?campaign=north&amp;day={day}&amp;agent=Ana&amp;kpi=utilisation"' in html
    explained = open_page("kpi.py", campaign="north", day=day, agent="Ana", kpi="utilisation")
    assert "Utilisation · Ana 50.0%" in section(explained, 'class="vigie-explained"')
    listed = open_page("calls.py", campaign="north", day=day, agent="Ana", outcome="answered")
    assert any(element.value.startswith("**2 calls**") for element in listed.markdown)
    client = open_page("campaign.py", viewer=CLIENT, campaign="north", day=day)
    html = "".join(element.proto.body for element in client.get("html"))
    assert "Not shown: it would describe fewer than 5 people." in html
    assert not any(secret in html for secret in ("Ana", "Zoe", "Rabat", "Time logged in", "67%"))


def place_of(element: "Locator") -> int:
    """Return how far below the top of the window an element begins [px]."""
    box = element.bounding_box()
    assert box is not None
    return round(box["y"])


@needs_chromium
def test_bars_and_links_open_their_calls_and_a_tick_keeps_the_focus(path: Path) -> None:
    as_of = now().replace(hour=12, minute=5)
    left = [call(outcome, of=campaign("north"), queued=as_of - timedelta(minutes=32)) for outcome in OTHERS]
    busy_floor(path, as_of, *left)
    with dashboard(path.parent.parent) as running, browser() as chromium:
        page = open_tab(chromium, running.address, session_of(MANAGER))
        address = f"{running.address}/campaign?campaign=north&minutes=60"
        for trace in range(3):  # answered, abandoned, other: each bar opens all calls of its interval
            page.goto(address)
            bars = page.locator(".js-plotly-plot .barlayer .trace").nth(trace).locator(".point path")
            bars.first.wait_for(state="attached")
            drawn(page)
            page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
            boxes = [box for n in range(bars.count()) if (box := bars.nth(n).bounding_box()) and box["height"] > 4]
            page.mouse.click(boxes[0]["x"] + boxes[0]["width"] / 2, boxes[0]["y"] + boxes[0]["height"] / 2)
            page.wait_for_url("**/calls?**order=wait**")
            page.locator("strong", has_text=f"{12 + 4 + len(OTHERS)} calls").wait_for()

        page.goto(address)
        link = page.locator(".vigie-table.numbers tbody tr", has_text="19").locator("th a")
        drawn(page)
        link.focus()  # which scrolls to it
        chart = page.locator(".js-plotly-plot").first
        at = place_of(chart)
        assert at < 0
        before = page.evaluate("document.activeElement.getAttribute('href')")
        assert before.startswith("calls?campaign=north&from=")
        calls = [call(of=campaign("north"), wait=5, queued=as_of - timedelta(minutes=40))]
        place = path.with_suffix(".next")
        publish_rows(place, calls * 9, campaigns=[campaign("north")], as_of=as_of + timedelta(seconds=30)).close()
        place.replace(path)
        page.locator(".vigie-table.numbers tfoot", has_text="Day9").wait_for()
        wait_for(lambda: page.evaluate("document.activeElement.getAttribute('href')") == before, "the focus")
        assert place_of(chart) == at  # the page was not scrolled under the reader
        page.keyboard.press("Enter")
        page.wait_for_url("**/calls?**")
        drawn(page)
        page.locator("strong", has_text="9 calls").wait_for()
