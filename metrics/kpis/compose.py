"""Composes the measures and KPIs of this package into the SQL of every macro and view, so each is defined once.

Each relation is built the same way. Calls and agents' time are added up separately by the keys of the relation, then
the sums are joined on those keys, and ratios are computed last.

    call_sums ─────────────────────────────────────┐
    calls ── tallies ── CALL_MEASURES ─────────────┤
    state_sums ────────────────────────────────────┼── keys ── KPIS, contract, settled
    agent_states ── cut at the edges ── STATE_… ───┤
    calls ── stretches of work ── cut ── WORK_… ───┘

Sums of the same measures are kept by quarter of an hour (`metrics.kpis.sums`): they give the whole quarters of a
window. Calls and states are added up only for what is left at its two ends, which mostly is nothing.

Queries limit `day` by constants, so that Parquet files of other days are not opened. A call's local day is at most one
day from the UTC date of its cohort. A state, or the work on a call, lasts at most a day (`max_state_s`). Days of calls
that were answered long after their cohort are in `late_answers`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import indent

from metrics.kpis import (
    abandonment,
    agent_time,
    answering,
    conversion,
    handling,
    now,
    outbound,
    outcomes,
    satisfaction,
    service_level,
    waiting,
)
from metrics.kpis.kpi import Kpi, Measure
from metrics.kpis.tallies import BY, FACTS

# What was added to the first figures. Register a new figure at the end, after the measures that it adds: their columns
# are the last of each relation, in this order, so no column ever moves.
LATER: tuple[Measure | Kpi, ...] = (
    answering.ANSWER_RATE,
    *satisfaction.MEASURES,
    *satisfaction.KPIS,
    conversion.SALES_PER_HOUR,
    waiting.ANSWERED_WAITS,
)
_FIRST = (service_level, abandonment, waiting, handling, agent_time, conversion, outbound, outcomes)
KPIS: dict[str, Kpi] = {
    kpi.name: kpi
    for kpi in (
        *(kpi for module in _FIRST for kpi in module.KPIS),
        *(added for added in LATER if isinstance(added, Kpi)),
    )
}
CALL_MEASURES: tuple[Measure, ...] = (
    *outcomes.MEASURES,
    *service_level.MEASURES,
    *waiting.MEASURES,
    *handling.MEASURES,
    *conversion.MEASURES,
    *outbound.MEASURES,
    *(added for added in LATER if isinstance(added, Measure)),
)
MEASURES = {m.name: m for m in (*CALL_MEASURES, *agent_time.STATE_MEASURES, *agent_time.WORK_MEASURES)}
TALLIES = {tally.name: tally for measure in CALL_MEASURES if (tally := measure.total.tally)}

# the columns after the keys, in the order of docs/architecture.md, Published relations; then EXTRAS and LATER
COUNTS = (
    *("offered", "answered", "abandoned", "short_abandoned", "overflowed", "callback", "voicemail", "refused"),
    *("dropped", "open", "answered_in_threshold", "abandoned_in_threshold", "handled", "transferred", "sales"),
)
RATES = (
    *("service_level", "service_level_worst", "service_level_best", "abandon_rate", "asa_s", "longest_wait_s"),
    *("aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "occupancy", "utilisation"),
)
TIME = ("available_s", "busy_s", "wrap_up_s", "paused_s")
DIALER = ("dialed", "connected", "contacts", "drops", "contact_rate", "drop_rate")
CONTRACT = ("target", "threshold_s", "terms_changed")
EXTRAS = (
    *("open_in_threshold", "callback_in_threshold", "service_level_hits", "service_level_base", "service_level_asked"),
    "service_level_late",
    *("transfer_rate", "answered_wait_s", "talk_s", "hold_s", "wrap_s", "logged_in_s", "workload_s"),
    *("outbound_answered", "conserved"),
)
COLUMNS = (
    *(*COUNTS, *RATES, *TIME, *DIALER, "conversion", "settled", *CONTRACT, *EXTRAS),
    *(added.name for added in LATER),
)
# dashboards query days at every tick, and workload_s would be a third of that query's cost: kpi_interval has it
DAY_COLUMNS = tuple(c for c in COLUMNS if c != "workload_s")
# agents' states have no queue, and a dialer's attempts mostly have none
_OF_STATES = {measure.name for measure in agent_time.STATE_MEASURES}
QUEUE_COLUMNS = tuple(
    c for c in COLUMNS if c not in (*_OF_STATES, *DIALER) and not (c in KPIS and _OF_STATES & {*KPIS[c].inputs})
)
# a row is one term, and shows that term's own target and threshold
TERM_COLUMNS = tuple(c for c in QUEUE_COLUMNS if c not in (*CONTRACT, "workload_s"))
AGENT_COLUMNS = tuple(
    c
    for c in COLUMNS
    if c not in ("answered_wait_s", "answered_waits")  # of waits, an agent's row has the mean only
    and (KPIS[c].by_agent(MEASURES) if c in KPIS else c in MEASURES and MEASURES[c].by_agent)
)

# a row of calls_of with any of these has a call: each call is in one of them
ANY_CALL = ("offered", "refused", "dialed")


def _list(items: Iterable[str]) -> str:
    return ",\n".join(items)


T0, T1 = "t0::TIMESTAMPTZ", "t1::TIMESTAMPTZ"
UTC0, UTC1 = f"({T0} AT TIME ZONE 'UTC')::DATE", f"({T1} AT TIME ZONE 'UTC')::DATE"
STEP = "(minutes * 60000000::BIGINT)::BIGINT"  # the width of an interval, microseconds
STARTS = f"{T0} + to_microseconds(k.step * {STEP})"
ENDS = f"least({T1}, {T0} + to_microseconds((k.step + 1) * {STEP}))"
DAY_US = 86_400_000_000
QUARTER_US = 900_000_000
_FLOOR = "time_bucket(INTERVAL 15 MINUTE, {})"  # the quarter of an hour that an instant is in
_CEILING = _FLOOR.format(f"{T0} + INTERVAL 899999999 MICROSECOND")


@dataclass(frozen=True)
class Sums:
    """Which sums a window takes, and what it adds up at its edges, where it cuts a quarter of an hour.

    The quarters from `whole0` to before `whole1` are whole. Both are constant for constant windows, as is `has_edges`:
    DuckDB then knows which files to read before it opens any.
    """

    whole0: str = f"least({_CEILING}, {T1})"
    whole1: str = f"greatest({_FLOOR.format(T1)}, $whole0)"
    calls: str = f"day BETWEEN {UTC0} - 1 AND {UTC1} + 1 AND cohort_at >= $whole0 AND cohort_at < $whole1"
    is_summed: str = "true"
    has_work: bool = True  # work is kept by these keys
    state_keys: str = ""  # SQL for the keys of a row of state_sums and work_sums, if they are not its columns
    states: str = f"""state_sums
