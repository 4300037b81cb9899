"""Sums of calls and of agents' time by quarter of an hour: what the macros add up instead of calls and states.

A measure is the same here as in the macros, in whole numbers: counts, microseconds, millionths. So whatever is added,
in whatever order, is exact. The sums of a file are kept beside it; those of other rows are computed when they are asked
for. Rows of files that no longer count are taken off: their `sign` is -1, and their sums are negative.

What does not add up has no column. The one exception is `open_wait_us`, of which the greatest counts: rows that are
taken off have none, because calls in files are not open.

Once its days are over, the sums of a month are in one file too, because opening a file takes as long as adding up
thousands of rows.

Work on calls (`workload_s`) is a union of times: calls of one file may overlap with those of another. So it is kept by
UTC day, made of all files that may have calls of that day (`work_days`), and holds while these stay the same and no
other call was worked on that day.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from metrics.composition.figures import CALL_MEASURES
from metrics.composition.grains import DAY_US, QUARTER_US
from metrics.composition.templates import spent, tallied, worked
from metrics.kpis import agent_time
from metrics.kpis.kpi import Measure

_QUARTER = f"make_timestamptz(epoch_us({{}}) // {QUARTER_US} * {QUARTER_US}) AS quarter_start"


@dataclass(frozen=True)
class Sums:
    """A relation of sums: `meaning` of a row, its keys (name → type and meaning), and its measures.

    `of` is the relation whose rows are added up, `select` the query for it: each row of `{rows}` has a `sign`.
    """

    of: str
    meaning: str
    keys: Mapping[str, tuple[str, str]]
    measures: Sequence[Measure]
    select: str

    @property
    def columns(self) -> dict[str, tuple[str, str]]:
        """The columns of its view: name → type and meaning."""
        return {**self.keys, **{m.summed: ("BIGINT", _meaning(m)) for m in self.measures}, **_MONTH}

    def of_rows(self, *rows: str) -> str:
        """Return a SELECT of the sums of `rows`: one or more SELECTs of rows of `of`, each with a `sign`, 1 or -1.

        Its states have an end; `up_to_now` gives it to those that last.
        """
        return self.select.format(rows="\nUNION ALL BY NAME ".join(rows))

    def up_to_now(self, relation: str) -> str:
        """Return a SELECT of the rows of a published relation that has the columns of `of`, for `of_rows`."""
        if self.of == "calls":
            return f"SELECT *, 1 AS sign FROM {relation}"
        ended_at = "least(coalesce(ended_at, as_of), as_of) AS ended_at"
        return f"SELECT * REPLACE ({ended_at}), 1 AS sign FROM {relation}, (SELECT as_of FROM ingest_status)"


def with_month(rows: str) -> str:
    """Return the SELECT of sums that are not in a file of a month."""
    return f"SELECT *, date_trunc('month', day)::DATE AS month FROM (\n{rows}\n)"


def _meaning(measure: Measure) -> str:
    unit = {"s": "µs"}.get(measure.unit, measure.unit if measure.is_count else f"millionths of {measure.unit}")
    return f"{measure.meaning} [{unit}]"


def _signed(keys: Sequence[str], measures: Sequence[Measure], rows: str) -> str:
    columns = ", ".join(
        f"{f'coalesce({m.name} * sign, 0)' if m.zero else m.name}::BIGINT AS {m.summed}" for m in measures
    )
    return f"SELECT {', '.join(keys)}, {columns}\nFROM (\n{rows}\n)"


_MONTH = {"month": ("DATE", "first day of the month of `day`: a filter by it leaves files of other months unopened")}
_CALL_KEYS = {
    "day": ("DATE", "the campaign's local day"),
    "quarter_start": ("TIMESTAMPTZ", "start of the quarter of an hour of the calls' cohort_at"),
    "campaign": ("VARCHAR", "campaign id"),
    "queue": ("VARCHAR", "queue; NULL for outbound attempts that entered no queue"),
    "term_from": ("TIMESTAMP", "local time at which the calls' contract term starts; NULL: no start"),
}
_STATE_KEYS = {
    "day": ("DATE", "UTC date on which the states began"),
    "quarter_start": ("TIMESTAMPTZ", "start of the quarter of an hour in which the time was spent"),
    "campaign": ("VARCHAR", "campaign that the time belongs to; NULL: none"),
}
# a quarter of an hour of a state: sums are of whole time, however late as_of is
_CUT = f"""\
SELECT day, make_timestamptz(quarter * {QUARTER_US}) AS quarter_start, campaign, sign, state,
       least(to_us, (quarter + 1) * {QUARTER_US}) - greatest(from_us, quarter * {QUARTER_US}) AS us
