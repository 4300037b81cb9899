-- This month so far: how many more late calls a campaign can bear before the month misses its target.
-- A ratio of sums: the days' own ratios must not be averaged.
SELECT
    campaign,
    sum(service_level_hits) AS in_time,
    sum(service_level_base) AS counted,
    sum(service_level_hits) / sum(service_level_base) AS service_level,
    max(target) AS target,
    floor(sum(service_level_hits) / max(target) - sum(service_level_base) + 1e-9)::BIGINT AS late_calls_to_spare
FROM kpi_daily
WHERE date_trunc('month', day) = (SELECT date_trunc('month', max(day)) FROM kpi_daily)
GROUP BY campaign
HAVING sum(service_level_base) > 0
ORDER BY late_calls_to_spare;
