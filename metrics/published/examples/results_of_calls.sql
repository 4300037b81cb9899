-- What calls end in: result codes of each campaign with their share, and how long such a call takes.
SELECT
    campaign,
    coalesce(disposition, '(none)') AS result,
    count(*) AS calls,
    count(*) / sum(count(*)) OVER (PARTITION BY campaign) AS share,
    avg(handle_s) AS mean_handle_s
FROM calls
WHERE handle_s IS NOT NULL
GROUP BY campaign, result
ORDER BY campaign, calls DESC;
