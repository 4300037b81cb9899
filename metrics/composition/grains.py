"""What a row of each macro and view stands for (GRAINS): its keys, its window, and which calls and times it adds up."""

from dataclasses import dataclass, replace

from metrics.composition.figures import (
    AGENT_COLUMNS,
    ANY_CALL,
    COLUMNS,
    CONTRACT,
    DAY_COLUMNS,
    QUEUE_COLUMNS,
    TERM_COLUMNS,
)
from metrics.kpis import agent_time, now

T0, T1 = "t0::TIMESTAMPTZ", "t1::TIMESTAMPTZ"
UTC0, UTC1 = f"({T0} AT TIME ZONE 'UTC')::DATE", f"({T1} AT TIME ZONE 'UTC')::DATE"
STEP = "(minutes * 60000000::BIGINT)::BIGINT"  # the width of an interval, microseconds
STARTS = f"{T0} + to_microseconds(k.step * {STEP})"
ENDS = f"least({T1}, {T0} + to_microseconds((k.step + 1) * {STEP}))"
DAY_US = 86_400_000_000
QUARTER_US = 900_000_000
_FLOOR = "time_bucket(INTERVAL 15 MINUTE, {})"  # the quarter of an hour that an instant is in
_CEILING = _FLOOR.format(f"{T0} + INTERVAL 899999999 MICROSECOND")


def _months(first: str, last: str) -> str:
    """Return the condition for the files of months that may have days from `first` to `last` (SQL)."""
    return f"month BETWEEN date_trunc('month', {first}) AND {last}"


@dataclass(frozen=True)
class Sums:
    """Which sums a window takes, and what it adds up at its edges, where it cuts a quarter of an hour.

    The quarters from `whole0` to before `whole1` are whole. Both are constant for constant windows, as is `has_edges`:
    DuckDB then knows which files to read before it opens any.
    """

    whole0: str = f"least({_CEILING}, {T1})"
    whole1: str = f"greatest({_FLOOR.format(T1)}, $whole0)"
    calls: str = f"""day BETWEEN {UTC0} - 1 AND {UTC1} + 1 AND {_months(f"{UTC0} - 1", f"{UTC1} + 1")}
    AND cohort_at >= $whole0 AND cohort_at < $whole1"""
    is_summed: str = "true"
    has_work: bool = True  # work is kept by these keys
    state_keys: str = ""  # SQL for the keys of a row of state_sums and work_sums, if they are not its columns
    states: str = f"""state_sums
WHERE day BETWEEN {UTC0} - 1 AND {UTC1} AND {_months(f"{UTC0} - 1", UTC1)}
    AND quarter_start >= $whole0 AND quarter_start < $whole1"""
    has_edges: str = f"($whole0 > {T0} OR $whole1 < {T1})"  # "": never
    edge_days: str = "(day <= ($whole0 AT TIME ZONE 'UTC')::DATE + 1 OR day >= ($whole1 AT TIME ZONE 'UTC')::DATE - 1)"


@dataclass(frozen=True)
class Grain:
    """What one row of a relation stands for, as fragments of SQL. The defaults suit one row for the entire window."""

    parameters: tuple[str, ...]
    keys: tuple[str, ...]
    every: str  # SELECT of all keys: each gets a row, even if nothing happened
    columns: tuple[str, ...]
    shown: str | None = None  # the first columns if they are not the keys; "": none
    is_keyed_by_work: bool = False  # `every` also takes keys from work_of
    call_keys: str = ""  # SQL for the keys of a call, if they are not columns of `calls`
    calls: str = "calls"  # FROM what calls are taken, and agents' states
    agent_states: str = "agent_states"
    which: str = ""  # further conditions on calls and states
    cohort: str = f"day BETWEEN {UTC0} - 1 AND {UTC1} + 1 AND cohort_at >= {T0} AND cohort_at < {T1}"
    states: str = f"day BETWEEN {UTC0} - 1 AND {UTC1} AND started_at < {T1}"
    worked: str = f"answered_at >= make_timestamptz(epoch_us({T0}) - {DAY_US}) AND answered_at < {T1}"
    sums: Sums | None = Sums()  # None: calls and agents' states are added up each time
    t0_us: str = f"epoch_us({T0})"  # the window of agents' time
    t1_us: str = f"epoch_us({T1})"
    cut_keys: str = ""  # SQL for the keys of a piece of agents' time, if they are not its columns
    cut: str = """SELECT $cut_keys, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
FROM spans, clock AS w"""
    union_by: str = ""  # columns within which an agent's simultaneous calls count once, if they are not the keys
    has_queue: bool = False  # whether the callers who wait at as_of, and the opening hours, are joined
    joins: str = ""
    ends: str = T1  # the end of a row's window
    # a row's window up to as_of
    starts: str = T0
    reached: str = f"greatest({T0}, least({T1}, w.as_of))"


