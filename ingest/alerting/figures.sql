-- The figures that alert rules watch, read from the snapshot that is being written. figures.py says when each part runs.
-- Reads: agent_limits, agent_strain, agents, campaigns, dead_letters, feed_sources, ingest_status, kpi_days,
--     kpi_interval, kpi_now, local_days, sla_terms.
-- Makes: nothing.

-- name: campaigns
SELECT
    campaign, client, timezone, window_minutes, is_open,
    service_level, service_level - target AS service_level_to_target, abandon_rate, asa_s, aht_s, occupancy,
    offered, answered, abandoned, waiting, coalesce(longest_wait_s, 0) AS longest_wait_s, service_level_base
FROM kpi_now
JOIN campaigns USING (campaign);

-- name: agents
-- As metrics/readers/agents.py says who needs relief, a break or a look: an agent at rest needs none of them.
SELECT
    campaign,
    site,
    count(*) FILTER (state = 'available') AS agents_available,
    count(*) FILTER (state != 'paused' AND occupancy > occupancy_too_high) AS agents_strained,
    count(*) FILTER (
        NOT rests AND since_break_s >= coalesce(sites[site]['break_within_s'], break_within_s)
    ) AS breaks_overdue,
    count(*) FILTER (
        state = 'paused' AND epoch($as_of::TIMESTAMPTZ) - epoch(since) > coalesce(breaks[reason], pause_long_s)
    ) AS pauses_too_long
FROM (
    SELECT *, state = 'paused' AND (reason IS NULL OR map_contains(breaks, reason)) AS rests
    FROM agents
    CROSS JOIN agent_limits
    WHERE state != 'offline'
)
LEFT JOIN agent_strain($as_of::TIMESTAMPTZ) USING (agent)
WHERE campaign IS NOT NULL
GROUP BY campaign, site;

-- name: sites
SELECT DISTINCT site FROM agents WHERE site IS NOT NULL;

-- name: month
SELECT campaign, today, day, service_level_base, service_level_hits, target, offered
FROM kpi_days($first::DATE, $after::DATE)
JOIN campaigns USING (campaign)
JOIN (
    SELECT timezone, day AS today FROM local_days WHERE from_at <= $as_of::TIMESTAMPTZ AND until_at > $as_of::TIMESTAMPTZ
) USING (timezone)
WHERE day <= today AND offered > 0;

-- name: targets
SELECT campaign, valid_from::DATE, target FROM sla_terms ORDER BY campaign, valid_from NULLS FIRST;

-- name: usual
SELECT campaign, service_level, abandon_rate, asa_s, aht_s, offered, answered, abandoned
FROM kpi_interval($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, $minutes)
WHERE offered > 0;

-- name: feed
SELECT last_event_at, lag FROM ingest_status;

-- name: sources
SELECT source, last_event_at FROM feed_sources WHERE last_event_at >= $since;

-- name: new_dead_letters
SELECT count(*) FROM dead_letters WHERE received_at >= $since;
