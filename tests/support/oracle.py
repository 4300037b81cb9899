"""docs/kpis.md and docs/events.md a second time, in plain Python over lists of events: slow and obvious.

It is written from the documents and not from the SQL, and uses nothing of `ingest`: two independent readings that agree
on generated floors confirm each other. Of a configuration it only reads the values.
"""

import datetime as dt
import hmac
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

KEY = "a key that only the tests use, and nobody else"
Event = dict[str, Any]
Row = dict[str, Any]

VISITS = {
    "overflow": "overflowed",
    "callback": "callback",
    "voicemail": "voicemail",
    "closed": "refused",
    "full": "refused",
    "no_agents": "refused",
    "timeout": "dropped",
    "system": "dropped",
}
ABANDONED = ("abandoned", "short_abandoned")
PARTS = ("answered", *ABANDONED, "overflowed", "callback", "voicemail", "dropped", "open")
LOGGED_IN = ("available", "busy", "wrap_up", "paused")
TERM = ("valid_to", "formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s")


def seconds(span: dt.timedelta) -> float:
    return span / dt.timedelta(microseconds=1) / 1e6


def instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC) if text is not None else None


def first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def kept(event: Event) -> Event:
    """Return what is kept of an event: its numbers masked, those of customers with their hash."""
    numbers = {name: event[name] for name in ("caller", "callee", "to_number") if event.get(name) is not None}
    masked = {
        name: re.sub(r"(?<=...).(?=..)", "•", number) if len(number) > 6 else "•" * len(number)
        for name, number in numbers.items()
    }
    hashes = {
        f"{name}_key": hmac.new(KEY.encode(), f"caller\0{number}".encode(), "sha256").hexdigest()[:20]
        for name, number in numbers.items()
        if name != "to_number" and re.fullmatch(r"\+?\d{3,}", number)  # as the events of tests write numbers
    }
    return event | masked | hashes


def settled_events(events: list[Event]) -> list[Event]:
    """Return each event_id's content with the highest revision, of those the one that sorts last; in order of time."""
    contents: dict[str, list[Event]] = defaultdict(list)
    for event in map(kept, events):
        contents[event["event_id"]].append(event)
    chosen = [
        max(each, key=lambda e: (e.get("revision") or 0, json.dumps(e, sort_keys=True))) for each in contents.values()
    ]
    return sorted(chosen, key=lambda e: (instant(e["ts"]), e["event_id"]))


def feed_sources(events: list[Event]) -> list[Row]:
    """Return the rows of feed_sources: the count of valid events, and the latest ts of all events that came."""
    times: dict[str, list[dt.datetime]] = defaultdict(list)
    for event in events:
        times[event.get("source", "default")].append(instant(event["ts"]))
    counted = Counter(event.get("source", "default") for event in settled_events(events))
    return [
        {"source": source, "events": counted[source], "last_event_at": max(times[source])} for source in sorted(times)
    ]


# Calls --------------------------------------------------------------------------------------------------------------


def calls(events: list[Event], configuration: Any, as_of: dt.datetime) -> dict[str, Row]:
    """Return the rows of `calls` by call_id."""
    events = settled_events(events)
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["type"].startswith("call."):
            histories[event["call_id"]].append(event)
    rows = {call_id: _call(call_id, history) for call_id, history in histories.items()}
    states = [e for e in events if e["type"] == "agent.state"]
    inferred = {call_id: _next_of_agent(row, rows, states) for call_id, row in rows.items()}
    for call_id, row in rows.items():
        row["inferred_end"] = False
        if inferred[call_id] is not None:
            row |= {"ended_at": inferred[call_id], "inferred_end": True}
        _judge(row, configuration, as_of)
        _measure(row)
    return rows


