"""Strain: which agents have worked so hard, or so long, that they need relief, and their pauses and missed offers.

    occupancy     = (busy + wrap_up) / (busy + wrap_up + available), as in agent_time, over the last `lately_s`
    streak_calls  = calls answered since the agent's last breather: at least `breath_s` in a row without work
    since_rest_s  = time since the last rest of at least `rest_s` ended; 0 during a rest
    since_break_s = the same with `break_s`, the break required by law or contract; sites can have their own values
    previous_occupancy = occupancy over the agent's work before the last login: the previous shift, or the morning

Work is `busy` and `wrap_up`. Rest is being offline, or a pause whose reason is in `agent_limits.breaks`, or a pause
without a reason. Training, coaching and meetings are neither work nor rest. Consecutive pauses count as one. Everything
looks back one day and over all campaigns, because the person is tired whatever campaign it was.

Edge cases: only agents who are logged in have a row. Without a rest in that day, times count from the login. Occupancy
is NULL if the agent spent less than half of `lately_s` on the phone: an agent who just logged in and took a call would
be at 100 %. Until then, the previous occupancy tells who should get the first break.

References: docs/kpis.md, Strain (keep occupancy below 85 %, above 90 % for nobody).
Breaks: docs/breaks.md, with sources; `[agents]` in campaigns.toml.
"""

from textwrap import indent

from metrics.kpis.agent_time import KPIS, STATE_MEASURES, answered_between

_DAY_US = 86_400_000_000
_OCCUPANCY = next(kpi for kpi in KPIS if kpi.name == "occupancy")
_LATELY = ", ".join(f"coalesce({m.sql}, 0) AS {m.name}" for m in STATE_MEASURES if m.name in _OCCUPANCY.inputs)
_MOMENT = "moment::TIMESTAMPTZ"
_UTC = f"({_MOMENT} AT TIME ZONE 'UTC')::DATE"
_RESTS = "(state = 'offline' OR (state = 'paused' AND (reason IS NULL OR map_contains(breaks, reason))))"

# macro → column → (unit, meaning)
COLUMNS = {
    "agent_strain": {
        "agent": ("id", "agent logged in at `moment`"),
        "occupancy": (
            "ratio 0–1",
            f"{_OCCUPANCY.formula} over the last lately_s; NULL: less than half of lately_s on the phone",
        ),
        "streak_calls": (
            "calls",
            "calls answered since the last breather (at least breath_s in a row without work); 0 during a breather",
        ),
        "streak_s": ("s", "time since the last breather ended; 0 during a breather"),
        "since_rest_s": ("s", "time since a rest of at least rest_s ended, or since the login; 0 during a rest"),
        "since_break_s": ("s", "time since a break of at least break_s ended, or since the login; 0 during a break"),
        "previous_occupancy": (
            "ratio 0–1",
            "occupancy of the work before the last login, within a day; NULL: less than half of lately_s on the phone",
        ),
    },
    "agent_pauses": {
        "agent": ("id", "agent"),
        "reason": ("text", "reason of the pauses; NULL: no reason given"),
        "rests": ("true or false", "whether they are rest: the reason is in agent_limits.breaks, or none was given"),
        "pauses": ("pauses", "pauses that began in the window"),
        "paused_s": ("s", "time in these pauses, cut at the window's ends and at as_of"),
        "longest_s": ("s", "the longest of these pauses, cut the same way"),
    },
    "agent_missed": {
        "agent": ("id", "agent"),
        "campaign": ("id", "campaign of the calls"),
        "missed": ("offers", "offers that this agent did not pick up, of calls queued in the window"),
    },
}

