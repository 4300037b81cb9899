"""The agents page and its reader: a small floor of two clients, as a team leader sees it."""

import re
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from metrics import clock, readers
from metrics.authorisation.suppression import WORK_FIGURES
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import AgentLimits
from metrics.readers import Agent, Agents, Need, Published
from pages.shared import i18n
from pages.team import agent_table
from tests.support.dashboard.browsing import browser, dashboard, needs_chromium, open_tab
from tests.support.dashboard.drawing import HOSTILE, open_page, words
from tests.support.dashboard.people import session_of
from tests.support.floor_file import FLOOR, MANAGER, NOON, publish
from tests.support.processes import wait_for

pytestmark = pytest.mark.slow

CAMPAIGNS = {name: FLOOR[name] for name in ("north", "sud")}  # London and Casablanca: the same hours, two clients
LEADER = Viewer("manager", frozenset({"north"}))


def ago(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


def spent(
    agent: str, campaign: str, *states: tuple[float, str] | tuple[float, str, str], until: float | None = None
) -> list[dict[str, Any]]:
    """Return an agent's states from (minutes before noon, state[, reason]). Each lasts until the next."""
    ends = [*(minutes for minutes, *_ in states[1:]), until]
    return [
        {"agent": agent, "campaign": campaign, "state": state, "reason": reason[0] if reason else None}
        | {"started_at": ago(minutes), "ended_at": None if end is None else ago(end)}
        for (minutes, state, *reason), end in zip(states, ends, strict=True)
    ]


def handled(agent: str, campaign: str, *minutes: float, **fields: Any) -> list[dict[str, Any]]:
    """Return calls of two minutes that entered their queue this many minutes before noon."""
    return [{"agent": agent, "campaign": campaign, "queued_at": ago(m)} | fields for m in minutes]


def now(campaign: str, state: str, since: float, **fields: Any) -> dict[str, Any]:
    return {"campaign": campaign, "state": state, "since": ago(since)} | fields


def look(path: Path, viewer: Viewer = MANAGER, campaign: str | None = None, **floor: Any) -> Agents:
    publish(path, campaigns=CAMPAIGNS, **floor)
    agents = readers.agents(Published(path), viewer, campaign)
    assert agents is not None
    return agents


def needs(agent: Agent) -> list[tuple[str, float]]:
    return [(need.kind, need.value) for need in agent.needs]


def test_at_the_beginning_of_a_shift_the_page_tells_how_hard_the_last_one_was(path: Path) -> None:
    """Nothing is known of today. What would be the same line for everybody is left out."""
    states = [
        *spent("ana", "north", (1200, "busy"), (820, "available"), (800, "offline"), (5, "available")),
        *spent("bea", "north", (1200, "busy"), (1000, "available"), (800, "offline"), (5, "busy")),
        *spent("eva", "north", (5, "available")),
        *spent("ida", "north", (270, "busy")),
    ]
    agents = {name: now("north", "available", 5) for name in ("ana", "bea", "eva")} | {"ida": now("north", "busy", 270)}
    floor = look(path, states=states, agents=agents)
    by_name = {agent.name: agent for agent in floor.agents}
    assert needs(by_name["ana"]) == [("before", pytest.approx(0.95))]
    assert not needs(by_name["bea"]) and not needs(by_name["eva"])
    assert [agent.name for agent in floor.agents] == ["ida", "ana", "bea", "eva"]
    html = agent_table.draw(floor, agent_table.Chosen(), MANAGER, i18n.text("en"), stale=False)
    row = {name: words(html.partition(f">{name}<")[2].partition("</tr>")[0]).replace("\xa0", " ") for name in by_name}
    assert "An early break: last shift 95% busy" in row["ana"] and "95% last shift" in row["ana"]
    assert "50% last shift" in row["bea"] and "last shift" not in row["eva"]
    assert "due in" not in row["ana"] + row["bea"] + row["eva"]
    assert "20 min due in 90 min" in row["ida"]  # near enough to plan it


def test_an_agents_day_is_computed_by_the_macros(path: Path) -> None:
    states = spent(
        *("ana", "north", (240, "available"), (180, "busy"), (120, "paused", "break"), (110, "available")),
        *((60, "paused", "training"), (30, "available"), (15, "wrap_up")),
    )
    calls = handled("ana", "north", 170, 160) + handled("ana", "north", 150, outcome="abandoned", missed_by=["ana"])
    agents = look(path, calls=calls, states=states, agents={"ana": now("north", "wrap_up", 15, team="A", site="Fès")})
    (ana,) = agents.agents
    assert (ana.name, ana.team, ana.site, ana.state, ana.campaign_name) == (
        "ana",
        "A",
        "Fès",
        "wrap_up",
        "Customer care",
    )
    assert ana.state_s == 900 and ana.call_s is None and ana.hold_s is None
    assert ana.today is not None and (ana.today.answered, ana.today.handled, ana.today.aht_s) == (2, 2, 120)
    assert ana.today.occupancy == 75 / 200  # (60 busy + 15 wrap-up) / (those + 125 min available); pauses do not count
    assert ana.today.utilisation == 75 / 240
    assert ana.pauses is not None
    assert (ana.pauses.rests, ana.pauses.rest_s, ana.pauses.other_s) == (1, 600, 1800)
    assert (ana.missed, ana.missed_lately) == (1, 0)
    assert ana.strain is not None and ana.strain.occupancy == 0.5  # 15 of 30 min in the last hour
    assert (ana.strain.since_rest_s, ana.strain.since_break_s) == (110 * 60, 240 * 60)
    assert needs(ana) == [("wrap_up", 900)]


NEEDS = {
    # row of `agents`, states, calls → needs; the limits are the defaults of AgentLimits
    "nothing": (now("north", "available", 1), [], [], []),
    "in wrap-up for 180 s: not yet": (now("north", "wrap_up", 3), [], [], []),
    "in wrap-up for longer": (now("north", "wrap_up", 4), [], [], [("wrap_up", 240)]),
    "on hold for longer than 2 min": (
        now("north", "busy", 5, call_since=ago(5), held_since=ago(3)),
        *([], [], [("hold", 180)]),
    ),
    "on one call for longer than 20 min, and on hold": (
        now("north", "busy", 25, call_since=ago(24), held_since=ago(3)),
        *([], [], [("hold", 180), ("call", 1440)]),
    ),
    "a break past its 15 min": (now("north", "paused", 16, reason="break"), [], [], [("pause", 960)]),
    "lunch may last longer": (now("north", "paused", 16, reason="lunch"), [], [], []),
    "training longer than 45 min": (now("north", "paused", 46, reason="training"), [], [], [("pause", 2760)]),
    "two missed offers in the last hour": (
        now("north", "available", 1),
        [],
        handled("sara", "north", 50, 40, missed_by=["ana"]),
        [("missed", 2)],
    ),
    "one missed offer in the last hour and one before": (
        now("north", "available", 1),
        [],
        handled("sara", "north", 70, 40, missed_by=["ana"]),
        [],
    ),
    "88 % of the last hour": (
        now("north", "busy", 1),
        spent("ana", "north", (60, "available"), (52.8, "busy")),
        [],
        [("busy", 0.88)],
    ),
    "exactly 85 % is not too much": (
        now("north", "busy", 1),
        spent("ana", "north", (60, "available"), (51, "busy")),
        *([], []),
    ),
    "91 %": (
        now("north", "available", 5.4),
        spent("ana", "north", (60, "busy"), (5.4, "available")),
        [],
        [("too_busy", 0.91)],
    ),
    "paused now: nobody needs to relieve them": (
        now("north", "paused", 5, reason="break"),
        spent("ana", "north", (360, "busy"), (5, "paused", "break")),
        *([], []),
    ),
    "two hours without a rest": (
        now("north", "available", 70),
        spent("ana", "north", (120, "busy"), (70, "available")),
        [],
        [("rest_due", 7200)],
    ),
    "six hours without 20 minutes: one need for both limits": (
        now("north", "available", 70),
        spent("ana", "north", (360, "busy"), (70, "available")),
        [],
        [("break_due", 21600)],
    ),
    "in training, and due a rest": (
        now("north", "paused", 40, reason="training"),
        spent("ana", "north", (130, "busy"), (40, "paused", "training")),
        [],
        [("rest_due", 7800)],
    ),
    "eight calls in a row": (
        now("north", "busy", 30),
        spent("ana", "north", (60, "available"), (30, "busy")),
        handled("ana", "north", *range(2, 18, 2)),
        [("streak", 8)],
    ),
    "gone home": (
        now("north", "offline", 1),
        spent("ana", "north", (360, "busy"), (1, "offline")),
        *([], []),
    ),
}


@pytest.mark.parametrize(("row", "states", "calls", "expected"), NEEDS.values(), ids=NEEDS)
def test_needs_of_an_agent(path: Path, row: Any, states: Any, calls: Any, expected: Any) -> None:
    (ana,) = look(path, agents={"ana": row}, states=states, calls=calls).agents
    assert needs(ana) == [(kind, pytest.approx(value)) for kind, value in expected]


def test_agents_with_the_most_urgent_needs_come_first(path: Path) -> None:
    floor = {
        "Gone": now("north", "offline", 5),
        "bea": now("north", "busy", 1),
        "Ana": now("north", "available", 1),
        "long wrap-up": now("north", "wrap_up", 9),
        "longer wrap-up": now("north", "wrap_up", 10),
        "on hold": now("north", "busy", 9, call_since=ago(9), held_since=ago(9)),
        "lunch": now("north", "paused", 90, reason="lunch"),
    }
    names = [agent.name for agent in look(path, agents=floor).agents]
    assert names == ["on hold", "longer wrap-up", "long wrap-up", "lunch", "Ana", "bea", "Gone"]


TWO_CLIENTS: dict[str, Any] = {
    "agents": {
        "mine": now("north", "busy", 8),
        "theirs": now("sud", "busy", 4, team="CANARY"),
        "was mine": now("sud", "wrap_up", 30, reason="CANARY", call_since=ago(30), held_since=ago(30)),
        "was theirs": now("north", "available", 10),
        "nobody's": now("sud", "offline", 10) | {"campaign": None},
    },
    "states": spent("was mine", "north", (120, "busy"), (90, "available"), until=60)
    + spent("was mine", "sud", (60, "busy"), (30, "wrap_up"))
    + spent("was theirs", "sud", (200, "busy"), until=60)
    + spent("was theirs", "north", (60, "busy"), (10, "available")),
    "calls": handled("was mine", "north", 110, 100)
    + handled("was mine", "sud", 55, 50, 45, disposition="CANARY")
    + handled("was theirs", "sud", 150, 100)
    + handled("was theirs", "north", 40, missed_by=["was mine", "was theirs"])
    + handled("theirs", "sud", 20, missed_by=["was mine", "was theirs"]),
}


def test_a_leader_sees_only_agents_of_their_campaigns(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **TWO_CLIENTS)
    reader = Published(path)
    everybody = readers.agents(reader, MANAGER)
    assert everybody is not None and {agent.agent for agent in everybody.agents} == TWO_CLIENTS["agents"].keys()
    seen = readers.agents(reader, LEADER)
    assert seen is not None
    by_name = {agent.agent: agent for agent in seen.agents}
    assert list(by_name) == ["was theirs", "mine", "was mine"]  # due a rest; needs nothing; on another campaign
    assert "CANARY" not in repr(seen) and "sud" not in repr(seen) and "Oréa" not in repr(seen)


def test_a_leader_sees_only_the_work_of_an_agent_for_their_own_client(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **TWO_CLIENTS)
    seen = readers.agents(Published(path), LEADER)
    assert seen is not None
    by_name = {agent.agent: agent for agent in seen.agents}
    elsewhere, here = by_name["was mine"], by_name["was theirs"]
    assert elsewhere.state == "elsewhere" and elsewhere.today is not None
    assert (elsewhere.today.answered, elsewhere.today.occupancy, elsewhere.missed) == (2, 30 / 60, 1)
    untold = (elsewhere.campaign, elsewhere.campaign_name, elsewhere.reason, elsewhere.state_s, elsewhere.call_s)
    assert {*untold, elsewhere.hold_s, elsewhere.pauses, elsewhere.strain} == {None} and elsewhere.needs == ()
    assert here.today is not None and (here.today.answered, here.today.occupancy, here.missed) == (1, 50 / 60, 1)
    assert here.strain is not None and here.strain.since_rest_s == 12_000  # strain counts the work for all clients
    both = readers.agents(Published(path), MANAGER)
    assert both is not None
    same = next(agent for agent in both.agents if agent.agent == "was theirs")
    assert same.today is not None and (same.today.answered, same.missed) == (3, 2)
    assert same.today.occupancy == (140 + 50) / (140 + 60)


@pytest.mark.parametrize(
    ("viewer", "campaign"),
    [
        pytest.param(Viewer("client", frozenset({"north"})), None, id="a client"),
        pytest.param(Viewer("television", None), None, id="a television"),
        pytest.param(LEADER, "sud", id="another's campaign"),
        pytest.param(MANAGER, "no-such", id="no campaign at all"),
    ],
)
def test_viewers_without_access_get_nothing(path: Path, viewer: Viewer, campaign: str | None) -> None:
    publish(path, campaigns=CAMPAIGNS, **TWO_CLIENTS)
    reader = Published(path)
    assert readers.agents(reader, MANAGER) is not None  # the manager's answer is cached, and must not leak
    assert readers.agents(reader, viewer, campaign) is None


def test_a_campaign_lists_the_agents_who_work_for_it_now(path: Path) -> None:
    seen = look(path, campaign="north", **TWO_CLIENTS)
    by_name = {agent.agent: agent for agent in seen.agents}
    assert by_name.keys() == {"mine", "was theirs"}
    assert by_name["was theirs"].today is not None and by_name["was theirs"].today.answered == 1


def test_before_anything_is_published_there_are_no_agents(path: Path) -> None:
    assert readers.agents(Published(path), MANAGER) is None


# the page


def drawn(test: AppTest) -> str:
    """Return the HTML of the element that a tick redraws."""
    (html,) = (html.proto.body for html in test.get("html") if html.proto.body.startswith('<div class="vigie-agents'))
    return html


def named(test: AppTest) -> list[str]:
    """Return the names of the agents in the table, in order."""
    return re.findall(r'<th scope="row">(.*?)<small>', drawn(test))


PEOPLE: dict[str, Any] = {
    "agents": {
        "Ana": now("north", "wrap_up", 4, team="Day", site="Fès"),
        "Bea": now("north", "busy", 30, call_since=ago(30), held_since=ago(5), team="Day", site="Rabat"),
        "Cleo": now("sud", "paused", 5, reason="lunch", team="Night", site="Rabat"),
        "Dora": now("sud", "offline", 60, team="Night", site="Fès"),
    },
    "states": spent("Bea", "north", (400, "busy")) + spent("Cleo", "sud", (60, "busy"), (5, "paused", "lunch")),
    "calls": handled("Bea", "north", 200, 100) + handled("Cleo", "sud", 50),
}


def test_the_page_shows_who_needs_help_and_why(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    test = open_page("agents.py")
    assert named(test) == ["Bea", "Ana", "Cleo"]
    text = words(drawn(test))
    assert text.startswith(
        "3 agents 1 long on hold 1 without a break of 20 min 1 long on one call 1 to relieve now 1 long in wrap-up"
    )
    bea, ana, cleo = (words(row) for row in drawn(test).split('<th scope="row">')[1:])
    assert re.search(
        r"Bea Day · Rabat May need help: on hold 5:00 20 min break overdue: 6 h 40 min without "
        r"May need help: on one call 30:00 Relieve now: 100% busy "
        r"On a call 30:00 Customer care · on hold 5:00 2 2:00 100% 100% 0 20 min overdue 0 100% 2 6 h 40 min",
        bea,
    )
    assert "May need a hand: wrap-up 4:00 In wrap-up 4:00 Customer care – – – – – – – – –" in ana
    assert "Paused: lunch 5:00 Oréa Sinistres 1 2:00 100% 92% 1 · 5 min" in cleo


@pytest.mark.parametrize(
    ("kind", "occupancy", "text"),
    [
        ("busy", 0.852, "Relieve soon: > 85% busy"),
        ("busy", 0.896, "Relieve soon: 90% busy"),
        ("busy", 0.9, "Relieve soon: 90% busy"),
        ("too_busy", 0.902, "Relieve now: > 90% busy"),
        ("too_busy", 0.906, "Relieve now: 91% busy"),
    ],
)
def test_a_value_just_above_a_limit_is_not_rounded_to_it(kind: str, occupancy: float, text: str) -> None:
    limits = AgentLimits(occupancy_high=0.85, occupancy_too_high=0.90)
    assert words(agent_table.need_words(Need(kind, occupancy), limits, i18n.text("en"))) == text


def link_targets(test: AppTest, *words: str) -> list[tuple[str, dict[str, str]]]:
    """Return page and query of the links whose title contains all of these words."""
    links = re.findall(r'<a href="([^"]*)" target="_self" title="([^"]*)">', drawn(test))
    parts = [urlsplit(unescape(href)) for href, title in links if all(word in unescape(title) for word in words)]
    return [(part.path, dict(parse_qsl(part.query))) for part in parts]


def test_counts_of_an_agent_link_to_their_calls(path: Path) -> None:
    missed = handled("Cleo", "north", 40, missed_by=["Bea"])
    publish(path, campaigns=CAMPAIGNS, **PEOPLE | {"calls": PEOPLE["calls"] + missed})
    test = open_page("agents.py", lang="en")
    bea = {"campaign": "north", "agent": "Bea"}
    assert link_targets(test, "The calls of Bea") == [("calls", bea | {"outcome": "answered", "lang": "en"})]
    assert link_targets(test, "Bea did not pick up") == [
        ("calls", {"campaign": "north", "missed_by": "Bea", "lang": "en"})
    ]
    assert [(way["campaign"], way["outcome"]) for _, way in link_targets(test, "The calls of Cleo")] == [
        ("north", "answered"),
        ("sud", "answered"),
    ]  # one link per campaign
    assert re.search(r"Customer care 1\b.*Oréa Sinistres 1\b", words(drawn(test)))
    assert not link_targets(test, "The calls of Ana")
    head, cleo = link_targets(open_page("agents.py", campaign="sud"), "Where", "Occupancy")
    assert head == ("kpi", {"campaign": "sud", "kpi": "occupancy"})
    assert cleo == ("kpi", {"campaign": "sud", "kpi": "occupancy", "agent": "Cleo"})
    page, query = link_targets(test, "The calls of Bea")[0]
    listed = open_page(f"{page}.py", **query)
    assert any(element.value.startswith("**2 calls**") for element in listed.markdown)
    assert listed.selectbox(key="agent_choice").value == "Bea"
    listed.selectbox(key="agent_choice").select("").run()
    assert any(element.value.startswith("**3 calls**") for element in listed.markdown)
    page, query = link_targets(test, "did not pick up")[0]
    listed = open_page(f"{page}.py", **query)
    assert any(element.value.startswith("**1 call**") for element in listed.markdown)
    listed.button(key="without_missed_by").click().run()
    assert any(element.value.startswith("**3 calls**") for element in listed.markdown)


def test_figures_of_an_agent_link_to_their_explanations(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **TWO_CLIENTS)
    test = open_page("agents.py")
    assert not link_targets(test, "Where", "Occupancy, mine")  # they have no states today
    was_mine = link_targets(test, "Where", "Occupancy, was mine")
    assert [(way["campaign"], way["kpi"]) for _page, way in was_mine] == [("sud", "occupancy"), ("north", "occupancy")]
    assert "Oréa Sinistres 100% Customer care 50%" in words(drawn(test))  # one value per campaign
    leader = open_page("agents.py", viewer=LEADER)
    ((page, query),) = link_targets(leader, "Where", "Occupancy, was mine")
    assert (page, query) == ("kpi", {"campaign": "north", "agent": "was mine", "kpi": "occupancy"})
    explained = open_page("kpi.py", viewer=LEADER, **query)
    text = words("".join(html.proto.body for html in explained.get("html")))
    assert "Occupancy · was mine 50%" in text.replace("50.0%", "50%")
    assert "Busy + Wrap-up" in text and "30:00 + 0:00 30:00 + 0:00 + 30:00" in text  # half an hour busy, half available
    assert "What other systems would show" not in str(explained.main)
    options = explained.selectbox(key="kpi_choice").options
    assert "Utilisation" in options and "Service level" not in options
    explained.button(key="without_agent").click().run()
    assert "agent" not in explained.query_params and "Service level" in explained.selectbox(key="kpi_choice").options
    handling = open_page("kpi.py", viewer=LEADER, **query | {"kpi": "aht_s"})
    html = "".join(html.proto.body for html in handling.get("html"))
    assert 'href="calls?campaign=north&amp;kpi=aht_s&amp;agent=was+mine"' in html and "3:20 + 0:00 + 0:40" in words(
        html
    )


def test_only_viewers_who_may_see_an_agent_get_their_figures(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    reader = Published(path)
    day = readers.campaign(reader, MANAGER, "north")
    assert day is not None

    def explain(viewer: Viewer, agent: str, kpi: str = "utilisation") -> readers.Explained | None:
        return readers.explain(reader, viewer, "north", kpi, day.t0, day.t1, agent)

    bea = explain(MANAGER, "Bea")
    assert bea is not None and (bea.agent_name, bea.figure, bea.row["busy_s"]) == ("Bea", 1.0, 400 * 60)
    assert bea.terms == () and bea.elsewhere == ()
    for viewer in (Viewer("client", frozenset({"north"})), Viewer("television", None), Viewer("manager", frozenset())):
        assert all(explain(viewer, "Bea", kpi) is None for kpi in readers.AGENT_FIGURES)
    fes = Viewer("manager", None, sites=frozenset({"Fès"}))
    foreign, nobody = explain(fes, "Bea"), explain(fes, "no-such")
    assert foreign is not None and nobody is not None
    assert foreign.row == nobody.row and (foreign.figure, foreign.agent_name) == (None, None)
    with pytest.raises(ValueError, match="or, for an agent, of"):
        explain(MANAGER, "Bea", "service_level")
    campaign = readers.explain(reader, MANAGER, "north", "utilisation", day.t0, day.t1)
    assert campaign is not None and (campaign.agent, campaign.elsewhere != ()) == (None, True)


def test_a_client_cannot_open_the_figures_of_an_agent(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    for kpi in readers.AGENT_FIGURES:
        test = open_page(
            "kpi.py", viewer=Viewer("client", frozenset({"north"})), campaign="north", agent="Bea", kpi=kpi
        )
        shown = [html.proto.body for html in test.get("html")] + [
            element.value for element in (*test.markdown, *test.caption)
        ]
        shown += [button.label for button in test.button]
        assert "Bea" not in "".join(shown) and "400:00" not in "".join(shown)
        assert ('<section class="vigie-formula">' in "".join(shown)) is (
            kpi not in WORK_FIGURES
        )  # the campaign's figure


def test_a_client_cannot_open_the_calls_of_an_agent(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    test = open_page("calls.py", viewer=Viewer("client", frozenset({"north"})), campaign="north", agent="Bea")
    assert not [box for box in test.selectbox if box.key == "agent_choice"]
    assert "Bea" not in "".join(html.proto.body for html in test.get("html"))


def test_no_data_is_a_dash(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, agents={"Ana": now("north", "available", 1)})
    assert "Available 1:00 Customer care – – – – – – – – –" in words(drawn(open_page("agents.py")))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({"team": "Day"}, ["Bea", "Ana"], id="a team"),
        pytest.param({"site": "Rabat"}, ["Bea", "Cleo"], id="a site"),
        pytest.param({"team": "Day", "site": "Rabat"}, ["Bea"], id="a team at a site"),
        pytest.param({"campaign": "sud"}, ["Cleo"], id="a campaign"),
        pytest.param({"state": "wrap_up"}, ["Ana"], id="a state"),
        pytest.param({"state": "offline"}, ["Dora"], id="gone home"),
        pytest.param({"state": "needs"}, ["Bea", "Ana"], id="who needs help"),
        pytest.param({"state": "no-such"}, ["Bea", "Ana", "Cleo"], id="an unknown state: everybody"),
        pytest.param({"team": "Gone"}, [], id="a team without agents now"),
    ],
)
def test_the_address_selects_agents(path: Path, query: dict[str, str], expected: list[str]) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    test = open_page("agents.py", **query)
    assert named(test) == expected
    for name, value in query.items():
        assert test.selectbox(key=f"{name}_choice").value == (value if value != "no-such" else "")
    if not expected:
        assert words(drawn(test)) == "No agent of this kind now."  # not "nobody needs help"


def test_a_selection_is_in_the_address_and_can_be_cleared(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    test = open_page("agents.py")
    test.selectbox(key="team_choice").select("Night").run()
    assert named(test) == ["Cleo"] and test.query_params["team"] in ("Night", ["Night"])
    test.selectbox(key="team_choice").select("").run()
    assert named(test) == ["Bea", "Ana", "Cleo"] and "team" not in test.query_params


def test_a_leader_sees_no_data_of_another_client_on_the_page(path: Path) -> None:
    floor = TWO_CLIENTS | {"agents": {who: {"team": "T"} | row for who, row in TWO_CLIENTS["agents"].items()}}
    publish(path, campaigns=CAMPAIGNS, **floor)
    for viewer, canary in ((MANAGER, True), (LEADER, False)):
        test = open_page("agents.py", viewer=viewer)
        everything = drawn(test) + "".join(str(box.options) for box in test.selectbox)
        assert ("CANARY" in everything) is canary and ("Oréa" in everything) is canary
    assert named(test) == ["was theirs", "mine", "was mine"]
    assert "On another campaign" in words(drawn(test))
    foreign = open_page("agents.py", viewer=LEADER, campaign="sud")
    assert any("There is no such campaign here" in element.value for element in foreign.markdown)
    assert not [html for html in foreign.get("html") if html.proto.body.startswith('<div class="vigie-agents')]


@pytest.mark.parametrize("role", ["client", "television"])
def test_the_page_is_for_managers_and_analysts(path: Path, role: Any) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    with pytest.raises(ValueError, match=r"agents\.py"):  # they have no such page
        open_page("agents.py", viewer=Viewer(role, frozenset({"north"})))
    assert open_page("agents.py", viewer=Viewer("analyst", None)).selectbox(key="team_choice")


def test_a_manager_of_a_site_sees_the_agents_of_that_site(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    for sites, expected in ((None, ["Bea", "Ana", "Cleo"]), (frozenset({"Rabat"}), ["Bea", "Cleo"])):
        test = open_page("agents.py", viewer=Viewer("manager", None, sites=sites))
        assert named(test) == expected
        assert ("Fès" in test.selectbox(key="site_choice").options) is (sites is None)


def test_names_are_text_and_never_html(path: Path) -> None:
    row = now("north", "paused", 1, reason=HOSTILE, team=HOSTILE, site=HOSTILE, name=HOSTILE)
    publish(path, campaigns={"north": (HOSTILE, HOSTILE, "Europe/London")}, agents={"x": row})
    html = drawn(open_page("agents.py"))
    assert "<script" not in html and html.count("&lt;script&gt;") == 5


def test_a_very_long_list_is_truncated_with_a_note(path: Path) -> None:
    floor = {f"a{n:03}": now("north", "available", 1) for n in range(agent_table.SHOWN + 3)}
    publish(path, campaigns=CAMPAIGNS, agents=floor)
    test = open_page("agents.py")
    assert len(named(test)) == agent_table.SHOWN
    assert words(drawn(test)).endswith("and 3 more: choose a team, a site or a campaign")


def test_the_page_without_data_says_what_to_do(path: Path) -> None:
    assert any("Waiting for the first data" in element.value for element in open_page("agents.py").markdown)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 1000)
    assert any("The published data cannot be read" in element.value for element in open_page("agents.py").markdown)


def test_the_legend_names_the_configured_limits(path: Path) -> None:
    publish(path, campaigns=CAMPAIGNS, **PEOPLE)
    legend = " ".join(" ".join(element.value for element in open_page("agents.py", lang="fr").markdown).split())
    assert "Au-dessus de 85 %" in legend and "au moins 5 min" in legend and "toutes les 2 h" in legend
    assert "20 min d’affilée en 6 h" in legend and "Après 2 min de garde, 20 min sur le même appel" in legend


@needs_chromium
def test_a_tick_keeps_scroll_focus_and_an_open_filter(path: Path) -> None:
    def crowd(state: str) -> None:
        floor: Any = {f"a{n:02}": now("north", state, 1, team=f"T{n % 3}") for n in range(60)}
        publish(path, campaigns=CAMPAIGNS, agents=floor, published_at=clock.now())

    crowd("available")
    with dashboard(path.parent.parent) as running, browser() as chromium:
        page = open_tab(chromium, running.address, session_of(MANAGER))
        page.goto(f"{running.address}/agents?lang=en")
        table = page.locator(".vigie-agents")
        table.get_by_text("Available").first.wait_for()
        team = page.get_by_role("combobox", name="Team")
        team.click()
        page.get_by_role("option", name="T1").wait_for()
        crowd("wrap_up")
        table.get_by_text("In wrap-up").first.wait_for()
        assert page.get_by_role("option", name="T1").is_visible()
        page.keyboard.press("Escape")
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 900)
        place = "document.querySelector('[data-testid=stMain]').scrollTop"
        wait_for(lambda: page.evaluate(place) > 500, "the scroll")
        team.evaluate("box => box.focus({preventScroll: true})")
        before = page.evaluate(place)
        crowd("available")
        wait_for(lambda: table.get_by_text("Available").count() == 60, "the tick")
        assert page.evaluate(place) == before
        assert team.evaluate("box => box === document.activeElement")
        assert page.locator('[data-testid="stSpinner"]').count() == 0