def _call(call_id: str, history: list[Event]) -> Row:
    """Return what the events say, before any contract or clock; `history` is in order of time, then event_id."""

    def all_of(kind: str) -> list[Event]:
        return [e for e in history if e["type"] == f"call.{kind}"]

    def first(kind: str) -> Event:
        return next(iter(all_of(kind)), {})

    def last(kind: str) -> Event:
        return next(reversed(all_of(kind)), {})

    def when(kind: str) -> dt.datetime | None:
        return instant(first(kind).get("ts"))

    queued, dialed = first("queued"), first("dialed")
    outbound_by_default = "outbound" if dialed else "inbound"
    ends = [t for t in (when("ended"), when("transferred")) if t]
    return {
        "call_id": call_id,
        "linked_id": first_known(queued.get("linked_id"), dialed.get("linked_id"), call_id),
        "campaign": (queued or dialed).get("campaign"),
        "queue": first_known(queued.get("queue"), dialed.get("queue")),
        "direction": first_known(queued.get("direction"), outbound_by_default),
        "channel": first_known(queued.get("channel"), "voice"),
        "language": queued.get("language"),
        "priority": queued.get("priority"),
        "caller": queued.get("caller"),
        "callee": dialed.get("callee"),
        "caller_key": queued.get("caller_key"),
        "callee_key": dialed.get("callee_key"),
        "agent": first_known(first("answered").get("agent"), dialed.get("agent")) if first("answered") else None,
        "queued_at": when("queued"),
        "dialed_at": when("dialed"),
        "connected_at": when("connected"),
        "answered_by": first("connected").get("answered_by"),
        "answered_at": when("answered"),
        "_wait_unknown": bool(first("answered").get("wait_unknown")),
        "abandoned_at": None if first("abandoned").get("wait_unknown") else when("abandoned"),
        "ended_at": min(ends, default=None),
        "wrapped_at": when("wrapped"),
        "left_at": None if first("left_queue").get("wait_unknown") else when("left_queue"),
        "left_reason": first("left_queue").get("reason"),
        "missed_offers": len(all_of("missed")),
        "missed_by": [e["agent"] for e in all_of("missed")] or None,
        "offers": [
            {"ts": instant(e["ts"]), "agent": e["agent"], "missed": e["type"] == "call.missed"}
            for e in history
            if e["type"] in ("call.rang", "call.missed")
        ]
        or None,
        "holds": [
            {"ts": instant(e["ts"]), "held": e["type"] == "call.held"}
            for e in history
            if e["type"] in ("call.held", "call.resumed")
        ]
        or None,
        "transferred": bool(all_of("transferred")),
        "disposition": last("wrapped").get("disposition"),
        "sale": last("wrapped").get("sale"),
        "amount": last("wrapped").get("amount"),
        "currency": last("wrapped").get("currency"),
        "score": last("rated").get("score"),
        "ended_by": first("ended").get("ended_by"),
        "_abandoned": bool(all_of("abandoned")),
        "_not_connected_at": when("not_connected"),
        "_end_told_at": when("ended"),
    }


def _next_of_agent(row: Row, rows: dict[str, Row], states: list[Event]) -> dt.datetime | None:
    """Return when the agent of an answered call without an end did something else next."""
    if row["answered_at"] is None or row["ended_at"] is not None or row["agent"] is None:
        return None
    left = [instant(e["ts"]) for e in states if e["agent"] == row["agent"] and e["state"] != "busy"]
    answered = [r["answered_at"] for r in rows.values() if r["agent"] == row["agent"] and r["channel"] == "voice"]
    return min((t for t in left + answered if t and t > row["answered_at"]), default=None)


