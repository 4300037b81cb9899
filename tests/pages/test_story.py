"""The page of one call, the campaign page's agents by interval and its overlay, and the summary of all campaigns."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.drawing import HOSTILE, open_page, section, words
from tests.support.published import Row, at, call, campaign, publish, state

pytestmark = pytest.mark.slow

NORTH = campaign("north", recording="https://rec.example/{call_id}")
CLIENT = Viewer("client", frozenset({"north"}))
DAY = "2026-11-23"


def offer(moment: str, agent: str, *, missed: bool = False) -> Row:
    return {"ts": at(f"{DAY} {moment}"), "agent": agent, "missed": missed}


ANSWERED = call(
    of=NORTH, call_id="c1", linked_id="p1", queued="09:00", wait=40, until="09:05", wrap=30.0, transferred=True,
    offers=[offer("09:00:05", "bea"), offer("09:00:25", "bea", missed=True), offer("09:00:30", "ana")],
    holds=[{"ts": at(f"{DAY} 09:02"), "held": True}, {"ts": at(f"{DAY} 09:03"), "held": False}],
    caller="+33•••••••89", disposition="=1+1",
)  # fmt: skip
SECOND = call(of=NORTH, call_id="c2", linked_id="p1", queued="09:05", wait=10, queue=HOSTILE)


@pytest.fixture
def floor(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    late = [call("abandoned", of=NORTH, wait=60, queued="09:31") for _ in range(9)]
    before = [call(of=NORTH, wait=5, queued=f"{day} 09:31") for day in ("2026-11-16", "2026-11-09") for _ in range(3)]
    states = [
        state("available", f"{day} 09:00", f"{day} 10:00", agent=f"a{n}", of="north")
        for day, agents in ((DAY, 2), ("2026-11-16", 6), ("2026-11-09", 6))
        for n in range(agents)
    ]
    publish(path, [ANSWERED, SECOND, *late, *before], states, campaigns=[NORTH], as_of="12:00").close()
    yield path


def test_a_call_shows_its_steps_and_those_of_its_linked_calls(floor: Path) -> None:
    page = section(open_page("call.py", campaign="north", day=DAY, call="c1", lang="en"), 'class="vigie-story"')
    steps = (
        *("Entered the queue q", "Rang for bea", "bea did not pick up", "Rang for ana", "Answered by ana"),
        *("Put on hold", "Back from hold", "Transferred by ana", "Wrap-up done"),
    )
    places = [page.index(step) for step in steps]
    assert places == sorted(places)
    assert "09:00:25 +0:25 1 bea did not pick up" in page
    assert "Result: =1+1" in page and "Listen to the recording" in page


def test_names_in_a_story_are_text_and_never_html(floor: Path) -> None:
    test = open_page("call.py", campaign="north", day=DAY, call="c2")
    html = "".join(element.proto.body for element in test.get("html"))
    assert "<script>alert" not in html and words(html).count("alert(")


def test_a_client_reads_no_agent_no_work_and_no_recording(floor: Path) -> None:
    test = open_page("call.py", CLIENT, campaign="north", day=DAY, call="c1", lang="en")
    page = section(test, 'class="vigie-story"')
    assert "Entered the queue q" in page and "Answered by an agent" in page
    for secret in ("ana", "bea", "hold", "Wrap-up", "Transferred", "Listen"):
        assert secret not in page.replace("an agent", ""), secret


@pytest.mark.parametrize(
    "parameters", [{}, {"call": "c1"}, {"call": "no-such", "day": DAY}, {"day": "x", "call": "c1"}]
)
def test_an_unknown_call_says_so(floor: Path, parameters: dict[str, str]) -> None:
    test = open_page("call.py", campaign="north", lang="en", **parameters)
    assert any("There is no such call here" in element.value for element in (*test.markdown, *test.subheader))


def test_a_list_of_calls_leads_to_each_story(floor: Path) -> None:
    test = open_page("calls.py", campaign="north", day=DAY, outcome="answered")
    html = "".join(element.proto.body for element in test.get("html"))
    assert set(re.findall(r'href="call\?campaign=north&amp;day=2026-11-23&amp;call=(\w+)"', html)) == {"c1", "c2"}


def test_a_bad_interval_says_why(floor: Path) -> None:
    page = section(open_page("campaign.py", campaign="north", day=DAY, table="agents", lang="en"), 'staffing"')
    (row,) = [row for row in re.findall(r"\d\d:\d\d–.*?(?=\d\d:\d\d–|$)", page) if row.startswith("09:30–09:45")]
    assert row.split()[1:6] == ["2.0", "2.0", "0.0", "0.0", "0.0"]
    assert "more calls than usual (+200%) · too few agents (2.0 on the phones, usually 6.0)" in row


def test_a_client_sees_no_agents_by_interval(floor: Path) -> None:
    test = open_page("campaign.py", CLIENT, campaign="north", day=DAY, table="agents", lang="en")
    html = "".join(element.proto.body for element in test.get("html"))
    assert 'numbers"' in html and 'staffing"' not in html and 'class="vigie-why"' not in html


@pytest.mark.parametrize(
    ("beside", "name"),
    [({}, "Usual Monday"), ({"beside": "before"}, "22/11/2026"), ({"beside": "2026-11-16"}, "16/11/2026")],
)
def test_a_chart_shows_a_day_beside_it(floor: Path, beside: dict[str, str], name: str) -> None:
    test = open_page("campaign.py", campaign="north", day=DAY, lang="en", **beside)
    charts = [json.loads(element.proto.spec)["data"] for element in test.get("plotly_chart")]
    (traces,) = [names for chart in charts if name in (names := [trace["name"] for trace in chart])]
    assert (f"{name}, Service level" in traces) == bool(beside)


def test_the_summary_has_a_row_for_each_campaign(floor: Path) -> None:
    test = open_page("summary.py", campaign="north", period="week", day=DAY, lang="en")
    page = section(test, "vigie-table numbers")
    assert "North · client 11" in page
    first = date.fromisoformat(DAY)
    assert any(f"{first + timedelta(days=6):%d}" in element.value for element in test.subheader)