def _agents(keys: str) -> str:
    """Return a SELECT of the agents who were logged in, answered a call or worked on one, by `keys`."""
    return f"""SELECT DISTINCT {keys} FROM agent_states, clock AS w
WHERE $states$which AND state <> 'offline' AND coalesce(epoch_us(ended_at), w.until_us) > w.t0_us
UNION
SELECT {keys} FROM calls WHERE $cohort$which
UNION
SELECT {keys} FROM work_of WHERE agent IS NOT NULL"""


_CAMPAIGN = Grain(("t0", "t1"), ("campaign",), "SELECT campaign FROM campaigns", COLUMNS)
_AGENT = Grain(
    ("t0", "t1"),
    ("agent",),
    _agents("agent"),
    AGENT_COLUMNS,
    is_keyed_by_work=True,
    which="AND agent IS NOT NULL",
    sums=None,
    shown="k.agent, z.name, z.team, z.site",
    joins="LEFT JOIN (SELECT agent, name, team, site FROM agents) AS z USING (agent)",
)
_DAY = Grain(
    ("day0", "day1"),
    ("campaign", "day"),
    """SELECT campaign, day, epoch_us(from_at) AS from_us, epoch_us(until_at) AS until_us
FROM campaigns JOIN local_days USING (timezone)
WHERE day >= day0::DATE AND day < day1::DATE""",
    DAY_COLUMNS,
    cohort="day >= day0::DATE AND day < day1::DATE AND cohort_at IS NOT NULL",
    states="day BETWEEN day0::DATE - 2 AND day1::DATE",
    # a local day begins and ends with a quarter of an hour, whatever its zone
    sums=Sums(
        calls=f"day >= day0::DATE AND day < day1::DATE AND {_months('day0::DATE', 'day1::DATE')}",
        state_keys="campaign, d.day",
        states=f"""(
    SELECT * EXCLUDE (day), epoch_us(quarter_start) // {DAY_US} AS utc_day
    FROM state_sums
    WHERE day BETWEEN day0::DATE - 2 AND day1::DATE AND {_months("day0::DATE - 2", "day1::DATE")}
) AS s
JOIN (SELECT campaign, day, make_timestamptz(from_us) AS from_at, make_timestamptz(until_us) AS until_at,
             unnest(range(day - DATE '1970-01-01' - 1, day - DATE '1970-01-01' + 2)) AS utc_day
      FROM keys) AS d USING (campaign, utc_day)
WHERE quarter_start >= from_at AND quarter_start < until_at""",
        has_edges="",
    ),
    t0_us="0",
    t1_us="epoch_us(as_of)",
    # a local day can overlap a state that began up to two UTC dates before it, on the same date, or on the next
    cut=f"""SELECT campaign, d.day, state, least(s.to_us, d.until_us, w.until_us) - greatest(s.from_us, d.from_us) AS us
FROM (SELECT *, from_us // {DAY_US} AS utc_day FROM spans) AS s
JOIN (SELECT *, unnest(range(day - DATE '1970-01-01' - 2, day - DATE '1970-01-01' + 2)) AS utc_day
      FROM keys) AS d USING (campaign, utc_day), clock AS w""",
    ends="d.until_at",
    joins="""JOIN campaigns AS z USING (campaign)
JOIN (SELECT timezone, day AS on_day, until_at FROM local_days) AS d ON d.timezone = z.timezone AND on_day = k.day""",
    starts="make_timestamptz(k.from_us)",
    reached="make_timestamptz(k.until_us)",
)
_IN_QUARTERS = f"{STEP} % {QUARTER_US} = 0 AND {_CEILING} = {T0}"
_SINCE = "coalesce({}, TIMESTAMP '-infinity') AS since"  # -infinity for a term without a start: NULL would not join
GRAINS = {
    "kpi_campaign": _CAMPAIGN,
    "kpi_queue": replace(
        _CAMPAIGN,
        keys=("campaign", "queue"),
        every=f"""SELECT campaign, queue FROM calls_of WHERE {" OR ".join(f"{name} > 0" for name in ANY_CALL)}
UNION
SELECT campaign, queue FROM work_of WHERE queue IS NOT NULL""",
        columns=QUEUE_COLUMNS,
        is_keyed_by_work=True,
        which="AND queue IS NOT NULL",
    ),
    "kpi_term": replace(
        _CAMPAIGN,
        keys=("campaign", "since"),
        every=f"""SELECT campaign, {_SINCE.format("valid_from")} FROM sla_terms
WHERE (from_at IS NULL OR from_at < {T1}) AND (until_at IS NULL OR until_at > {T0})""",
        columns=TERM_COLUMNS,
        shown="k.campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, "
        "short_abandon_s",
        call_keys=f"campaign, {_SINCE.format('term_from')}",
        joins=f"JOIN (SELECT *, {_SINCE.format('valid_from')} FROM sla_terms) AS z USING (campaign, since)",
    ),
    "kpi_agent": _AGENT,
    "kpi_agent_campaign": replace(
        _AGENT,
        keys=("agent", "campaign"),
        every=_agents("agent, campaign"),
        which="AND agent IS NOT NULL AND campaign IS NOT NULL",
        shown="k.agent, k.campaign, z.name, z.team, z.site",
    ),
    "kpi_interval": replace(
        _CAMPAIGN,
        parameters=("t0", "t1", "minutes"),
        keys=("campaign", "step"),
        every=f"""SELECT campaign, unnest(range(0, (epoch_us({T1}) - epoch_us({T0}) - 1) // {STEP} + 1)) AS step
FROM campaigns""",
        columns=(*COLUMNS, *agent_time.AGENTS),
        shown=f"k.campaign, {STARTS} AS interval_start, {ENDS} AS interval_end",
        call_keys=f"campaign, (epoch_us(cohort_at) - epoch_us({T0})) // {STEP} AS step",
        # sums serve intervals of whole quarters
        sums=Sums(
            is_summed=_IN_QUARTERS,
            whole0=f"CASE WHEN {_IN_QUARTERS} THEN {T0} ELSE {T1} END",
            state_keys=f"campaign, (epoch_us(quarter_start) - epoch_us({T0})) // {STEP} AS step",
        ),
        cut=f"""SELECT campaign, step, state,
       least(to_us, w.until_us, w.t0_us + (step + 1) * {STEP}) - greatest(from_us, w.t0_us + step * {STEP}) AS us
FROM (
    SELECT campaign, state, from_us, to_us, unnest(range(
        (greatest(from_us, w.t0_us) - w.t0_us) // {STEP},
        (least(to_us, w.until_us) - w.t0_us - 1) // {STEP} + 1)) AS step
    FROM spans, clock AS w
), clock AS w""",
        union_by="campaign",
        ends=ENDS,
        starts=STARTS,
        reached=f"greatest({STARTS}, least({ENDS}, w.as_of))",
    ),
    "kpi_days": _DAY,
    "kpi_total": replace(
        _CAMPAIGN,
        parameters=("t0", "t1", "among"),
        keys=("total",),
        every="SELECT true AS total",
        columns=tuple(c for c in COLUMNS if c not in CONTRACT),
        which="AND (among IS NULL OR list_contains(among, campaign))",
        shown="",
        call_keys="true AS total",
        sums=Sums(state_keys="true AS total", has_work=False),
        cut_keys="true AS total",
        union_by="true",
    ),
    "kpi_now": replace(
        _CAMPAIGN,
        parameters=(),
        every=now.WINDOWS,
        columns=now.FIGURES,
        shown=now.SHOWN,
        calls=now.CALLS,
        agent_states=now.STATES,
        cohort=now.COHORT,
        states=now.STATE,
        sums=None,
        t0_us="0",
        t1_us="epoch_us(as_of)",
        cut=now.CUT,
        has_queue=True,
        joins=now.JOINS,
        starts="k.window_start",
        reached="k.window_end",
    ),
}