def _judge(row: Row, configuration: Any, as_of: dt.datetime) -> None:
    """Add day, contract, outcome and wait."""
    row["cohort_at"] = first_known(row["queued_at"], row["dialed_at"])
    row |= {"day": None, "formula": None, "threshold_s": None, "target": None, "short_abandon_s": None}
    row |= {"term_from": None, "wait_at_threshold_counts": None}
    given_up = False
    campaign = term = None
    if row["cohort_at"] is not None:
        campaign = configuration.campaign(row["campaign"])
        local = row["cohort_at"].astimezone(ZoneInfo(campaign.timezone)).replace(tzinfo=None)
        term = next(
            t
            for t in campaign.terms
            if (t.valid_from is None or t.valid_from <= local) and (t.valid_to is None or local < t.valid_to)
        )
        row |= {"day": local.date(), "formula": term.formula, "threshold_s": term.threshold_s}
        row |= {"target": term.target, "short_abandon_s": term.short_abandon_s, "term_from": term.valid_from}
        row |= {"wait_at_threshold_counts": term.wait_at_threshold_counts}
        given_up = seconds(as_of - row["cohort_at"]) > campaign.give_up_after_s

    # an outbound call that did not connect and has no cohort_at lacks its call.dialed
    is_outbound = row["direction"] == "outbound" or row["cohort_at"] is None
    ended_on_machine = row["_end_told_at"] is not None and row["answered_by"] == "machine"
    if row["answered_at"] is not None:
        outcome, until = "answered", None if row["_wait_unknown"] else row["answered_at"]
    elif row["_abandoned"]:
        outcome, until = "abandoned", row["abandoned_at"]
    elif row["left_reason"] is not None:
        outcome, until = VISITS[row["left_reason"]], row["left_at"]
    elif is_outbound and (row["_not_connected_at"] is not None or ended_on_machine):
        outcome, until = "not_connected", first_known(row["_not_connected_at"], row["_end_told_at"])
    elif row["_end_told_at"] is not None:
        outcome, until = "abandoned", row["_end_told_at"]
    elif given_up:
        outcome, until = "dropped", row["cohort_at"] + dt.timedelta(seconds=campaign.give_up_after_s)
        row["inferred_end"] = True
    else:
        outcome, until = "open", as_of

    waits_from = first_known(row["queued_at"], row["connected_at"])
    is_measured = waits_from is not None and until is not None
    wait_s = max(0.0, seconds(until - waits_from)) if is_measured else None
    if outcome == "abandoned" and term and wait_s is not None and wait_s < term.short_abandon_s:
        outcome = "short_abandoned"
    in_threshold = None
    if term and wait_s is not None:
        in_threshold = wait_s <= term.threshold_s if term.wait_at_threshold_counts else wait_s < term.threshold_s
    row |= {"outcome": outcome, "wait_s": wait_s, "in_threshold": in_threshold}
    row["clock_skew"] = is_measured and until < waits_from


def _measure(row: Row) -> None:
    """Add talk, hold and wrap times of an answered call whose talk has ended."""
    answered, ended, wrapped = row["answered_at"], row["ended_at"], row["wrapped_at"]
    row |= {"talk_s": None, "hold_s": None, "wrap_s": None, "handle_s": None, "held_since": None}
    row["clock_skew"] |= bool(answered and ended and ended < answered) or bool(ended and wrapped and wrapped < ended)
    if answered is None:
        return
    hold_s, since = 0.0, None
    for step in row["holds"] or ():
        moment = step["ts"]
        if answered <= moment and (ended is None or moment <= ended):
            if step["held"] and since is None:
                since = moment
            elif not step["held"] and since is not None:
                hold_s, since = hold_s + seconds(moment - since), None
    if ended is None:
        row["held_since"] = since
        return
    if since is not None:
        hold_s += seconds(ended - since)
    row["hold_s"] = hold_s
    row["talk_s"] = max(0.0, seconds(ended - answered)) - hold_s
    row["wrap_s"] = max(0.0, seconds(wrapped - ended)) if wrapped else 0.0
    row["handle_s"] = row["talk_s"] + row["hold_s"] + row["wrap_s"]


# Agents -------------------------------------------------------------------------------------------------------------


