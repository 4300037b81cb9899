-- Half hours of the last 24 hours in which a campaign was below its contract's target, the worst first.
SELECT interval_start, campaign, offered, abandoned, asa_s, target, service_level
FROM kpi_interval(
    (SELECT date_trunc('hour', as_of) FROM ingest_status) - INTERVAL 24 HOURS,
    (SELECT date_trunc('hour', as_of) FROM ingest_status) + INTERVAL 1 HOUR,
    30
)
WHERE service_level < target
ORDER BY service_level - target, offered DESC;
