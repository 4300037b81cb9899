-- What alarms look for at every publish, and what is kept of them. alarms.py says what each finding means.
-- {counts}: the counts of a day. {impossible}: whether one of them cannot be.
-- Reads: alarms, archived_counts, calls, checksums, conservation_checks, events, expired_events, letters_left_out,
--     pending_alarms, recalled_events, segments, sources, totals.
-- Changes: pending_alarms.
-- Makes: nothing.

-- name: days
SELECT campaign, day, conserved, {counts}
FROM conservation_checks
WHERE NOT conserved OR {impossible};

-- name: totals
SELECT
    records, records_with_events + records_rejected AS accounted, lines - duplicates AS events, duplicates, dead_letters,
    (SELECT count(*) FROM events)
        + (SELECT coalesce(sum(rows), 0) FROM segments WHERE relation = 'events')
        - (SELECT count(*) FROM recalled_events)
        + (SELECT coalesce(sum(events), 0) FROM expired_events) AS stored,
    (SELECT coalesce(sum(events), 0) FROM sources) AS by_source
FROM totals;

-- name: sources_below_zero
SELECT source, events FROM sources WHERE events < 0;

-- name: letters_left_out
SELECT source, sum(lines)::BIGINT FROM letters_left_out WHERE last_at > $since GROUP BY source;

-- name: doubled
SELECT relation, day, rows, distinct_rows FROM archived_counts WHERE rows != distinct_rows;

-- name: damaged
SELECT s.relation, s.day, count(*)
FROM checksums c
JOIN segments s USING (file)
WHERE c.is_damaged
GROUP BY s.relation, s.day;

-- name: unplaced
SELECT call_id FROM calls WHERE queued_at IS NULL AND dialed_at IS NULL;

-- name: first_at
SELECT call_id, min(ts) FROM events WHERE call_id IN ({unplaced}) GROUP BY call_id;

-- name: ringing_since
-- Alarms of an earlier version, which kept nothing pending.
SELECT kind, min(since) FROM alarms WHERE kind NOT IN (SELECT kind FROM pending_alarms) GROUP BY kind;

-- name: found_again
DELETE FROM pending_alarms WHERE kind = ? AND subject IN (SELECT unnest(?));

-- name: missing
INSERT INTO pending_alarms SELECT ?, unnest(?), ?, ?;

-- name: overdue
UPDATE pending_alarms SET rings = true WHERE kind = ? AND subject IN (SELECT unnest(?));
