-- When calls come: offered calls by weekday and hour of the campaign's own clock.
-- The local day begins at local_days.from_at; the hour is counted from there, so no zone is asked of DuckDB.
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
