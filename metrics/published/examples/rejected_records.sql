-- Rejected records by reason, the most frequent first.
SELECT reason, count(*) AS records, min(received_at) AS first_at, max(received_at) AS last_at
FROM dead_letters
GROUP BY reason
ORDER BY records DESC;
