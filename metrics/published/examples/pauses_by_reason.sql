-- Pauses of the last seven days by reason: hours in total, mean and longest pause.
SELECT
    coalesce(reason, '(none given)') AS reason,
    sum(pauses) AS pauses,
    sum(paused_s) / 3600 AS hours,
    sum(paused_s) / nullif(sum(pauses), 0) / 60 AS mean_minutes,
    max(longest_s) / 60 AS longest_minutes
FROM agent_pauses(
    (SELECT as_of - INTERVAL 7 DAYS FROM ingest_status),
    (SELECT as_of FROM ingest_status)
)
GROUP BY reason
ORDER BY hours DESC;
