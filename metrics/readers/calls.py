"""The calls of a campaign behind a figure, an outcome or an interval."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS, MEASURES
from metrics.kpis import service_level, tallies
from metrics.kpis.outcomes import PARTS
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.explained import FIGURES
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

PER_PAGE = 50
LONGEST = timedelta(weeks=12, hours=1)
"""The longest window for which calls are listed: the most weeks shown, plus an hour because clocks may go back."""
_WINDOW = """campaign = $campaign AND cohort_at >= $t0::TIMESTAMPTZ AND cohort_at < $t1::TIMESTAMPTZ
        AND day BETWEEN CAST(timezone('UTC', $t0::TIMESTAMPTZ) AS DATE) - 1
            AND CAST(timezone('UTC', $t1::TIMESTAMPTZ) AS DATE) + 1"""
_JUDGED = ", ".join(f"{sql} AS {name}" for name, sql in (tallies.FACTS | service_level.FACTS).items())
CALLS = f"""
SELECT call_id, c.campaign, queue, direction, channel, c.language, cohort_at, queued_at, answered_at, ended_at,
       outcome, wait_s, talk_s, hold_s, wrap_s, agent, coalesce(a.name, agent), caller, disposition, transferred,
       coalesce(inferred_end, false), coalesce(clock_skew, false),
       CASE WHEN base THEN coalesce(hit, false) END, a.site,
       count(*) OVER (), count(disposition) OVER () > 0,
       bool_or(direction IN ('outbound', 'callback') OR transferred OR inferred_end OR clock_skew) OVER ()
FROM (
    SELECT *, {_JUDGED}
    FROM calls
    WHERE {_WINDOW}
) AS c LEFT JOIN (SELECT agent, name, site FROM agents) AS a USING (agent)
WHERE {{behind}}
ORDER BY {{order}}
LIMIT $most OFFSET $skipped
"""
AGENTS_OF_CALLS = f"""
SELECT DISTINCT agent, coalesce(name, agent), site
FROM (SELECT unnest(list_append(coalesce(missed_by, []), agent)) AS agent FROM calls WHERE {_WINDOW})
LEFT JOIN (SELECT agent, name, site FROM agents) USING (agent)
WHERE agent IS NOT NULL
ORDER BY lower(coalesce(name, agent)), agent
"""
QUEUES_OF_CALLS = f"SELECT DISTINCT queue FROM calls WHERE {_WINDOW} AND queue IS NOT NULL ORDER BY lower(queue), queue"
ORDERS = {
    "newest": "cohort_at DESC, call_id DESC",
    "oldest": "cohort_at, call_id",
    "wait": "wait_s DESC NULLS LAST, cohort_at, call_id",
    "handling": "handle_s DESC NULLS LAST, cohort_at, call_id",
}
"""Order of a list → its SQL; `wait` and `handling` begin with the longest."""
SITE = "SELECT site FROM agents WHERE agent = $agent"
BEHIND = {
    name: condition
    for name in FIGURES
    if (condition := KPIS[name].calls(MEASURES) if name in KPIS else MEASURES[name].total.calls) is not None
}
"""Figure → condition of the calls in its denominator. Figures of agents' time, such as occupancy, are not in it."""
QUARTER_MIN, DAY_MIN = 15, 24 * 60
"""Times of day are selected by quarter hours, because these are the same in every zone and in UTC."""
OTHER = "other"
OUTCOMES = (*PARTS, OTHER, "refused", "not_connected")
"""Outcomes to select calls by; OTHER: the call was offered, and neither answered nor abandoned."""


@dataclass(frozen=True, slots=True)
class Call:
    """A row of `calls`. `hit`: whether it was in time by its contract; None: it does not count in the service level.

    `agent` and `agent_name` are None for a viewer who may not see agents' names. For a client, `talk_s`, `hold_s`,
    `wrap_s` and `ended_at` are None too.
    """

    call_id: str
    campaign: str
    queue: str | None
    direction: str | None
    channel: str | None
    language: str | None
    cohort_at: datetime
    queued_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str
    wait_s: float | None
    talk_s: float | None
    hold_s: float | None
    wrap_s: float | None
    agent: str | None
    agent_name: str | None
    caller: str | None
    disposition: str | None
    transferred: bool | None
    inferred_end: bool
    clock_skew: bool
    hit: bool | None