def agent_states(events: list[Event], configuration: Any, as_of: dt.datetime) -> list[Row]:
    """Return the rows of `agent_states`, by agent and time."""
    longest = dt.timedelta(seconds=configuration.defaults.max_state_s)
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in settled_events(events):
        if event["type"].startswith("agent."):
            histories[event["agent"]].append(event)
    rows: list[Row] = []
    for agent, history in sorted(histories.items()):
        campaign = None
        by_instant: dict[dt.datetime, tuple[Any, ...]] = {}
        for event in history:  # in order of time, then event_id: the last of an instant counts
            campaign = first_known(event.get("campaign"), campaign)
            if event["type"] == "agent.state":
                limit = min(longest, dt.timedelta(seconds=event.get("lasts_s") or longest.total_seconds()))
                by_instant[instant(event["ts"])] = (event["state"], event.get("reason"), campaign, limit)
        starts = [*by_instant, None]
        pieces = []
        for (start, (state, reason, campaign, limit)), until in zip(by_instant.items(), starts[1:], strict=True):
            limit += start
            lost = state != "offline" and (until > limit if until else as_of >= limit)
            pieces.append([state, reason, campaign, start, limit if lost else until])
            if lost:
                pieces.append(["offline", None, campaign, limit, until])
        merged: list[list[Any]] = []
        for piece in pieces:  # equal neighbours are one row if they began on one UTC date
            if merged and merged[-1][:3] == piece[:3] and merged[-1][3].date() == piece[3].date():
                merged[-1][4] = piece[4]
            else:
                merged.append(piece)
        for state, reason, campaign, start, until in merged:
            row = {"agent": agent, "state": state, "reason": reason, "campaign": campaign}
            spent = max(0.0, seconds(min(until or as_of, as_of) - start))
            rows.append(row | {"started_at": start, "ended_at": until, "seconds": spent})
    return rows


# KPIs ---------------------------------------------------------------------------------------------------------------


def ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def hit_and_base(call: Row, formula: str) -> tuple[bool, bool]:
    """Return whether the call counts in the numerator and in the denominator of a service-level formula."""
    answered_in_time = call["outcome"] == "answered" and call["in_threshold"]
    left_in_time = call["outcome"] in ABANDONED and call["in_threshold"]
    return {
        "exclude_short": (answered_in_time, call["outcome"] != "short_abandoned"),
        "all_offered": (answered_in_time, True),
        "ignore_abandons_in_threshold": (answered_in_time, not left_in_time),
        "abandon_counts_as_success": (answered_in_time or left_in_time, True),
        "answered_only": (answered_in_time, call["outcome"] == "answered"),
    }[formula]


@dataclass(frozen=True)
class Floor:
    """Everything the KPIs are made of: rows of `calls` and `agent_states`, judged at `as_of` by `configuration`."""

    calls: list[Row]
    states: list[Row]
    configuration: Any
    as_of: dt.datetime
    named: frozenset[str] = frozenset()  # campaigns that events name, even if no row belongs to them

    @property
    def campaigns(self) -> set[str]:
        """Return every campaign that the configuration or an event names."""
        of_rows = {row["campaign"] for row in (*self.calls, *self.states)}
        return set(self.configuration.campaigns) | self.named | of_rows - {None}

    def among(self, **keys: Any) -> "Floor":
        """Keep the calls and states that have these values in these columns; states have no queue."""

        def chosen(row: Row) -> bool:
            return all(row.get(column) == value for column, value in keys.items())

        return replace(self, calls=[c for c in self.calls if chosen(c)], states=[s for s in self.states if chosen(s)])

    def of_campaigns(self, names: list[str]) -> "Floor":
        """Keep the calls and states of these campaigns."""
        calls, states = ([row for row in each if row["campaign"] in names] for each in (self.calls, self.states))
        return replace(self, calls=calls, states=states)

    def queued(self, t0: dt.datetime, t1: dt.datetime) -> list[Row]:
        """Return the calls that were queued, or dialed, in a window."""
        return [c for c in self.calls if c["cohort_at"] and t0 <= c["cohort_at"] < t1]


