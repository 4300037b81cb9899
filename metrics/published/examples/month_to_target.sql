-- This month so far: how many more late calls a campaign can bear before the month misses its target.
-- Sums, never means: the days' own ratios must not be averaged. Each term asks its target of the calls that it judges, so
-- over a change of terms the month's target is that of all calls together; the next calls are judged by the term now in
-- force. Below its target a month has less than 0 to spare, and calls_to_reach says how many calls in time it would take.
WITH months AS ( -- of each campaign, by its own calendar
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
        sum(service_level_asked) AS asked,
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
    round(asked / counted, 6) AS target,
    p AS next_target,
    floor((in_time - asked) / nullif(p, 0) + 1e-6)::BIGINT AS late_calls_to_spare,
    CASE WHEN in_time < asked - 1e-6
         THEN ceil((asked - in_time) / nullif(round(1 - p, 9), 0) - 1e-6)::BIGINT END AS calls_to_reach
FROM sums
ORDER BY late_calls_to_spare;
