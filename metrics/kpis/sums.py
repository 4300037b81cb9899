"""Sums of calls and of agents' time by quarter of an hour: what the macros add up instead of calls and states.

A measure is the same here as in `metrics.kpis.compose`, in whole numbers: counts, microseconds, millionths. So whatever
is added, in whatever order, is exact. The sums of a file are kept beside it; those of other rows are computed when they
are asked for. Rows of files that no longer count are taken off: their `sign` is -1, and their sums are negative.

What does not add up has no column. The one exception is `open_wait_us`, of which the greatest counts: rows that are
taken off have none, because calls in files are not open. Work on calls (`workload_s`) is a union of times, and is made
of calls each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.kpis import agent_time
from metrics.kpis.compose import CALL_MEASURES, QUARTER_US, spent, tallied
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
        """Its columns: name → type and meaning."""
        return {**self.keys, **{m.summed: ("BIGINT", _meaning(m)) for m in self.measures}}

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


def _meaning(measure: Measure) -> str:
    unit = {"s": "µs"}.get(measure.unit, measure.unit if measure.is_count else f"millionths of {measure.unit}")
    return f"{measure.meaning} [{unit}]"


def _signed(keys: Sequence[str], measures: Sequence[Measure], rows: str) -> str:
    columns = ", ".join(
        f"{f'coalesce({m.name} * sign, 0)' if m.zero else m.name}::BIGINT AS {m.summed}" for m in measures
    )
    return f"SELECT {', '.join(keys)}, {columns}\nFROM (\n{rows}\n)"


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
