-- Service level by week over all history: counts are added first, the ratio is computed last.
SELECT
    date_trunc('week', day)::DATE AS week,
    campaign,
    sum(offered) AS offered,
    sum(service_level_hits) / nullif(sum(service_level_base), 0) AS service_level
FROM kpi_daily
GROUP BY week, campaign
ORDER BY week, campaign;