FROM (
    SELECT *, unnest(range(from_us // {QUARTER_US}, (to_us - 1) // {QUARTER_US} + 1)) AS quarter
    FROM spans
)"""

SUMS = {
    "call_sums": Sums(
        "calls",
        "calls of one quarter of an hour, campaign, queue and contract term: counts and times to be added up. Several "
        "rows may have the same keys, and a row may be negative: it takes off what another one has",
        _CALL_KEYS,
        CALL_MEASURES,
        _signed(
            tuple(_CALL_KEYS),
            CALL_MEASURES,
            tallied(
                keys=", ".join((*_CALL_KEYS, "sign")),
                call_keys=f"day, {_QUARTER.format('cohort_at')}, campaign, queue, term_from, sign",
                calls="({rows})",
                cohort="day IS NOT NULL AND cohort_at IS NOT NULL",
                measures=CALL_MEASURES,
            ),
        ),
    ),
    "state_sums": Sums(
        "agent_states",
        "agents' time in one quarter of an hour and campaign, in each state: to be added up. Several rows may have the "
        "same keys, and a row may be negative: it takes off what another one has",
        _STATE_KEYS,
        agent_time.STATE_MEASURES,
        _signed(
            tuple(_STATE_KEYS),
            agent_time.STATE_MEASURES,
            spent(
                keys=", ".join((*_STATE_KEYS, "sign")),
                spans="SELECT *, epoch_us(started_at) AS from_us, epoch_us(ended_at) AS to_us\n"
                "FROM ({rows})\nWHERE state <> 'offline'",
                cut=_CUT,
                measures=agent_time.STATE_MEASURES,
            ),
        ),
    ),
}

_WORK_CUT = f"""\
SELECT make_timestamptz(quarter * {QUARTER_US}) AS quarter_start, {{keys}}, state,
       least(to_us, (quarter + 1) * {QUARTER_US}) - greatest(from_us, quarter * {QUARTER_US}) AS us
FROM (SELECT *, unnest(range(from_us // {QUARTER_US}, (to_us - 1) // {QUARTER_US} + 1)) AS quarter FROM spans)"""
_WORKED = worked(
    keys="quarter_start, {keys}",
    spent="SELECT DATE '{day}' - DATE '1970-01-01' AS utc_day",
    answered="{calls}",
    worked=f"epoch_us(answered_at) // {DAY_US} BETWEEN DATE '{{day}}' - DATE '1970-01-01' - 1"
    " AND DATE '{day}' - DATE '1970-01-01'",
    union_by="{keys}",
    cut=_WORK_CUT,
    measures=agent_time.WORK_MEASURES,
)
WORK_SUMS = "work_sums"
QUARTERS = 96  # of an hour in a day
_WORK_COLUMNS = {
    "day": ("DATE", "UTC date of the time"),
    "quarter_start": ("TIMESTAMPTZ", "start of the quarter of an hour in which the time was spent"),
    "campaign": ("VARCHAR", "campaign of the calls"),
    "by_queue": ("BOOLEAN", "true: simultaneous calls count once within a queue; false: within a campaign"),
    "queue": ("VARCHAR", "queue of the calls; NULL: all, or none where by_queue is true"),
    **{m.summed: ("BIGINT", _meaning(m)) for m in agent_time.WORK_MEASURES},
    "is_final": ("BOOLEAN", "true: calls of which it was made may be deleted, so it stays as it is"),
}
#: Days on which a call was worked on that is in no file, or is in one and does not count. Work lasts a day at most.
_TOUCHED = f"""\
SELECT DATE '1970-01-01' + unnest(range(
           epoch_us(answered_at) // {DAY_US},
           least(epoch_us(coalesce(greatest(ended_at, wrapped_at), as_of)), epoch_us(answered_at) + {DAY_US})
               // {DAY_US} + 1))::INTEGER AS day
FROM recent_calls, ingest_status
WHERE answered_at IS NOT NULL
UNION
SELECT day + unnest(range(-1, 3))::INTEGER FROM recalled_calls
UNION
SELECT answered_on + unnest(range(0, 2))::INTEGER FROM recalled_calls JOIN late_answers USING (day)"""


def work_of_day(day: date, calls: str, piece: int = 0, pieces: int = 1) -> str:
    """Return a SELECT of the rows of WORK_SUMS of a UTC date, from the `calls` of all its `work_days`.

    One of several `pieces` has the work in some of the day's quarters of an hour. It reads the session variables as_of
    and max_state_s.
    """
    begin, end = (_start_of_quarter(day, QUARTERS * n // pieces) for n in (piece, piece + 1))
    if pieces > 1:  # other calls change nothing in these quarters
        calls = (
            f"SELECT * FROM ({calls}) WHERE answered_at >= {_start_of_quarter(day, -QUARTERS)} AND answered_at < {end}"
            f" AND coalesce(greatest(ended_at, wrapped_at) > {begin}, true)"
        )
    return f"""\
WITH clock AS (
    SELECT getvariable('as_of')::TIMESTAMPTZ AS as_of, getvariable('max_state_s')::DOUBLE AS max_state_s
), calls_of_days AS MATERIALIZED (
    SELECT call_id, agent, campaign, queue, answered_at, ended_at, wrapped_at FROM ({calls})
)
SELECT DATE '{day}' AS day, quarter_start, campaign, by_queue, queue, workload_s::BIGINT AS workload_us
FROM (
SELECT *, false AS by_queue, NULL AS queue FROM (
{_WORKED.format(day=day, calls="FROM calls_of_days", keys="campaign")}
)
UNION ALL BY NAME
SELECT *, true AS by_queue FROM (
{_WORKED.format(day=day, calls="FROM calls_of_days", keys="campaign, queue")}
)
)
WHERE quarter_start >= {begin} AND quarter_start < {end}"""


def _start_of_quarter(day: date, quarter: int) -> str:
    """Return the start of a quarter of an hour of a UTC date, counted from its midnight (SQL)."""
    return f"TIMESTAMPTZ '{datetime.combine(day, time(), UTC) + timedelta(minutes=15 * quarter)}'"


def work_days(day: date, late_answers: Iterable[tuple[date, date]]) -> set[date]:
    """Return the local days whose calls may have been worked on on a UTC date; `late_answers` are (day, answered on).

    As in `agent_time.ANSWERED_FOR_SPENT`.
    """
    answered_on = (day - timedelta(days=1), day)
    return {day + timedelta(days=n) for n in range(-2, 2)} | {own for own, on in late_answers if on in answered_on}


@dataclass(frozen=True)
class View:
    """A published view of sums: what a row is, its columns, and its SELECT as long as no sums are kept."""

    meaning: str
    columns: Mapping[str, tuple[str, str]]
    select: str


VIEWS = {
    name: View(sums.meaning, sums.columns, with_month(sums.of_rows(sums.up_to_now(sums.of))))
    for name, sums in SUMS.items()
}
VIEWS[WORK_SUMS] = View(
    "agents' work on calls in one quarter of an hour and campaign, for UTC dates of which it is kept; `workload_s` of "
    "the macros is for all dates",
    _WORK_COLUMNS,
    f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, (kind, _) in _WORK_COLUMNS.items())} LIMIT 0",
)


def kept_work(rows: str) -> str:
    """Return a SELECT for WORK_SUMS: the kept `rows`, but those of days that other calls touch."""
    return f"SELECT *, false AS is_final FROM ({rows}) ANTI JOIN (\n{_TOUCHED}\n) USING (day)"


def final_work(rows: str) -> str:
    """Return a SELECT for WORK_SUMS: kept `rows` that hold whatever calls there are."""
    return f"SELECT *, true AS is_final FROM ({rows})"