STRAIN = f"""\
WITH clock AS (
    SELECT *, now_us - (lately_s * 1e6)::BIGINT AS lately_us
    FROM (SELECT l.*, least(epoch_us({_MOMENT}), epoch_us(as_of)) AS now_us FROM ingest_status, agent_limits AS l)
),
spans AS (  -- a state lasts at most a day, and has one row per UTC day
    SELECT agent, state, state IN ('busy', 'wrap_up') AS works, {_RESTS} AS rests,
           greatest(epoch_us(started_at), now_us - {_DAY_US}) AS from_us,
           least(coalesce(epoch_us(ended_at), now_us), now_us) AS to_us
    FROM agent_states, clock
    WHERE day BETWEEN {_UTC} - 3 AND {_UTC} AND started_at < {_MOMENT} AND to_us > from_us
),
present AS (
    SELECT agent, min(from_us) FILTER (state <> 'offline') AS seen_us
    FROM spans, clock
    GROUP BY agent
    HAVING arg_max(state, from_us) FILTER (to_us = now_us) <> 'offline'
),
rested AS (
    SELECT agent, max(to_us) FILTER (to_us - from_us >= coalesce(sites[site]['rest_s'], rest_s) * 1e6) AS rested_us,
           max(to_us) FILTER (to_us - from_us >= coalesce(sites[site]['break_s'], break_s) * 1e6) AS broke_us
    FROM (SELECT agent, min(from_us) AS from_us, max(to_us) AS to_us
          FROM (SELECT *, count(*) FILTER (NOT rests) OVER (PARTITION BY agent ORDER BY from_us) AS stretch FROM spans)
          WHERE rests
          GROUP BY agent, stretch) LEFT JOIN (SELECT agent, site FROM agents) USING (agent), clock
    GROUP BY agent
),
breathed AS (
    SELECT agent, max(to_us) AS breathed_us
    FROM (SELECT agent, min(from_us) AS from_us, max(to_us) AS to_us
          FROM (SELECT *, count(*) FILTER (works) OVER (PARTITION BY agent ORDER BY from_us) AS stretch FROM spans)
          WHERE NOT works
          GROUP BY agent, stretch), clock
    WHERE to_us - from_us >= breath_s * 1e6
    GROUP BY agent
),
lately AS (
    SELECT agent, {_OCCUPANCY.sql} AS occupancy, {" + ".join(_OCCUPANCY.inputs)} AS phone_us
    FROM (SELECT agent, {_LATELY}
          FROM (SELECT agent, state, to_us - greatest(from_us, lately_us) AS us FROM spans, clock)
          WHERE us > 0
          GROUP BY agent)
),
since AS (
    SELECT agent, now_us, lately_s, coalesce(breathed_us, seen_us) AS streak_us,
           coalesce(rested_us, seen_us) AS rest_us, coalesce(broke_us, seen_us) AS break_us
    FROM present LEFT JOIN rested USING (agent) LEFT JOIN breathed USING (agent), clock
),
logins AS (
    SELECT agent, max(to_us) FILTER (state = 'offline') AS in_us
    FROM spans
    GROUP BY agent
),
previously AS (
    SELECT agent, {_OCCUPANCY.sql} AS previous_occupancy, {" + ".join(_OCCUPANCY.inputs)} AS previous_us
    FROM (SELECT agent, {_LATELY}
          FROM (SELECT agent, state, to_us - from_us AS us FROM spans JOIN logins USING (agent) WHERE to_us <= in_us)
          GROUP BY agent)
),
answers AS (
    SELECT agent, count(*) FILTER (epoch_us(answered_at) >= streak_us AND epoch_us(answered_at) < now_us) AS calls
    FROM (
{indent(answered_between(f"{_UTC} - 1", _UTC), " " * 8)}
    ) JOIN since USING (agent)
    WHERE answered_at >= {_MOMENT} - INTERVAL 24 HOUR
    GROUP BY agent
)
SELECT agent, CASE WHEN phone_us >= lately_s * 5e5 THEN occupancy END AS occupancy,
       coalesce(calls, 0) AS streak_calls, (now_us - streak_us) / 1e6 AS streak_s,
       (now_us - rest_us) / 1e6 AS since_rest_s, (now_us - break_us) / 1e6 AS since_break_s,
       CASE WHEN previous_us >= lately_s * 5e5 THEN previous_occupancy END AS previous_occupancy
FROM since LEFT JOIN lately USING (agent) LEFT JOIN previously USING (agent) LEFT JOIN answers USING (agent)"""

PAUSES = f"""\
WITH clock AS (
    SELECT epoch_us(t0::TIMESTAMPTZ) AS t0_us, least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS t1_us, breaks
    FROM ingest_status, agent_limits
)
SELECT agent, reason, any_value(rests) AS rests, count(*) FILTER (began_us >= t0_us AND NOT goes_on) AS pauses,
       sum(to_us - from_us) / 1e6 AS paused_s, max(to_us - from_us) / 1e6 AS longest_s
FROM (
    SELECT agent, reason, t0_us, {_RESTS} AS rests, epoch_us(started_at) AS began_us,
           greatest(t0_us, epoch_us(started_at)) AS from_us, least(t1_us, coalesce(epoch_us(ended_at), t1_us)) AS to_us,
           -- a state that lasts past midnight UTC has two rows
           coalesce(lag(ended_at) OVER (PARTITION BY agent, reason ORDER BY started_at) = started_at, false) AS goes_on
    FROM agent_states, clock
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 2 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        AND started_at < t1::TIMESTAMPTZ AND state = 'paused'
)
WHERE to_us > from_us
GROUP BY agent, reason"""

MISSED = """\
SELECT agent, campaign, count(*) AS missed
FROM (
    SELECT campaign, unnest(missed_by) AS agent
    FROM calls
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
        AND cohort_at >= t0::TIMESTAMPTZ AND cohort_at < t1::TIMESTAMPTZ AND len(missed_by) > 0
)
GROUP BY agent, campaign"""
