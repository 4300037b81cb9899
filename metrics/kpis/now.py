"""Now: each campaign over the last `window_minutes` before as_of, its queue, and whether it is open.

The figures of the window are those of kpi_campaign. The queue is every caller who waits at as_of, however long ago the
wait began. Opening hours are those of `opening_hours`; a campaign without any is always open.

If fewer than LEAST_CALLS calls of a window count in the service level, there is no verdict: a single late call would
move the level by more than ten points.

References: docs/kpis.md, Now.
"""

LEAST_CALLS = 10
"""With fewer calls than this in the denominator of its service level, a window has no verdict."""
LONGEST_WINDOW_US = 3_600_000_000

# what kpi_now has beside the figures of kpi_campaign: column → (unit, meaning)
COLUMNS = {
    "campaign": ("id", "campaign id"),
    "window_start": ("instant", "start of the window: window_minutes before as_of"),
    "window_end": ("instant", "end of the window (not included): as_of"),
    "is_open": ("true or false", "whether as_of is within the campaign's opening hours; true if none are configured"),
    "opens_at": ("instant", "when a closed campaign opens next; NULL: it is open"),
    "waiting": ("calls", "inbound and callback calls that wait at as_of, also those queued before the window"),
    "longest_wait_s": ("s", "the longest wait among these calls; NULL: nobody waits"),
    "too_few_calls": (
        "true or false",
        f"fewer than {LEAST_CALLS} calls of the window count in the service level: too few for a verdict",
    ),
}
SHOWN = f"""\
k.campaign, window_start, window_end,
coalesce(is_open, true) AS is_open, CASE WHEN NOT is_open THEN next_from END AS opens_at,
coalesce(waiting, 0)::BIGINT AS waiting, longest_wait_us / 1e6 AS longest_wait_s,
service_level_base < {LEAST_CALLS} AS too_few_calls"""
FIGURES = (
    *("service_level", "service_level_worst", "service_level_best", "abandon_rate", "asa_s", "aht_s", "occupancy"),
    *("offered", "answered", "abandoned", "service_level_base", "target", "threshold_s"),
)

WINDOWS = """\
SELECT campaign, timezone, as_of - to_minutes(window_minutes) AS window_start, as_of AS window_end
FROM campaigns, ingest_status"""

# rows are joined with their days, because DuckDB then opens no file of another day
CALLS = """\
calls JOIN (
    SELECT campaign, day, window_start, window_end
    FROM keys JOIN local_days USING (timezone)
    WHERE from_at < window_end AND until_at > window_start
) USING (campaign, day)"""
COHORT = "cohort_at >= window_start AND cohort_at < window_end"
CUT = """\
SELECT campaign, state, least(to_us, w.until_us) - greatest(from_us, epoch_us(window_start)) AS us
FROM spans JOIN keys USING (campaign), clock AS w"""


def _on_days(relation: str, first: int, last: int) -> str:
    """Return SQL for the rows of `relation` on the UTC dates `first` to `last`, counted from as_of's."""
    epoch = "(as_of AT TIME ZONE 'UTC')::DATE - DATE '1970-01-01'"
    return f"""\
{relation} JOIN (
    SELECT DATE '1970-01-01' + unnest(range({epoch} + {first}, {epoch} + {last + 1}))::INTEGER AS day
    FROM ingest_status
) USING (day)"""


# a state lasts at most a day, and so does a wait (give_up_after_s); a local day is a day from the UTC date at most
STATES = _on_days("agent_states", -2, 0)
STATE = f"coalesce(epoch_us(ended_at), w.until_us) > w.until_us - {LONGEST_WINDOW_US}"
QUEUED = _on_days("calls", -2, 1)
QUEUE = "outcome = 'open'"

HOURS = """\
hours_of AS (
    SELECT campaign, bool_or(open_from <= w.as_of AND open_until > w.as_of) AS is_open,
           min(open_from) FILTER (WHERE open_from > w.as_of) AS next_from
    FROM opening_hours, clock AS w
    GROUP BY campaign
)"""
JOINS = """\
JOIN keys AS z USING (campaign)
LEFT JOIN queue_of USING (campaign)
LEFT JOIN hours_of USING (campaign)"""
