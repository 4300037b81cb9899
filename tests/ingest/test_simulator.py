"""The simulated floor: the same on every run, well formed, and alive as a queueing system is."""

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice, pairwise, takewhile
from operator import itemgetter

import pytest

from ingest.__main__ import main
from ingest.simulator import floor_day, floor_events, plan
from ingest.simulator.day import Day
from ingest.simulator.incidents import as_delivered, incidents
from ingest.simulator.parameters import CAMPAIGNS
from ingest.simulator.past import records_by_key

MONDAY = date(2026, 11, 23)
TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SECOND = timedelta(seconds=1)
SMALL = {"agents": 40, "seed": 7}

FIELDS = {  # required, optional: docs/events.md
    "call.queued": (
        {"call_id", "campaign", "queue"},
        {"linked_id", "direction", "caller", "language", "priority", "asked_for_human_at"},
    ),
    "call.dialed": ({"call_id", "campaign"}, {"queue", "list", "callee", "consent"}),
    "call.connected": ({"call_id", "answered_by"}, set()),
    "call.not_connected": ({"call_id", "reason"}, set()),
    "call.rang": ({"call_id", "agent"}, set()),
    "call.missed": ({"call_id", "agent"}, set()),
    "call.answered": ({"call_id", "agent"}, set()),
    "call.held": ({"call_id"}, set()),
    "call.resumed": ({"call_id"}, set()),
    "call.abandoned": ({"call_id"}, set()),
    "call.left_queue": ({"call_id", "reason"}, set()),
    "call.transferred": ({"call_id"}, {"to_queue", "warm"}),
    "call.ended": ({"call_id"}, {"ended_by"}),
    "call.wrapped": ({"call_id"}, {"disposition", "sale", "amount", "currency"}),
    "call.rated": ({"call_id", "score"}, set()),
    "agent.state": ({"agent", "state"}, {"reason", "queues"}),
    "agent.profile": (
        {"agent"},
        {"name", "team", "site", "languages", "hourly_cost", "currency", "hired_on"},
    ),
}
VALUES = {
    "call.queued": {"direction": {"inbound", "callback"}},
    "call.dialed": {"consent": {"consent", "contract", "none"}},
    "call.connected": {"answered_by": {"human", "machine"}},
    "call.not_connected": {"reason": {"no_answer", "busy", "invalid", "refused"}},
    "call.left_queue": {"reason": {"overflow", "callback", "voicemail", "timeout", "closed", "full"}},
    "call.ended": {"ended_by": {"customer", "agent", "system"}},
    "call.rated": {"score": {1, 2, 3, 4, 5}},
    "agent.state": {"state": {"available", "busy", "wrap_up", "paused", "offline"}},
}
NEXT = {  # which events may follow which in the life of a call
    None: {"call.queued", "call.dialed"},
    "call.queued": {"call.rang", "call.abandoned", "call.left_queue"},
    "call.dialed": {"call.connected", "call.not_connected"},
    "call.connected": {"call.answered", "call.abandoned", "call.ended"},
    "call.rang": {"call.answered", "call.missed", "call.abandoned"},
    "call.missed": {"call.rang", "call.abandoned", "call.left_queue"},
    "call.answered": {"call.held", "call.ended", "call.transferred"},
    "call.held": {"call.resumed"},
    "call.resumed": {"call.ended", "call.transferred"},
    "call.transferred": {"call.wrapped"},
    "call.ended": {"call.wrapped", "call.rated", None},
    "call.wrapped": {"call.rated", None},
    "call.rated": {"call.wrapped", None},
    "call.abandoned": {None},
    "call.left_queue": {None},
    "call.not_connected": {None},
}


def at(event):
    return datetime.fromisoformat(event["ts"])


def by(key, events):
    groups = defaultdict(list)
    for event in events:
        if key in event:
            groups[event[key]].append(event)
    return groups


@pytest.fixture(scope="module")
def monday():
    """A floor day at the default size."""
    return list(Day(MONDAY, agents=160, seed=1).run())


@pytest.fixture(scope="module")
def two_days():
    """Two days of a small floor, and the last calls of the second."""
    end = (plan.day_start(MONDAY + timedelta(days=2)) + timedelta(minutes=1)).isoformat()
    return list(takewhile(lambda event: event["ts"] < end, floor_events(MONDAY, **SMALL)))


