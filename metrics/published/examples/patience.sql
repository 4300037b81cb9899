-- How long callers wait before they hang up: abandoned calls, short ones included, in steps of ten seconds.
SELECT
    floor(wait_s / 10)::BIGINT * 10 AS from_s,
    count(*) AS hung_up,
    sum(count(*)) OVER (ORDER BY from_s) / sum(count(*)) OVER () AS so_far
FROM calls
WHERE outcome IN ('abandoned', 'short_abandoned') AND wait_s IS NOT NULL
GROUP BY from_s
ORDER BY from_s;
