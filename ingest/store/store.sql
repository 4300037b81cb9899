-- The store's own data (identity, layout, positions, totals), and what a rebuilt store takes over from the store that
-- it replaces. store.py says when each part runs.
-- Reads: calls, expired_events, identity, layout, old_rows, positions, totals.
-- Changes: calls_to_fold, identity, layout, letters_kept, positions, sources, totals.
-- Makes: taken_over_letters.

-- name: begin_totals
INSERT INTO totals BY NAME
SELECT
    0 AS records, 0 AS records_with_events, 0 AS records_rejected, 0 AS lines, 0 AS duplicates, 0 AS dead_letters,
    0 AS left_out
WHERE NOT EXISTS (FROM totals);

-- name: begin_identity
INSERT INTO identity SELECT $store_id WHERE NOT EXISTS (FROM identity);

-- name: begin_layout
INSERT INTO layout SELECT $version WHERE NOT EXISTS (FROM layout);

-- name: identity
SELECT max(store_id) FROM identity;

-- name: position
SELECT next_offset
FROM positions
WHERE topic = $topic AND "partition" = $number AND cluster_id = $cluster_id AND topic_id = $topic_id;

-- name: forget_position
DELETE FROM positions WHERE topic = $topic AND "partition" = $number;

-- name: note_position
INSERT INTO positions VALUES ($topic, $number, $cluster_id, $topic_id, $next_offset);

-- name: last_event_at
SELECT last_event_at FROM totals;

-- name: totals
SELECT records, records_with_events, lines, duplicates, dead_letters, left_out FROM totals;

-- name: fold_all
INSERT INTO calls_to_fold SELECT call_id FROM calls;

-- name: take_over
DELETE FROM {table};
INSERT INTO {table} BY NAME FROM old_rows;

-- name: take_over_totals
-- `lines` and `duplicates` of this store count the events as the rebuild read them, and not those that are gone.
UPDATE totals SET lines = lines + (SELECT coalesce(sum(events), 0) FROM expired_events);
UPDATE totals SET
    records = old_totals.records,
    records_with_events = old_totals.records_with_events,
    lines = greatest(old_totals.lines, totals.lines - totals.duplicates),
    duplicates = greatest(old_totals.lines - (totals.lines - totals.duplicates), 0),
    records_rejected = coalesce(old_totals.records_rejected, old_totals.records - old_totals.records_with_events),
    dead_letters = old_totals.dead_letters,
    left_out = coalesce(old_totals.left_out, 0),
    last_event_at = greatest(totals.last_event_at, old_totals.last_event_at)
FROM (  -- those of an older Vigie lack columns
    SELECT NULL::BIGINT AS records_rejected, NULL::BIGINT AS left_out WHERE false
    UNION ALL BY NAME
    FROM old_rows
) AS old_totals;

-- name: take_over_sources
-- A source is heard by contents too that a correction replaced, and those are not archived.
MERGE INTO sources
USING old_rows USING (source)
WHEN MATCHED THEN UPDATE SET last_event_at = greatest(sources.last_event_at, old_rows.last_event_at)
WHEN NOT MATCHED THEN INSERT VALUES (source, 0, last_event_at);
UPDATE sources SET events = sources.events + gone.events
FROM expired_events AS gone
WHERE gone.source = sources.source;

-- name: take_over_letters
CREATE OR REPLACE TEMP TABLE taken_over_letters AS FROM old_rows;

-- name: keep_letters
-- Letters after the positions are read again: the old store was lost, or older than its files.
INSERT INTO letters_kept
SELECT l.topic, l."partition", max("offset")
FROM taken_over_letters l
ANTI JOIN positions p ON p.topic = l.topic AND p."partition" = l."partition" AND l."offset" < p.next_offset
GROUP BY l.topic, l."partition";