def floor(events: list[Event], configuration: Any, as_of: dt.datetime) -> Floor:
    """Return everything the KPIs are made of, from the events as they were delivered."""
    named = frozenset(event["campaign"] for event in settled_events(events) if event.get("campaign") is not None)
    rows = list(calls(events, configuration, as_of).values()), agent_states(events, configuration, as_of)
    return Floor(*rows, configuration, as_of, named)


def kpi_campaign(
    calls: dict[str, Row], states: list[Row], configuration: Any, t0: dt.datetime, t1: dt.datetime, as_of: dt.datetime
) -> dict[str, Row]:
    """Return the rows of kpi_campaign(t0, t1) by campaign, without the columns of the contract."""
    floor = Floor(list(calls.values()), states, configuration, as_of)
    return {name: kpis(floor.among(campaign=name), t0, t1) for name in floor.campaigns}


def kpis(floor: Floor, t0: dt.datetime, t1: dt.datetime, cohort: list[Row] | None = None) -> Row:
    """Return every KPI of a window over all calls and states of `floor`, without those of the contract.

    `cohort` are the window's calls where these are not the calls queued in it, as for a local day.
    """
    cohort = floor.queued(t0, t1) if cohort is None else cohort
    row = _of_calls(cohort) | _of_outbound([c for c in cohort if c["direction"] == "outbound"])
    row |= _of_states(floor.states, t0, t1, floor.as_of)
    row["sales_per_hour"] = ratio(row["sales"], row["logged_in_s"] / 3600)
    row["workload_s"] = _workload(floor.calls, floor.configuration.defaults.max_state_s, t0, t1, floor.as_of)
    late_until = t1 + dt.timedelta(seconds=floor.configuration.defaults.lateness_s)
    row["settled"] = not any(c["outcome"] == "open" for c in cohort) and late_until <= floor.as_of
    return row


def _of_calls(cohort: list[Row]) -> Row:
    inbound = [c for c in cohort if c["direction"] != "outbound"]
    of = {outcome: [c for c in inbound if c["outcome"] == outcome] for outcome in (*PARTS, "refused")}
    offered = [c for c in inbound if c["outcome"] != "refused"]
    handled = [c for c in cohort if c["handle_s"] is not None]
    row: Row = {outcome: len(of[outcome]) for outcome in (*PARTS, "refused")}
    row["offered"] = len(offered)
    row["conserved"] = row["offered"] == sum(row[part] for part in PARTS)
    row["answered_in_threshold"] = sum(bool(c["in_threshold"]) for c in of["answered"])
    row["abandoned_in_threshold"] = sum(bool(c["in_threshold"]) for o in ABANDONED for c in of[o])
    row["callback_in_threshold"] = sum(bool(c["in_threshold"]) for c in of["callback"])

    may_still_be_in_time = [c for c in of["open"] if c["in_threshold"]]
    decided = [c for c in offered if not (c["outcome"] == "open" and c["in_threshold"])]
    hits = sum(bool(hit_and_base(c, c["formula"])[0]) for c in decided)
    base = sum(bool(hit_and_base(c, c["formula"])[1]) for c in decided)
    # answered_only has no place for open calls; at worst each of them is answered too late
    late = sum(c["formula"] == "answered_only" for c in decided if c["outcome"] == "open")
    waiting = len(may_still_be_in_time)
    row |= {"service_level_hits": hits, "service_level_base": base, "service_level_late": late}
    row["service_level_asked"] = sum(c["target"] for c in decided if hit_and_base(c, c["formula"])[1])
    row["open_in_threshold"] = waiting
    row["service_level"] = ratio(hits, base)
    row["service_level_worst"] = ratio(hits, base + waiting + late)
    row["service_level_best"] = ratio(hits + waiting, base + waiting)
    row["abandon_rate"] = ratio(row["abandoned"], row["offered"] - row["short_abandoned"])
    row["answered_wait_s"] = sum(c["wait_s"] or 0.0 for c in of["answered"])
    row["answered_waits"] = sum(c["wait_s"] is not None for c in of["answered"])
    row["asa_s"] = ratio(row["answered_wait_s"], row["answered_waits"])
    row["answer_rate"] = ratio(row["answered"], row["offered"])
    scores = [c["score"] for c in cohort if c["score"] is not None]
    row["rated"], row["score_points"] = len(scores), sum(scores)
    row["satisfied"] = sum(score >= 4 for score in scores)
    row["avg_score"] = ratio(row["score_points"], row["rated"])
    row["satisfaction"] = ratio(row["satisfied"], row["rated"])
    row["longest_wait_s"] = max((c["wait_s"] for c in of["open"] if c["wait_s"] is not None), default=None)

    row["handled"] = len(handled)
    row["transferred"] = sum(c["transferred"] for c in handled)
    row["transfer_rate"] = ratio(row["transferred"], len(handled))
    row["sales"] = sum(bool(c["sale"]) for c in handled)
    row["conversion"] = ratio(row["sales"], len(handled))
    for part in ("talk", "hold", "wrap"):
        row[f"{part}_s"] = sum(c[f"{part}_s"] for c in handled)
        row[f"avg_{part}_s"] = ratio(row[f"{part}_s"], len(handled))
    row["aht_s"] = ratio(sum(c["handle_s"] for c in handled), len(handled))
    return row