def test_the_same_seed_and_day_give_the_same_events():
    first, second = (list(islice(floor_events(MONDAY, **SMALL), 5000)) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_floor_with_other_ids():
    first, two = (list(islice(floor_events(MONDAY, agents=40, seed=seed), 500)) for seed in (1, 2))
    assert not {event["event_id"] for event in first} & {event["event_id"] for event in two}


def test_a_day_is_the_same_whichever_day_the_run_starts_on(two_days):
    together = [event for event in two_days if "-261124-" in event["event_id"]]
    alone = list(islice(floor_events(MONDAY + timedelta(days=1), **SMALL), 30_000))
    assert together[:30_000] == alone


def test_events_come_in_order_of_ts_and_never_share_an_id(two_days):
    stamps = [event["ts"] for event in two_days]
    assert stamps == sorted(stamps)
    assert len({event["event_id"] for event in two_days}) == len(two_days)


def test_a_past_day_is_sent_call_by_call_and_agent_by_agent(monday):
    records = [[json.loads(line) for line in value.split(b"\n")] for _, value in records_by_key(monday, 200)]
    sent = [event for record in records for event in record]
    assert sorted(sent, key=itemgetter("event_id")) == sorted(monday, key=itemgetter("event_id"))
    keys_of = [[event.get("call_id") or event["agent"] for event in record] for record in records]
    assert sum(len(set(keys)) for keys in keys_of) == len({key for keys in keys_of for key in keys})
    assert all(len(keys) >= 200 for keys in keys_of[:-1])
    together = zip(chain.from_iterable(keys_of), sent, strict=True)
    assert all(first["ts"] <= second["ts"] for (a, first), (b, second) in pairwise(together) if a == b)


def test_every_event_keeps_the_contract(monday):
    for event in monday:
        required, optional = FIELDS[event["type"]]
        fields = set(event) - {"event_id", "type", "ts", "source", "campaign"}
        assert required - {"campaign"} <= fields <= required | optional, event
        assert event["campaign"] and event["source"]
        assert TS.fullmatch(event["ts"])
        for field, allowed in VALUES.get(event["type"], {}).items():
            assert event[field] in allowed, event
    assert {event["type"] for event in monday} == set(FIELDS)


def test_the_events_of_a_call_follow_each_other(monday):
    for call_id, events in by("call_id", monday).items():
        before = None
        for event in [*events, {"type": None}]:
            assert event["type"] in NEXT[before], (call_id, [each["type"] for each in events])
            before = event["type"]


def test_a_transferred_call_goes_on_under_the_same_linked_id(monday):
    linked = by("linked_id", monday)
    transferred = [event for event in monday if event["type"] == "call.transferred"]
    assert len(transferred) > 500
    for event in transferred:
        following = [each["queue"] for each in linked[event["call_id"]]]
        assert event["to_queue"] in following


def test_a_sale_has_an_amount_and_a_currency(monday):
    sales = [event for event in monday if event.get("sale")]
    assert {event["currency"] for event in sales} == {"EUR", "GBP"}
    assert all(event["amount"] > 0 for event in sales)
    assert not {event["disposition"] for event in sales} & {"complaint", "reclamacion", "resiliation", "return"}


def test_an_agent_is_in_one_state_and_on_one_call_at_a_time(two_days):
    given_up = {event["call_id"] for event in two_days if event["type"] == "call.abandoned"}
    for agent, events in by("agent", two_days).items():
        state, call = "offline", None
        for event in events:
            match event["type"]:
                case "call.rang":
                    assert call is None or call in given_up, agent
                    call = event["call_id"]
                case "call.answered":
                    assert state == "busy" and (call in (None, event["call_id"]) or call in given_up), agent
                    call = event["call_id"]
                case "agent.state":
                    same = event["state"] == state and state != "paused"  # a pause may follow another
                    assert not same, (agent, event)
                    state = event["state"]
                    call = call if state == "busy" else None


def test_wrap_up_begins_when_the_talk_ends(two_days):
    talking, wrapping = {}, {}
    for event in two_days:
        if event["type"] == "call.answered":
            talking[event["call_id"]] = event["agent"]
        elif event["type"] in ("call.ended", "call.transferred") and event["call_id"] in talking:
            wrapping[talking[event["call_id"]], event["ts"]] = True
        elif event["type"] == "agent.state" and event["state"] == "wrap_up":
            assert wrapping.pop((event["agent"], event["ts"]))
    assert not wrapping


def test_a_day_continues_cleanly_into_the_next(two_days):
    """Everything of Monday that ends on Tuesday ends soon, with Monday's agents."""
    midnight = plan.day_start(MONDAY + timedelta(days=1))
    late = [event for event in two_days if "-261123-" in event["event_id"] and at(event) >= midnight]
    assert late
    assert max(map(at, late)) < midnight + timedelta(hours=1)
    monday = [event for event in two_days if "-261123-" in event["event_id"]]
    states = {event["agent"]: event["state"] for event in monday if event["type"] == "agent.state"}
    assert set(states.values()) == {"offline"}
    ends = ("call.abandoned", "call.left_queue", "call.ended", "call.transferred", "call.not_connected")
    for events in by("call_id", monday).values():
        assert any(event["type"] in ends for event in events)


def test_an_agent_rests_between_two_shifts(two_days):
    for agent, events in by("agent", two_days).items():
        left = None
        for event in events:
            if event.get("state") == "offline":
                left = at(event)
            elif event["type"] == "agent.profile" and left:
                assert at(event) - left > timedelta(hours=9), agent


def test_every_campaign_has_about_a_call_a_minute_in_every_hour(monday):
    calls = Counter((e["campaign"], e["ts"][:13]) for e in monday if e["type"] == "call.queued")
    hours = [(plan.day_start(MONDAY) + timedelta(hours=n)).isoformat()[:13] for n in range(24)]
    counts = {(campaign.id, hour): calls[campaign.id, hour] for campaign in CAMPAIGNS for hour in hours}
    assert min(counts.values()) >= 35, min(counts, key=counts.get)


@pytest.mark.parametrize("days", range(7))
def test_no_hour_of_the_week_is_planned_with_less_than_a_call_a_minute(days):
    for campaign in CAMPAIGNS:
        planned = plan.hourly_rates(campaign, MONDAY + timedelta(days=days))
        assert min(planned) * plan.volume_for(160) >= 1.0, campaign.id


def shares(events):
    """Return each campaign's shares of inbound calls (answered within 20 s, abandoned)."""
    found = {}
    for campaign, mine in by("campaign", events).items():
        queued = {e["call_id"]: at(e) for e in mine if e["type"] == "call.queued"}
        answered = [e for e in mine if e["type"] == "call.answered" and e["call_id"] in queued]
        quick = sum(at(e) - queued[e["call_id"]] <= timedelta(seconds=20) for e in answered)
        abandoned = sum(e["type"] == "call.abandoned" and e["call_id"] in queued for e in mine)
        found[campaign] = quick / len(queued), abandoned / len(queued)
    return found


def test_service_levels_spread_as_on_a_real_floor(monday):
    levels = sorted(level for level, _ in shares(monday).values())
    assert 0.50 < levels[0] < 0.76
    assert 0.82 < levels[-1] < 0.96
    assert all(0.01 < abandoned < 0.13 for _, abandoned in shares(monday).values())


def test_with_half_the_agents_many_more_callers_hang_up():
    full, half = (shares(Day(MONDAY, agents=48, seed=1, staffing=staffing).run()) for staffing in (1.0, 0.5))
    for campaign in full:
        assert half[campaign][1] > 1.25 * full[campaign][1]
        assert half[campaign][0] < full[campaign][0]
    assert sum(abandoned for _, abandoned in half.values()) > 1.75 * sum(abandoned for _, abandoned in full.values())


def test_demand_grows_with_the_floor():
    calls = [sum(len(plan.arrivals(campaign, MONDAY, plan.volume_for(agents), plan.Random(1)))
             for campaign in CAMPAIGNS) for agents in (40, 160)]  # fmt: skip
    assert 3 < calls[1] / calls[0] < 6


# What happens on the floor


@pytest.mark.parametrize("days", range(7))
def test_every_few_minutes_something_happens(days):
    happening = incidents(MONDAY + timedelta(days=days), seed=1)
    starts = [0.0, *(incident.starts for incident in happening), plan.DAY_S]
    assert starts == sorted(starts)
    assert max(later - earlier for earlier, later in pairwise(starts)) < 1800
    assert len(happening) > 170
    for of_campaign in (sorted(i.starts for i in happening if i.campaign is campaign) for campaign in CAMPAIGNS):
        assert len(of_campaign) > 12
    for hour in range(23):
        assert len({i.kind for i in happening if hour * 3600 <= i.starts < hour * 3600 + 7200}) == 4


def test_a_campaign_has_one_incident_at_a_time_and_every_incident_ends_on_its_day():
    for seed in range(20):
        for _, of_campaign in by_campaign(incidents(MONDAY, seed)).items():
            for earlier, later in pairwise(of_campaign):
                assert earlier.starts < earlier.ends < later.starts
            assert of_campaign[-1].ends < plan.DAY_S
    assert incidents(MONDAY, 1) == incidents(MONDAY, 1) != incidents(MONDAY, 2)


def by_campaign(happening):
    groups = defaultdict(list)
    for incident in happening:
        groups[incident.campaign.id].append(incident)
    return groups


def of_kind(kind):
    """Yield Monday's incidents of a kind with their start and end as instants."""
    begin = plan.day_start(MONDAY)
    for incident in incidents(MONDAY, seed=1):
        if incident.kind == kind:
            yield incident, *(begin + timedelta(seconds=seconds) for seconds in (incident.starts, incident.ends))


def test_an_advertisement_doubles_the_calls_while_it_lasts():
    campaign, spike = CAMPAIGNS[0], (36_000.0, 39_600.0)

    def calls_during(spikes):
        arrivals = plan.arrivals(campaign, MONDAY, plan.volume_for(1600), plan.Random(1), spikes)
        return sum(spike[0] <= instant < spike[1] for instant in arrivals), len(arrivals)

    usual, of_usual_day = calls_during(())
    during, of_day = calls_during([spike])
    assert 1.8 < during / usual < 2.2
    assert of_day - during == pytest.approx(of_usual_day - usual, rel=0.05)


def test_a_sick_team_goes_home_and_colleagues_take_over(monday):
    before, lowest, after = 0, 0, 0
    states = by("campaign", [event for event in monday if event["type"] == "agent.state"])
    for incident, starts, ends in of_kind("sick"):
        present, counts = set(), []
        for event in states[incident.campaign.id]:
            present = present - {event["agent"]} if event["state"] == "offline" else present | {event["agent"]}
            counts.append((at(event), len(present)))
        before += [count for instant, count in counts if instant < starts][-1]
        lowest += min(count for instant, count in counts if starts <= instant < ends)
        after += [count for instant, count in counts if instant < ends + timedelta(minutes=5)][-1]
    assert lowest < 0.85 * before
    assert after > 0.93 * before


def test_an_agent_who_forgets_to_log_out_misses_calls_until_somebody_notices(monday):
    missed = [event for event in monday if event["type"] == "call.missed"]
    offline = [event for event in monday if event.get("state") == "offline"]
    noticed = 0
    happened = list(of_kind("left"))
    for incident, starts, ends in happened:
        rang_for = Counter(
            event["agent"]
            for event in missed
            if event["campaign"] == incident.campaign.id and starts <= at(event) < ends
        )
        left = {
            event["agent"]
            for event in offline
            if event["campaign"] == incident.campaign.id and ends - SECOND < at(event) < ends + 180 * SECOND
        }
        noticed += any(rang_for[agent] >= 2 for agent in left)
    assert noticed > 0.6 * len(happened) > 20


def test_the_events_of_a_silent_source_arrive_when_it_is_back(monday):
    delivered = list(as_delivered(monday, seed=1))
    assert [due for due, _ in delivered] == sorted(due for due, _ in delivered)
    assert sorted((event for _, event in delivered), key=itemgetter("event_id")) == sorted(
        monday, key=itemgetter("event_id")
    )
    held = 0
    silences = [(incident.campaign.source, *times) for incident, *times in of_kind("silence")]
    for due, event in delivered:
        back_at = [
            ends for source, starts, ends in silences
            if source == event["source"] and starts <= at(event) + timedelta(seconds=1) and at(event) < ends
        ]  # fmt: skip
        held += due > event["ts"]
        assert due == event["ts"] or abs(datetime.fromisoformat(due) - back_at[0]) < timedelta(seconds=1)
    assert held > 500


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 11, 23, 21, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 23, 22, 0, tzinfo=UTC), date(2026, 11, 24)),
    ],
)
def test_a_floor_day_begins_at_22_utc(instant, day):
    assert floor_day(instant) == day


@pytest.mark.parametrize("words", ["--agents -3", "--agents many", "--days 1.5", "--seed -1"])
def test_a_value_that_cannot_be_used_is_one_sentence_and_exit_2(words, capsys):
    assert main(["simulate", *words.split()]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_broker_is_one_sentence_and_exit_1(capsys):
    assert main(["simulate", "--bootstrap-servers", "127.0.0.1:1"]) == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in capsys.readouterr().err