WHERE day BETWEEN {UTC0} - 1 AND {UTC1} AND quarter_start >= $whole0 AND quarter_start < $whole1"""
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
        calls="day >= day0::DATE AND day < day1::DATE",
        state_keys="campaign, d.day",
        states=f"""(
    SELECT * EXCLUDE (day), epoch_us(quarter_start) // {DAY_US} AS utc_day
    FROM state_sums
    WHERE day BETWEEN day0::DATE - 2 AND day1::DATE
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

CLOCK = """\
clock AS (
    SELECT as_of, lateness_s, max_state_s, $t0_us AS t0_us, least($t1_us, epoch_us(as_of)) AS until_us
    FROM ingest_status
)"""

TALLIED = """\
SELECT $keys,
       $measures
FROM (
    SELECT *,
           $facts
    FROM (
        SELECT $call_keys, $by,
               $tallies
        FROM $calls
        WHERE $cohort$which
        GROUP BY ALL
    )
)
GROUP BY ALL"""

TIMED = """\
SELECT $keys,
       $measures
FROM (
    WITH spans AS (
        $spans
    )
    $cut
)
WHERE us > 0
GROUP BY ALL"""
SPANS = """\
SELECT campaign, agent, state, epoch_us(started_at) AS from_us, epoch_us(coalesce(ended_at, w.as_of)) AS to_us
FROM $agent_states, clock AS w
WHERE $states$which"""


ROWS = """\
$name AS (
    $rows
)"""

# the sums of the whole quarters of an hour in the window, and the rows at its edges
SUMS_AND_ROWS = """\
$name AS (
    SELECT $keys,
           $combined
    FROM (
        SELECT $sum_keys,
               $summed
        FROM $sums$which
        $rows
    )
    GROUP BY ALL
)"""

CALL_SUMS = """\
(SELECT *, quarter_start AS cohort_at FROM call_sums)
WHERE $whole"""

STATES_AT_EDGES = f"""\
(
    SELECT campaign, agent, state, day, greatest(started_at, edge_from) AS started_at,
           least(coalesce(ended_at, as_of), edge_until) AS ended_at
    FROM agent_states, ingest_status, (VALUES ({T0}, $whole0), ($whole1, {T1})) AS edges(edge_from, edge_until)
    WHERE started_at < edge_until AND coalesce(ended_at, as_of) > edge_from AND edge_from < edge_until
)"""

# If an agent's calls overlap, the later one adds only the time after the earlier ones; each counts max_state_s at most.
# Work is cut into UTC days, of which it touches two at most, so that the work of a day is known without the calls that
# do not reach into it.
WORKED = f"""\
SELECT $keys,
       $measures
FROM (
    WITH spent AS (
        $spent
    ), stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            $answered
        ), clock AS w
        WHERE $worked$which
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY $union_by, who, utc_day ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM (
            SELECT campaign, queue, agent, who, utc_day, greatest(from_us, utc_day * {DAY_US}) AS from_us,
                   least(to_us, (utc_day + 1) * {DAY_US}) AS to_us
            FROM (SELECT *, from_us // {DAY_US} + later AS utc_day FROM stretches, (VALUES (0), (1)) AS days(later))
        ) JOIN spent USING (utc_day)
        WHERE to_us > from_us
    )
    $cut
)
WHERE us > 0
GROUP BY ALL"""

# the UTC dates of the window, as numbers of days since 1970
SPENT = """\
SELECT unnest(range($utc0 - DATE '1970-01-01', least($utc1, (as_of AT TIME ZONE 'UTC')::DATE) - DATE '1970-01-01' + 1))
       AS utc_day
FROM ingest_status
WHERE isfinite($utc0) AND isfinite($utc1)"""

# work on whole days that is kept
WORK_DAYS = f"""\
work_days AS (
    SELECT campaign, queue, quarter_start, workload_us, day - DATE '1970-01-01' AS utc_day
    FROM work_sums, clock AS w
    WHERE day BETWEEN {UTC0} AND {UTC1} AND by_queue = $by_queue AND $is_summed
        AND utc_day * {DAY_US} >= w.t0_us AND (utc_day + 1) * {DAY_US} <= w.until_us
)"""

# the terms that overlap a row's window up to as_of; the last one's target and threshold are shown
TERMS = """\
terms_of AS (
    SELECT $k_keys, count(*) > 1 AS terms_changed,
           arg_max(s.target, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS target,
           arg_max(s.threshold_s, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS threshold_s
    FROM keys AS k JOIN sla_terms AS s USING (campaign), clock AS w
    WHERE (s.from_at IS NULL OR s.from_at < $reached OR s.from_at = $starts)
      AND (s.until_at IS NULL OR s.until_at > $starts)
    GROUP BY ALL
)"""


KEYS = """\
keys AS (
    $every
)"""

ADDED = """\
added AS (
    SELECT $k_keys,
           $measures
    FROM keys AS k
    $left_joins
)"""

OF_CALLS = {
    "by": BY,
    "tallies": _list(f"{tally.sql} AS {name}" for name, tally in TALLIES.items()),
    "facts": _list(f"{sql} AS {alias}" for alias, sql in (FACTS | service_level.FACTS).items()),
}
PARTS: dict[str, tuple[Measure, ...]] = {
    "calls_of": CALL_MEASURES,
    "states_of": agent_time.STATE_MEASURES,
    "work_of": agent_time.WORK_MEASURES,
}


def relation(name: str) -> str:
    """Return the SELECT of a macro or a view of GRAINS."""
    return select(GRAINS[name])


def select(grain: Grain) -> str:
    """Return a SELECT of the keys of a grain, then its columns."""
    needed = set(grain.columns) | {i for c in grain.columns if c in KPIS for i in KPIS[c].inputs} | {"open_any"}
    if grain.is_keyed_by_work:
        needed |= {*ANY_CALL}
    fragments = _fragments(grain)
    parts: list[str] = []
    joins: list[str] = []
    for name, measures in PARTS.items():
        if of_part := [measure for measure in measures if measure.name in needed]:
            parts.append(_part(name, of_part, grain, fragments))
            joins.append(f"LEFT JOIN {name} USING ({fragments['keys']})")
    # the keys come after work_of if they are taken from it, otherwise first, because a day's cut joins them
    parts.insert(len(parts) if grain.is_keyed_by_work else 0, _filled(KEYS, fragments))
    if grain.has_queue:
        of_queue = {"name": "queue_of", "calls": now.QUEUED, "cohort": now.QUEUE}
        sums = f"{MEASURES['open'].sql} AS waiting,\n{MEASURES['open_wait_s'].sql} AS longest_wait_us"
        rows = _filled(TALLIED, fragments | of_queue | {"measures": sums})
        parts += [_filled(ROWS, of_queue | {"rows": rows}), now.HOURS]
    tables = ["FROM added AS k"]
    if grain.joins:
        tables.append(grain.joins)
    if "target" in grain.columns:
        parts.append(_filled(TERMS, fragments))
        tables.append(f"LEFT JOIN terms_of USING ({fragments['keys']})")
    tables.append("CROSS JOIN clock AS w")
    added = _list(_added(m) for m in MEASURES.values() if m.name in needed)
    parts.append(_filled(ADDED, fragments | {"measures": added, "left_joins": "\n".join(joins)}))
    shown = fragments["k_keys"] if grain.shown is None else grain.shown
    columns = _list(([shown] if shown else []) + [_column(column, grain) for column in grain.columns])
    parts = [_filled(CLOCK, fragments), *parts]
    return "\n".join((f"WITH {', '.join(parts)}", _filled("SELECT\n    $columns", {"columns": columns}), *tables))


def _part(name: str, measures: Sequence[Measure], grain: Grain, fragments: Mapping[str, str]) -> str:
    """Return one of PARTS as a CTE: its measures by the keys of a grain."""
    measured = {"measures": _measured(measures)}
    if name == "work_of":
        return _work(measured, grain, fragments)
    template = TALLIED if name == "calls_of" else TIMED
    if grain.sums is None:
        return _filled(ROWS, {"name": name, "rows": _filled(template, {**fragments, **measured})})
    at_edges = ""
    if grain.sums.has_edges:
        at_edges = "UNION ALL BY NAME\n" + _filled(template, {**fragments, **_edges(grain, fragments), **measured})
    of_sums = {
        "name": name,
        "combined": _list(f"{m.of}({m.name}) AS {m.name}" for m in measures),
        "summed": _list(m.name if m.is_count else f"{m.summed} AS {m.name}" for m in measures),
        "sum_keys": fragments["call_keys"] if name == "calls_of" else grain.sums.state_keys or fragments["keys"],
        "sums": _filled(CALL_SUMS if name == "calls_of" else grain.sums.states, fragments),
        "rows": at_edges,
    }
    return _filled(SUMS_AND_ROWS, {**fragments, **of_sums})


def _work(measured: Mapping[str, str], grain: Grain, fragments: Mapping[str, str]) -> str:
    """Return work_of: kept sums of whole days, and the union of the other days' calls."""
    if grain.sums is None or not grain.sums.has_work:
        return _filled(ROWS, {"name": "work_of", "rows": _filled(WORKED, {**fragments, **measured})})
    other_days = f"{fragments['spent']}\nEXCEPT\nSELECT utc_day FROM work_days"
    of_sums = {
        "name": "work_of",
        "combined": "sum(workload_s) AS workload_s",
        "sum_keys": grain.sums.state_keys or fragments["keys"],
        "summed": "workload_us AS workload_s",
        "sums": "work_days\nWHERE true",
        "rows": "UNION ALL BY NAME\n" + _filled(WORKED, {**fragments, **measured, "spent": other_days}),
    }
    by_queue = "true" if "queue" in grain.keys else "false"
    work_days = _filled(WORK_DAYS, {"is_summed": grain.sums.is_summed, "by_queue": by_queue})
    return f"{work_days}, {_filled(SUMS_AND_ROWS, {**fragments, **of_sums})}"


def _edges(grain: Grain, fragments: Mapping[str, str]) -> dict[str, str]:
    """Return the fragments that limit calls and agents' states to the edges of the window."""
    assert grain.sums
    at_edges = _filled(f"{grain.sums.edge_days} AND {grain.sums.has_edges}", fragments)
    is_whole = _filled("cohort_at >= $whole0 AND cohort_at < $whole1", fragments)
    return {
        "cohort": f"{at_edges} AND {grain.cohort} AND NOT ({is_whole})",
        "spans": _filled(
            SPANS,
            {
                **fragments,
                "agent_states": _filled(STATES_AT_EDGES, fragments),
                "states": f"{at_edges} AND {grain.states}",
            },
        ),
    }


def formulas() -> str:
    """Return the SELECT of kpi_formulas: service level of each campaign under each of the five formulas."""
    grain = GRAINS["kpi_campaign"]
    measures = [measure for kpi in service_level.EACH for measure in map(MEASURES.get, kpi.inputs) if measure]
    measures = list(dict.fromkeys(measures))
    fragments = _fragments(grain)
    keys = _filled(KEYS, fragments)
    calls = _part("calls_of", measures, grain, fragments)
    joins = "LEFT JOIN calls_of USING (campaign)"
    added = _filled(ADDED, fragments | {"measures": _list(map(_added, measures)), "left_joins": joins})
    columns = _list(("campaign", *(f"{kpi.sql} AS {kpi.name}" for kpi in service_level.EACH)))
    return f"WITH {keys}, {calls}, {added}\n" + _filled("SELECT\n    $columns\nFROM added", {"columns": columns})


def tallied(*, keys: str, call_keys: str, calls: str, cohort: str, measures: Sequence[Measure]) -> str:
    """Return a SELECT of measures of `calls` in the cohort, by `keys`; `call_keys` is SQL for the keys of a call."""
    of_calls = {"keys": keys, "call_keys": call_keys, "calls": calls, "cohort": cohort, "which": ""}
    return _filled(TALLIED, {**OF_CALLS, **of_calls, "measures": _measured(measures)})


def spent(*, keys: str, spans: str, cut: str, measures: Sequence[Measure]) -> str:
    """Return a SELECT of measures of agents' time by `keys`, from spans of time that are cut into pieces."""
    return _filled(TIMED, {"keys": keys, "spans": spans, "cut": cut, "measures": _measured(measures)})


def worked(
    *, keys: str, spent: str, answered: str, worked: str, union_by: str, cut: str, measures: Sequence[Measure]
) -> str:
    """Return a SELECT of agents' work by `keys` on the days `spent`; it reads as_of and max_state_s from `clock`."""
    of_work = {"keys": keys, "spent": spent, "answered": answered, "worked": worked, "union_by": union_by, "cut": cut}
    return _filled(WORKED, {**of_work, "which": "", "measures": _measured(measures)})


def _measured(measures: Iterable[Measure]) -> str:
    return _list(f"{m.sql} AS {m.name}" for m in measures)


def _fragments(grain: Grain) -> dict[str, str]:
    keys = ", ".join(grain.keys)
    fragments = {
        "keys": keys,
        "k_keys": ", ".join(f"k.{key}" for key in grain.keys),
        "call_keys": grain.call_keys or keys,
        "cut_keys": grain.cut_keys or keys,
        "union_by": grain.union_by or keys,
        "calls": grain.calls,
        "agent_states": grain.agent_states,
        "which": f" {grain.which}" if grain.which else "",
        "cohort": grain.cohort,
        "states": grain.states,
        "spent": _filled(SPENT, {"utc0": UTC0, "utc1": UTC1}),
        "answered": agent_time.ANSWERED_FOR_SPENT,
        "worked": grain.worked,
        "t0_us": grain.t0_us,
        "t1_us": grain.t1_us,
        "starts": grain.starts,
        "reached": grain.reached,
        **OF_CALLS,
    }
    fragments |= {"spans": _filled(SPANS, fragments)}
    fragments |= {"cut": _filled(grain.cut, fragments), "every": _filled(grain.every, fragments)}
    if grain.sums:
        fragments |= {"whole0": grain.sums.whole0}
        fragments |= {"whole1": _filled(grain.sums.whole1, fragments)}
        fragments |= {"whole": _filled(grain.sums.calls, fragments)}
    return fragments


def _filled(template: str, fragments: Mapping[str, str]) -> str:
    """Return `template` with its `$names` filled in. The lines of a fragment are indented as the line of its name."""

    def fragment(name: re.Match[str]) -> str:
        line = template[template.rfind("\n", 0, name.start()) + 1 :]
        spaces = line[: len(line) - len(line.lstrip(" "))]
        lines = indent(fragments[name["name"]], spaces)
        return lines if name["spaces"] else lines.removeprefix(spaces)

    return re.sub(r"(?:^(?P<spaces> +))?\$(?P<name>\w+)", fragment, template, flags=re.MULTILINE)


def _column(name: str, grain: Grain) -> str:
    if name in KPIS:
        return f"{KPIS[name].sql} AS {name}"
    if name == "settled":
        return f"coalesce(open_any = 0 AND {grain.ends} + to_seconds(w.lateness_s) <= w.as_of, false) AS settled"
    if name == "terms_changed":
        return "coalesce(terms_changed, false) AS terms_changed"
    if name in agent_time.AGENTS:
        elapsed_us = f"epoch_us({grain.reached}) - epoch_us({grain.starts})"
        return f"{agent_time.AGENTS[name]} * 1e6 / nullif({elapsed_us}, 0) AS {name}"
    return name


def _added(measure: Measure) -> str:
    value = f"coalesce({measure.name}, 0)" if measure.zero else measure.name
    return f"{value}::BIGINT AS {measure.name}" if measure.is_count else f"{value} / 1e6 AS {measure.name}"
