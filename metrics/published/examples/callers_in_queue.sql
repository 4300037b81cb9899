-- How full the queues were: calls waiting at each quarter hour of the last 24 hours.
WITH moments AS (
    SELECT unnest(range(as_of - INTERVAL 24 HOURS, as_of, INTERVAL 15 MINUTES)) AS moment
    FROM ingest_status
),
waits AS (
    SELECT campaign, queued_at, queued_at + to_microseconds((wait_s * 1e6)::BIGINT) AS until
    FROM calls, ingest_status
    WHERE direction <> 'outbound' AND queued_at >= as_of - INTERVAL 26 HOURS
)
SELECT moment, campaigns.campaign, count(waits.campaign) AS waiting
FROM moments
CROSS JOIN campaigns
LEFT JOIN waits ON waits.campaign = campaigns.campaign AND queued_at <= moment AND until > moment
GROUP BY moment, campaigns.campaign
ORDER BY moment, campaigns.campaign;