def _of_outbound(outbound: list[Row]) -> Row:
    people = [c for c in outbound if c["connected_at"] is not None and c["answered_by"] != "machine"]
    reached = sum(c["outcome"] == "answered" for c in outbound)
    drops = sum(c["outcome"] in (*ABANDONED, "dropped", "refused") for c in people)
    return {
        "dialed": len(outbound),
        "connected": sum(c["connected_at"] is not None for c in outbound),
        "contacts": len(people),
        "outbound_answered": reached,
        "drops": drops,
        "contact_rate": ratio(len(people), len(outbound)),
        "drop_rate": ratio(drops, reached + drops),
    }


def _of_states(states: list[Row], t0: dt.datetime, t1: dt.datetime, as_of: dt.datetime) -> Row:
    spent: dict[str, float] = defaultdict(float)
    for s in states:
        begin, end = max(s["started_at"], t0), min(s["ended_at"] or as_of, as_of, t1)
        spent[s["state"]] += max(0.0, seconds(end - begin))
    row = {f"{state}_s": spent[state] for state in LOGGED_IN}
    row["logged_in_s"] = sum(row.values())
    at_work = spent["busy"] + spent["wrap_up"]
    row["occupancy"] = ratio(at_work, at_work + spent["available"])
    row["utilisation"] = ratio(at_work, row["logged_in_s"])
    return row


