"""Agents' time, by accrual: it belongs to the window in which it was spent, cut at the window's ends and at as_of.

    occupancy   = (busy_s + wrap_up_s) / (busy_s + wrap_up_s + available_s)      without pauses
    utilisation = (busy_s + wrap_up_s) / logged_in_s                             all states except offline
    workload_s  = wall-clock union, per agent, of [answered_at, end of wrap-up)  computed from the calls
    agents_*    = seconds in the state / seconds of the interval                 the mean number of agents in it

Edge cases: work on a call counts for at most `max_state_s` from its answer, as an agent's state does. So a talk without
an end, or a wrap-up reported days later, does not count as endless work. The call itself keeps its end, or has none.
Two logins of one agent are one timeline, and two simultaneous calls are one stretch of work. So no agent has more than
60 minutes per hour, and occupancy never exceeds 1. A call without a known agent counts separately. NULL when nobody was
logged in. These ratios never use a call count: cohort and accrual are not mixed.

References: docs/kpis.md, Cohort and accrual. Calls from 09:16 to 09:32 and from 09:35 to 10:05 give 14, 27 and 5
minutes to the half hours from 09:00; Amazon Connect and Genesys Cloud print 0, 16 and 30.
"""

from metrics.kpis.kpi import RATIO, Aggregate, Kpi, Measure, Printed, sum_of

STATES = {
    "available": "while available for a call",
    "busy": "while ringing, talking or holding",
    "wrap_up": "in after-call work",
    "paused": "in pauses",
}

# aggregates over pieces of agents' time with the columns `state` and `us` (whole microseconds)
STATE_MEASURES = (
    *(
        Measure(
            f"{state}_s",
            Aggregate(f"sum(us) FILTER (WHERE state = '{state}')"),
            "s",
            f"agents' time {when}",
            by_agent=True,
        )
        for state, when in STATES.items()
    ),
    Measure(
        "logged_in_s",
        Aggregate("sum(us) FILTER (WHERE state <> 'offline')"),
        "s",
        "agents' time in all states except offline",
        by_agent=True,
    ),
)
WORK_MEASURES = (
    Measure(
        "workload_s",
        Aggregate("sum(us)"),
        "s",
        "agents' time on calls, from answer to end of wrap-up: simultaneous calls count once, each max_state_s at most",
        by_agent=True,
    ),
)

# mean number of agents in an interval, up to as_of: column of kpi_interval → the seconds it is made of
AGENTS = {
    "agents_logged_in": "logged_in_s",
    "agents_available": "available_s",
    "agents_busy": "busy_s",
    "agents_wrap_up": "wrap_up_s",
    "agents_paused": "paused_s",
}


def agents_meaning(column: str) -> str:
    """Return the formula of a column of AGENTS, with its unit."""
    return f"{AGENTS[column]} / seconds of the interval up to as_of [agents]; NULL: the interval has not begun"


ANSWERED_FOR_SPENT = """\
SELECT * FROM calls JOIN (
    SELECT DATE '1970-01-01' + unnest(range(utc_day - 2, utc_day + 2))::INTEGER AS day FROM spent
    UNION
    SELECT day FROM late_answers JOIN spent ON answered_on - DATE '1970-01-01' IN (utc_day - 1, utc_day)
) USING (day)
UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL"""
"""A SELECT of the calls that agents may have worked on during the days of `spent`, found as in `answered_between`.

Work lasts a day at most, so they were answered on one of these UTC dates or the date before.
"""


def answered_between(first: str, last: str) -> str:
    """Return a SELECT of the calls answered on the UTC dates `first` to `last` (SQL). It also returns some other calls.

    Calls are stored in files by the local day of their cohort. That day is normally at most one day from the answer; if
    not, late_answers has it. A call without a campaign has no day. DuckDB knows these days before it opens any file,
    and opens no file of another day. The query is a JOIN of distinct days because a SEMI JOIN does not work with a
    window that comes from another relation's row.
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
