"""Agents' time, by accrual: it belongs to the window in which it was spent, clipped at its ends and at as_of.

    occupancy   = (busy_s + wrap_up_s) / (busy_s + wrap_up_s + available_s)      pauses are out
    utilisation = (busy_s + wrap_up_s) / logged_in_s                             all states but offline
    workload_s  = wall-clock union, per agent, of [answered_at, end of wrap-up)  from the calls themselves

Edge cases: work on a call counts up to `max_state_s` from its answer, as an agent's state does: a talk that nothing
ends, or a wrap-up reported days later, is no work without end. The call keeps the end that it has, or none.
Two logins of one agent are one timeline and two calls at once are one stretch of work, so that no agent has more than
60 minutes an hour and occupancy never passes 1. A call whose agent is unknown counts for itself. NULL when nobody was
logged in. These ratios never use a call count: cohort and accrual do not mix.

References: docs/kpis.md, Cohort and accrual: calls 09:16–09:32 and 09:35–10:05 are 14, 27 and 5 minutes
of the half hours from 09:00, where Amazon Connect and Genesys Cloud print 0, 16 and 30.
"""

from metrics.kpis.kpi import RATIO, Aggregate, Kpi, Measure, Printed, sum_of

STATES = {
    "available": "ready for a call",
    "busy": "ringing, talking or holding",
    "wrap_up": "after-call work",
    "paused": "in a pause",
}

# over pieces of agents' time: `state`, and `us`, whole microseconds
STATE_MEASURES = (
    *(
        Measure(f"{state}_s", Aggregate(f"sum(us) FILTER (WHERE state = '{state}')"), "s", f"agents' time {what}")
        for state, what in STATES.items()
    ),
    Measure(
        "logged_in_s",
        Aggregate("sum(us) FILTER (WHERE state <> 'offline')"),
        "s",
        "agents' time in all states but offline",
    ),
)
WORK_MEASURES = (
    Measure(
        "workload_s",
        Aggregate("sum(us)"),
        "s",
        "wall-clock union per agent of [answered_at, end of wrap-up), of each call at most max_state_s",
    ),
)


def answered_between(first: str, last: str) -> str:
    """Return the SELECT of the calls answered on the UTC dates `first` to `last` (SQL), and of some others.

    Calls lie in files by the local day of their cohort, mostly a day from their answer at most; where it is more,
    late_answers has that day, and a call that is in no campaign has no day. DuckDB knows these days before it opens a
    file, and opens none of another day. It is a JOIN of distinct days because a SEMI JOIN cannot be used with a window
    taken from another relation's row.
    """
    return f"""SELECT * FROM calls JOIN (
    SELECT unnest(
        CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE AS day
    FROM (SELECT greatest({first} - 1, first_day) AS begin, least({last} + 1, last_day) + 1 AS until
          FROM ingest_status)
    UNION
    SELECT day FROM late_answers WHERE answered_on BETWEEN {first} AND {last}
) USING (day)
UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL"""


_WORK = sum_of("busy_s", "wrap_up_s")
_ON_QUEUE = sum_of("busy_s", "wrap_up_s", "available_s")

KPIS = (
    Kpi(
        "occupancy",
        _WORK,
        _ON_QUEUE,
        RATIO,
        "no agent busy, in wrap-up or available",
        "docs/kpis.md, Occupancy",
        elsewhere=(
            Printed("Amazon Connect", _WORK, _ON_QUEUE, "agent on contact / (on contact + idle), wall clock"),
            Printed("Genesys Cloud", _WORK, _ON_QUEUE, "interacting / (interacting + communicating + idle)"),
        ),
    ),
    Kpi(
        "utilisation",
        _WORK,
        sum_of("logged_in_s"),
        RATIO,
        "no agent logged in",
        "docs/kpis.md, Utilisation",
    ),
)
