-- Result codes of each campaign, with their share of calls and mean handling time.
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
