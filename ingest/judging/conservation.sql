-- Whether every call is accounted for, by campaign and local day (docs/kpis.md, Conservation), and whether every folded
-- call was judged.
-- Unsettled calls are counted here; settled_checks has the counts of settled calls, made when they settled. Old days
-- are left out, except days with a violation.
-- Reads: calls, judged_calls, known_campaigns, local_days, settled_checks, $as_of, $published_at.
-- Makes: conservation_checks.
CREATE OR REPLACE TEMP TABLE conservation_checks AS
WITH hot AS MATERIALIZED (
    SELECT {counted}, getvariable('published_at') AS checked_at, count(*) AS judged
    FROM judged_calls
    WHERE campaign IS NOT NULL AND cohort_at IS NOT NULL
    GROUP BY campaign, day
),
unmatched AS (  -- calls that were folded but not judged, or judged twice: they have no day
    SELECT campaign, sum(folded) - sum(judged) AS missing
    FROM (
        SELECT campaign, count(*) AS folded, 0 AS judged
        FROM calls
        WHERE campaign IS NOT NULL AND coalesce(queued_at, dialed_at) IS NOT NULL
        GROUP BY campaign
        UNION ALL
        SELECT campaign, 0, judged FROM hot
    )
    GROUP BY campaign
    HAVING missing != 0
),
counted AS (
    SELECT * EXCLUDE (judged) FROM hot
    UNION ALL BY NAME
    FROM settled_checks
    WHERE day >= make_timestamp(epoch_us(getvariable('as_of')))::DATE - {shown_days} OR offered != accounted
        OR {impossible}
    UNION ALL BY NAME
    SELECT
        campaign, NULL::DATE AS day, greatest(missing, 0) AS offered, greatest(-missing, 0) AS accounted, 0 AS refused,
        getvariable('published_at') AS checked_at
    FROM unmatched
    UNION ALL BY NAME  -- a campaign without calls today is checked too
    SELECT campaign, day, 0 AS offered, 0 AS accounted, 0 AS refused, getvariable('published_at') AS checked_at
    FROM known_campaigns
    JOIN local_days USING (timezone)
    WHERE getvariable('as_of') >= from_at AND getvariable('as_of') < until_at
)
SELECT
    campaign, day,
    {added_up},
    sum(counted.offered) = sum(counted.accounted) AS conserved, max(checked_at) AS checked_at
FROM counted
GROUP BY campaign, day
ORDER BY campaign, day;