def _workload(calls: list[Row], longest_s: float, t0: dt.datetime, t1: dt.datetime, as_of: dt.datetime) -> float:
    """Return the seconds of `[t0, t1)` that agents worked on calls; an agent's simultaneous calls count once.

    Work on a call counts for at most `longest_s` from its answer.
    """
    spans: dict[str, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    for call in calls:
        if call["answered_at"] is not None:
            ends = [t for t in (call["ended_at"], call["wrapped_at"]) if t is not None]
            limit = call["answered_at"] + dt.timedelta(seconds=longest_s)
            begin, end = max(call["answered_at"], t0), min(max(ends, default=as_of), limit, as_of, t1)
            if begin < end:
                spans[call["agent"] or call["call_id"]].append((begin, end))
    worked = 0.0
    for own in spans.values():
        reached = t0
        for begin, end in sorted(own):
            worked += max(0.0, seconds(end - max(begin, reached)))
            reached = max(reached, end)
    return worked


# The other relations: the same KPIs by other keys --------------------------------------------------------------------


def kpi_queue(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_queue(t0, t1) by campaign and queue, for calls queued or worked on in the window."""
    keys = {(c["campaign"], c["queue"]) for c in (*floor.queued(t0, t1), *worked(floor, t0, t1)) if c["queue"]}
    return {
        (name, queue): kpis(floor.among(campaign=name, queue=queue), t0, t1) | contract(floor, name, t0, t1)
        for name, queue in keys
    }


def kpi_agent(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_agent(t0, t1): agents who were logged in, had queued calls or worked in the window."""
    agents = {row["agent"] for row in _of_agents(floor, t0, t1)}
    return {(agent,): kpis(floor.among(agent=agent), t0, t1) for agent in agents}


def kpi_agent_campaign(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_agent_campaign(t0, t1)."""
    keys = {(row["agent"], row["campaign"]) for row in _of_agents(floor, t0, t1) if row["campaign"] is not None}
    return {(agent, name): kpis(floor.among(agent=agent, campaign=name), t0, t1) for agent, name in keys}


def _of_agents(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> list[Row]:
    logged_in = [
        s
        for s in floor.states
        if s["state"] != "offline" and s["started_at"] < t1 and (s["ended_at"] or min(t1, floor.as_of)) > t0
    ]
    answered = [c for c in (*floor.queued(t0, t1), *worked(floor, t0, t1)) if c["agent"] is not None]
    return logged_in + answered


def worked(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> list[Row]:
    """Return the calls that somebody worked on in a window."""
    return [c for c in floor.calls if _workload([c], floor.configuration.defaults.max_state_s, t0, t1, floor.as_of) > 0]


def kpi_interval(floor: Floor, t0: dt.datetime, t1: dt.datetime, minutes: int) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_interval(t0, t1, minutes) by campaign and start of the interval."""
    step = dt.timedelta(minutes=minutes)
    starts = [t0 + number * step for number in range(-(-(t1 - t0) // step))]
    return {
        (name, start): row | contract(floor, name, start, end) | _agents(row, seconds(min(end, floor.as_of) - start))
        for name in floor.campaigns
        for own in [floor.among(campaign=name)]
        for start in starts
        for end in [min(t1, start + step)]
        for row in [kpis(own, start, end)]
    }


def _agents(row: Row, elapsed_s: float) -> Row:
    """Return the mean number of agents in each state; None if the interval has not begun."""
    return {
        f"agents_{state}": row[f"{state}_s"] / elapsed_s if elapsed_s > 0 else None
        for state in (*LOGGED_IN, "logged_in")
    }


def kpi_now(floor: Floor) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_now by campaign."""
    rows: dict[tuple[Any, ...], Row] = {}
    tomorrow = floor.as_of.date() + dt.timedelta(days=1)
    for name in floor.campaigns:
        campaign, own = floor.configuration.campaign(name), floor.among(campaign=name)
        t0 = floor.as_of - dt.timedelta(minutes=campaign.window_minutes)
        row = kpis(own, t0, floor.as_of) | contract(floor, name, t0, floor.as_of)
        waits = [
            c["wait_s"]
            for c in own.calls
            if c["outcome"] == "open" and c["direction"] != "outbound" and c["day"] <= tomorrow
        ]
        is_open, opens_at = _open(campaign, floor.as_of)
        row |= {"window_start": t0, "window_end": floor.as_of, "is_open": is_open, "opens_at": opens_at}
        row |= {"waiting": len(waits), "longest_wait_s": max(waits, default=None)}
        rows[(name,)] = row | {"too_few_calls": row["service_level_base"] < 10}
    return rows


def _open(campaign: Any, as_of: dt.datetime) -> tuple[bool, dt.datetime | None]:
    """Return whether a campaign is open, and if not, the first minute of the next two weeks at which it is."""
    if not campaign.opening:
        return True, None
    zone = ZoneInfo(campaign.timezone)

    def opened(at: dt.datetime) -> bool:
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return any(opens <= minute < closes for opens, closes in campaign.opening[local.weekday()])

    if opened(as_of):
        return True, None
    minutes = (as_of.replace(second=0, microsecond=0) + dt.timedelta(minutes=n) for n in range(1, 14 * 1440))
    return False, next((minute for minute in minutes if opened(minute)), None)


def kpi_days(floor: Floor, day0: dt.date, day1: dt.date) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_days(day0, day1) by campaign and local day."""
    rows: dict[tuple[Any, ...], Row] = {}
    for name in floor.campaigns:
        zone, own = ZoneInfo(floor.configuration.campaign(name).timezone), floor.among(campaign=name)
        for ordinal in range(day0.toordinal(), day1.toordinal()):
            day = dt.date.fromordinal(ordinal)
            t0, t1 = midnight(day, zone), midnight(day + dt.timedelta(days=1), zone)
            cohort = [c for c in own.calls if c["day"] == day]
            rows[name, day] = kpis(own, t0, t1, cohort) | contract(floor, name, t0, t1, t1)
    return rows


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


def kpi_term(floor: Floor, t0: dt.datetime, t1: dt.datetime) -> dict[tuple[Any, ...], Row]:
    """Return the rows of kpi_term(t0, t1) by campaign and the local time at which the term begins."""
    rows: dict[tuple[Any, ...], Row] = {}
    for name in floor.campaigns:
        campaign = floor.configuration.campaign(name)
        for term in campaign.terms:
            begin, end = (_instant_of(local, campaign) for local in (term.valid_from, term.valid_to))
            if (begin is None or begin < t1) and (end is None or end > t0):
                columns = {column: getattr(term, column) for column in TERM}
                rows[name, term.valid_from] = (
                    kpis(floor.among(campaign=name, term_from=term.valid_from), t0, t1) | columns
                )
    return rows


def contract(
    floor: Floor, name: str, t0: dt.datetime, t1: dt.datetime, reached: dt.datetime | None = None
) -> dict[str, Any]:
    """Return the term in force at the end of a window, up to `reached`, and whether the window has another term."""
    campaign = floor.configuration.campaign(name)
    reached = reached or max(t0, min(t1, floor.as_of))
    touching = []
    for term in campaign.terms:
        begin, end = (_instant_of(local, campaign) for local in (term.valid_from, term.valid_to))
        if (begin is None or begin < reached or begin == t0) and (end is None or end > t0):
            touching.append(term)
    return {
        "target": touching[-1].target,
        "threshold_s": touching[-1].threshold_s,
        "terms_changed": len(touching) > 1,
    }


def _instant_of(local: dt.datetime | None, campaign: Any) -> dt.datetime | None:
    return None if local is None else local.replace(tzinfo=ZoneInfo(campaign.timezone)).astimezone(dt.UTC)


def kpi_formulas(calls: dict[str, Row], name: str, t0: dt.datetime, t1: dt.datetime) -> dict[str, float | None]:
    """Return a campaign's service level under each of the five formulas."""
    decided = [
        c
        for c in calls.values()
        if c["campaign"] == name and c["cohort_at"] and t0 <= c["cohort_at"] < t1
        if c["direction"] != "outbound" and c["outcome"] != "refused"
        if not (c["outcome"] == "open" and c["in_threshold"])
    ]
    formulas = ("exclude_short", "all_offered", "ignore_abandons_in_threshold")
    return {
        formula: ratio(
            sum(bool(hit_and_base(c, formula)[0]) for c in decided),
            sum(bool(hit_and_base(c, formula)[1]) for c in decided),
        )
        for formula in (*formulas, "abandon_counts_as_success", "answered_only")
    }
