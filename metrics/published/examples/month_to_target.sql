-- This month so far: how many more calls can be late before a campaign misses its target for the month.
-- It adds up counts, because averages of daily ratios would be wrong. Each call is held to the target of its own contract
-- term, so if the term changed, the month's target is the mean over all its calls. Further calls are judged by the term
-- now in force. Below the target, late_calls_to_spare is negative and calls_to_reach is the number of calls in time needed.
WITH months AS ( -- the current month of each campaign, in its own time zone
    SELECT
        campaign,
        least(day, last_day) AS latest,
        arg_max(target, coalesce(valid_from, TIMESTAMP '-infinity')) AS next_target
    FROM ingest_status
    JOIN local_days AS d ON d.from_at <= as_of AND as_of < d.until_at
    JOIN campaigns USING (timezone)
    JOIN sla_terms AS s USING (campaign)
    WHERE s.from_at IS NULL OR s.from_at <= as_of
    GROUP BY ALL
), sums AS (
    SELECT
        campaign,
        sum(service_level_hits) AS in_time,
        sum(service_level_base) AS counted,
        sum(service_level_asked) AS required,
        any_value(next_target) AS p
    FROM kpi_daily
    JOIN months USING (campaign)
    WHERE date_trunc('month', day) = date_trunc('month', latest)
    GROUP BY campaign
    HAVING counted > 0
)
SELECT
    campaign,
    in_time,
    counted,
    in_time / counted AS service_level,
    round(required / counted, 6) AS target,
    p AS next_target,
    floor((in_time - required) / nullif(p, 0) + 1e-6)::BIGINT AS late_calls_to_spare,
    CASE WHEN in_time < required - 1e-6
         THEN ceil((required - in_time) / nullif(round(1 - p, 9), 0) - 1e-6)::BIGINT END AS calls_to_reach
FROM sums
ORDER BY late_calls_to_spare;
