-- When calls come: calls by weekday and hour of the campaign's local time.
-- The hour is counted from local_days.from_at, the start of the local day, so that DuckDB's own time zones are not used.
SELECT
    isodow(calls.day) AS weekday,
    floor(date_diff('second', from_at, queued_at) / 3600)::BIGINT AS hour,
    count(*) AS calls,
    avg(wait_s) AS mean_wait_s
FROM calls
JOIN campaigns USING (campaign)
JOIN local_days ON local_days.timezone = campaigns.timezone AND local_days.day = calls.day
WHERE direction <> 'outbound' AND queued_at IS NOT NULL
GROUP BY weekday, hour
ORDER BY weekday, hour;