@dataclass(frozen=True, slots=True)
class CallList:
    """A page of the calls of a window; `total` is the number on all pages.

    `has_dispositions` and `noted` are about all pages: whether any call has a disposition, and whether any is unusual
    (not inbound, transferred, with an inferred end, or with clock skew).
    """

    freshness: Freshness
    campaign: Campaign
    t0: datetime
    t1: datetime
    total: int
    calls: tuple[Call, ...]
    has_dispositions: bool = False
    noted: bool = False


@dataclass(frozen=True, slots=True)
class CallFilters:
    """A selection of the calls of a window: by outcome, by a KPI's denominator, by whether they were in time (`hit`).

    `agent` answered the calls, `missed_by` was offered them and did not pick up, `queue` is the queue that they
    entered. `time` is the local time of day `[start, end)` in minutes, in whole quarter hours. `weekday` is the
    campaign's local weekday, 0 is Monday.
    """

    outcome: str | None = None
    kpi: str | None = None
    hit: bool | None = None
    queue: str | None = None
    agent: str | None = None
    missed_by: str | None = None
    time: tuple[int, int] | None = None
    weekday: int | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """The agents in the selection."""
        return tuple(agent for agent in (self.agent, self.missed_by) if agent is not None)

    @property
    def has_quarters(self) -> bool:
        """Whether the selection is limited to certain quarter hours."""
        return self.time is not None or self.weekday is not None

    def quarters(self, zone: str, t0: datetime, t1: datetime) -> list[int]:
        """Return the selected quarter hours of `[t0, t1)`, counted from 1970.

        By Python's zone rules: if clocks go back, the repeated hour is in it twice; if they go forward, the skipped
        hour is not in it.
        """
        start, end = self.time or (0, DAY_MIN)
        local, length_s = ZoneInfo(zone), QUARTER_MIN * 60
        numbers = range(int(t0.timestamp() // length_s), int(-(-t1.timestamp() // length_s)))
        local_times = ((n, datetime.fromtimestamp(n * length_s, local)) for n in numbers)
        return [
            n
            for n, at in local_times
            if start <= at.hour * 60 + at.minute < end and self.weekday in (None, at.weekday())
        ]

    def values(self) -> dict[str, str]:
        """Return the parameters of `sql()`."""
        named = {"queue": self.queue, "agent": self.agent, "missed_by": self.missed_by}
        return {name: value for name, value in named.items() if value is not None}

    def sql(self) -> str:
        if self.outcome not in (None, *OUTCOMES) or self.kpi not in (None, *BEHIND):
            raise ValueError(f"calls cannot be selected by {self}")
        conditions = [BEHIND[self.kpi]] if self.kpi else []
        if self.outcome == OTHER:
            conditions.append(f"{BEHIND['offered']} AND outcome NOT IN ('answered', 'abandoned')")
        elif self.outcome:
            direction = "" if self.outcome == "not_connected" else " AND inbound"
            conditions.append(f"outcome = '{self.outcome}'{direction}")
        if self.hit is not None:
            conditions.append(f"base AND coalesce(hit, false) = {self.hit}")
        by_name = {"queue": "queue = $queue", "agent": "agent = $agent"}
        by_name["missed_by"] = "list_contains(missed_by, $missed_by)"
        conditions += [by_name[name] for name in self.values()]
        if self.has_quarters:
            quarter = f"epoch_us(cohort_at) // {QUARTER_MIN * 60_000_000}"
            conditions.append(f"{quarter} IN (SELECT unnest($quarters::BIGINT[]))")
        return " AND ".join(f"({condition})" for condition in conditions) or "true"


def calls(
    published: Published,
    viewer: Viewer,
    campaign: str,
    t0: datetime,
    t1: datetime,
    filters: CallFilters,
    *,
    order: str = "newest",
    page: int | None = 1,
) -> CallList | None:
    """Return a page of PER_PAGE calls that entered their queue in `[t0, t1)`, in one of ORDERS.

    `page` None returns all of them. The result is None if the viewer may not see the campaign, or is a television. A
    client sees the calls, but not who worked on them or for how long, and may not select by agent. A viewer limited to
    sites sees that only for agents of their sites, and may select only those agents' calls. An order that the viewer
    may not have is the default one.
    """
    _check_length(t0, t1)
    visible = wall.campaign(published, viewer, campaign)
    if visible is None or (filters.people and not viewer.names_agents):
        return None
    order = order if order in orders(viewer) else "newest"
    question = ("calls", campaign, t0, t1, filters, order, page, viewer.role, viewer.sites)
    if page is not None:
        return published.ask(question, lambda s: _calls(s, viewer, visible, t0, t1, filters, order, page), SLOW_S)
    return published.ask(question, lambda s: _calls(s, viewer, visible, t0, t1, filters, order, None), keep=False)


def orders(viewer: Viewer) -> tuple[str, ...]:
    """Return the orders that a viewer may have: to sort by handling is to see how long somebody worked on each call."""
    may_sort_by_work = viewer.sees_work and viewer.sites is None
    return tuple(order for order in ORDERS if may_sort_by_work or order != "handling")


def queues_of_calls(published: Published, viewer: Viewer, campaign: str, t0: datetime, t1: datetime) -> tuple[str, ...]:
    """Return the queues that calls of `[t0, t1)` entered; none if the viewer may not see the campaign."""
    _check_length(t0, t1)
    if wall.campaign(published, viewer, campaign) is None:
        return ()
    window = {"campaign": campaign, "t0": t0, "t1": t1}
    rows = published.ask(
        ("queues_of_calls", campaign, t0, t1), lambda s: fetch(s.connection, QUEUES_OF_CALLS, **window), SLOW_S
    )
    return tuple(queue for (queue,) in rows or ())


def agents_of_calls(
    published: Published, viewer: Viewer, campaign: str, t0: datetime, t1: datetime
) -> Mapping[str, str] | None:
    """Return the agents who answered or missed calls of `[t0, t1)`, agent → name, sorted by name.

    Only agents whom the viewer may see are returned. None: the viewer may not see the campaign, or no agents' names.
    """
    _check_length(t0, t1)
    visible = wall.campaign(published, viewer, campaign)
    if visible is None or not viewer.names_agents:
        return None
    window = {"campaign": campaign, "t0": t0, "t1": t1}
    rows = published.ask(
        ("agents_of_calls", campaign, t0, t1), lambda s: fetch(s.connection, AGENTS_OF_CALLS, **window), SLOW_S
    )
    return {agent: name for agent, name, site in rows or () if viewer.names_agents_of(site)}


def _check_length(t0: datetime, t1: datetime) -> None:
    if not timedelta() < t1 - t0 <= LONGEST:
        raise ValueError(f"the window is empty or too long: calls are listed for at most {LONGEST.days} days")


def _calls(
    snapshot: Snapshot,
    viewer: Viewer,
    campaign: Campaign,
    t0: datetime,
    t1: datetime,
    filters: CallFilters,
    order: str,
    page: int | None,
) -> CallList:
    for agent in filters.people:
        site = next((site for (site,) in fetch(snapshot.connection, SITE, agent=agent)), None)
        if not viewer.names_agents_of(site):
            return CallList(snapshot.freshness, campaign, t0, t1, 0, ())
    sql = CALLS.format(behind=filters.sql(), order=ORDERS[order])
    most, skipped = (PER_PAGE, (page - 1) * PER_PAGE) if page else (2**31, 0)
    window: dict[str, Any] = {"campaign": campaign.campaign, "t0": t0, "t1": t1}
    if filters.has_quarters:
        window["quarters"] = filters.quarters(campaign.timezone, t0, t1)
    rows = fetch(snapshot.connection, sql, most=most, skipped=skipped, **window, **filters.values())
    total, has_dispositions, noted = rows[0][-3:] if rows else (0, False, False)
    withheld: dict[str, Any] = {} if viewer.sees_work else dict.fromkeys(("talk_s", "hold_s", "wrap_s", "ended_at"))
    calls = tuple(
        call if viewer.names_agents_of(site) else replace(call, agent=None, agent_name=None, **withheld)
        for call, site in ((Call(*row[:-4]), row[-4]) for row in rows)
    )
    return CallList(snapshot.freshness, campaign, t0, t1, total, calls, has_dispositions, bool(noted))
