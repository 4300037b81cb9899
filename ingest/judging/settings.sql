-- The configuration as temp tables, and what must be known to fill them. settings.py says when each part runs.
-- {columns}: the limits that hold at all sites, as parameters. {quarter_us}: a quarter of an hour.
-- Reads: archived_names, calls, calls_to_judge, configured_rows, events, first_states, judged_calls, planned_breaks,
--     settled_checks, site_limits, timeline.
-- Makes: agent_limits, known_campaigns, local_days, opening_hours, terms, zone_offsets.

-- name: named_campaigns
SELECT campaign FROM events WHERE campaign IS NOT NULL
UNION
SELECT name FROM archived_names WHERE kind = 'campaign';

-- name: known_campaigns
CREATE OR REPLACE TEMP TABLE known_campaigns (
    campaign VARCHAR, client VARCHAR, client_name VARCHAR, name VARCHAR, language VARCHAR, timezone VARCHAR,
    give_up_after_s DOUBLE, configured BOOLEAN, window_minutes INTEGER, recording VARCHAR
);

-- name: terms
CREATE OR REPLACE TEMP TABLE terms (
    campaign VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP, from_at TIMESTAMPTZ, until_at TIMESTAMPTZ,
    formula VARCHAR, threshold_s DOUBLE, target DOUBLE, wait_at_threshold_counts BOOLEAN, short_abandon_s DOUBLE,
    fcr_days INTEGER
);

-- name: zone_offsets
CREATE OR REPLACE TEMP TABLE zone_offsets (timezone VARCHAR, quarter BIGINT, offset_s BIGINT);

-- name: local_days
CREATE OR REPLACE TEMP TABLE local_days (timezone VARCHAR, day DATE, from_at TIMESTAMPTZ, until_at TIMESTAMPTZ);

-- name: opening_hours
CREATE OR REPLACE TEMP TABLE opening_hours (
    campaign VARCHAR, day DATE, open_from TIMESTAMPTZ, open_until TIMESTAMPTZ
);

-- name: agent_limits
CREATE OR REPLACE TEMP TABLE agent_limits AS
SELECT
    {columns},
    (SELECT map(coalesce(list(reason), []), coalesce(list(planned_s), [])) FROM planned_breaks) AS breaks,
    (SELECT map(coalesce(list(site), []), coalesce(list(differs), [])) FROM site_limits) AS sites;

-- name: fill
INSERT INTO {table} BY NAME FROM configured_rows;

-- name: quarters
SELECT DISTINCT timezone, epoch_us(coalesce(queued_at, dialed_at)) // {quarter_us} AS quarter
FROM calls
SEMI JOIN calls_to_judge USING (call_id)
JOIN known_campaigns USING (campaign)
WHERE quarter IS NOT NULL;

-- name: span
-- An agent's settled states are followed by an unsettled one, so the last state is in `timeline`.
SELECT
    min(day),
    max(day),
    (
        SELECT
            max(CASE WHEN state = 'offline' THEN started_at ELSE coalesce(least(ended_at, $as_of), $as_of) END)
                - INTERVAL 1 MICROSECOND
        FROM timeline
    )
FROM (SELECT day FROM judged_calls UNION ALL SELECT day FROM settled_checks);

-- name: first_states
-- When agents' time begins in each zone: it may be on another local day than the first call.
SELECT timezone, min(started_at)
FROM (
    SELECT campaign, started_at FROM timeline WHERE state != 'offline'
    UNION ALL
    SELECT campaign, started_at FROM first_states
)
JOIN known_campaigns USING (campaign)
WHERE started_at < $as_of
GROUP BY timezone;
