-- Handling time of the last seven days by team: agents' sums are added first, ratios are computed last.
SELECT
    coalesce(team, '(no team)') AS team,
    sum(handled) AS handled,
    sum(talk_s + hold_s + wrap_s) / nullif(sum(handled), 0) AS aht_s,
    sum(hold_s) / nullif(sum(handled), 0) AS mean_hold_s,
    sum(busy_s + wrap_up_s) / nullif(sum(busy_s + wrap_up_s + available_s), 0) AS occupancy
FROM kpi_agent(
    (SELECT as_of - INTERVAL 7 DAYS FROM ingest_status),
    (SELECT as_of FROM ingest_status)
)
GROUP BY team
ORDER BY handled DESC;
