"""SQL with `$names` that are filled in: calls that are counted, times that are added up, and work on calls.

Queries limit `day` by constants, so that Parquet files of other days are not opened. A call's local day is at most one
day from the UTC date of its cohort. A state, or the work on a call, lasts at most a day (`max_state_s`). Days of calls
that were answered long after their cohort are in `late_answers`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent

from metrics.composition.figures import TALLIES
from metrics.composition.grains import DAY_US, QUARTER_US, T0, T1, UTC0, UTC1
from metrics.kpis import service_level
from metrics.kpis.kpi import Measure
from metrics.kpis.tallies import BY, FACTS


def listed(items: Iterable[str]) -> str:
    return ",\n".join(items)


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

# work that is kept: on whole days; of days whose calls are deleted, on whole quarters of an hour
WORK_DAYS = f"""\
work_days AS (
    SELECT campaign, queue, quarter_start, workload_us, day - DATE '1970-01-01' AS utc_day
    FROM work_sums, clock AS w
    WHERE day BETWEEN {UTC0} AND {UTC1} AND by_queue = $by_queue AND $is_summed
        AND (utc_day * {DAY_US} >= w.t0_us AND (utc_day + 1) * {DAY_US} <= w.until_us
             OR is_final AND epoch_us(quarter_start) BETWEEN w.t0_us AND w.until_us - {QUARTER_US})
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
    "tallies": listed(f"{tally.sql} AS {name}" for name, tally in TALLIES.items()),
    "facts": listed(f"{sql} AS {alias}" for alias, sql in (FACTS | service_level.FACTS).items()),
}


def tallied(*, keys: str, call_keys: str, calls: str, cohort: str, measures: Sequence[Measure]) -> str:
    """Return a SELECT of measures of `calls` in the cohort, by `keys`; `call_keys` is SQL for the keys of a call."""
    of_calls = {"keys": keys, "call_keys": call_keys, "calls": calls, "cohort": cohort, "which": ""}
    return filled(TALLIED, {**OF_CALLS, **of_calls, "measures": measured(measures)})


def spent(*, keys: str, spans: str, cut: str, measures: Sequence[Measure]) -> str:
    """Return a SELECT of measures of agents' time by `keys`, from spans of time that are cut into pieces."""
    return filled(TIMED, {"keys": keys, "spans": spans, "cut": cut, "measures": measured(measures)})


def worked(
    *, keys: str, spent: str, answered: str, worked: str, union_by: str, cut: str, measures: Sequence[Measure]
) -> str:
    """Return a SELECT of agents' work by `keys` on the days `spent`; it reads as_of and max_state_s from `clock`."""
    of_work = {"keys": keys, "spent": spent, "answered": answered, "worked": worked, "union_by": union_by, "cut": cut}
    return filled(WORKED, {**of_work, "which": "", "measures": measured(measures)})


def measured(measures: Iterable[Measure]) -> str:
    return listed(f"{m.sql} AS {m.name}" for m in measures)


def filled(template: str, fragments: Mapping[str, str]) -> str:
    """Return `template` with its `$names` filled in. The lines of a fragment are indented as the line of its name."""

    def fragment(name: re.Match[str]) -> str:
        line = template[template.rfind("\n", 0, name.start()) + 1 :]
        spaces = line[: len(line) - len(line.lstrip(" "))]
        lines = indent(fragments[name["name"]], spaces)
        return lines if name["spaces"] else lines.removeprefix(spaces)

    return re.sub(r"(?:^(?P<spaces> +))?\$(?P<name>\w+)", fragment, template, flags=re.MULTILINE)
