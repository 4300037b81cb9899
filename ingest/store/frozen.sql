-- What a rebuilt store takes over of the frozen days. frozen.py says when each part runs. {before}: the first day that is
-- not frozen. A part that is named like a table reads the old store.
-- Reads: agent_marks, archived_names, campaigns_before, checksums, first_states, frozen, late_answers, old_rows, recalled_events,
--     recalled_stretches, segments, settled_checks.
-- Changes: sources, totals.
-- Makes: nothing.

-- name: frozen
FROM frozen;

-- name: campaigns_before
FROM campaigns_before;

-- name: segments
-- Not the sums of months: they are made again from those of their days.
FROM segments WHERE day < {before} AND relation != 'dead_letters' AND NOT ends_with(relation, '_of_months');

-- name: checksums
-- With the marks of damage: these files cannot be made again.
FROM checksums
WHERE file IN (
    SELECT file FROM segments WHERE day < {before} AND relation != 'dead_letters' AND NOT ends_with(relation, '_of_months')
);

-- name: recalled_events
FROM recalled_events
WHERE file IN (SELECT parse_filename(file) FROM segments WHERE day < {before} AND relation = 'events');

-- name: settled_checks
FROM settled_checks WHERE day < {before};

-- name: archived_names
-- Nobody knows any more how often the deleted events named them.
SELECT kind, name, 1 AS events FROM archived_names;

-- name: late_answers
FROM late_answers WHERE day < {before};

-- name: first_states
FROM first_states WHERE make_timestamp(epoch_us(started_at))::DATE < {before};

-- name: agent_marks
-- What an agent did in the frozen days is settled, but for those whose present state began there.
SELECT agent, least(hot_from, make_timestamptz(epoch_us({before}::TIMESTAMP) - 1)) AS hot_from FROM agent_marks;

-- name: recalled_stretches
FROM recalled_stretches WHERE make_timestamp(epoch_us(from_at))::DATE < {before};

-- name: archived_until
SELECT make_timestamptz(epoch_us({before}::TIMESTAMP)) AS closed_before;

-- name: take
INSERT INTO {table} BY NAME FROM old_rows;

-- name: files
SELECT relation, file FROM segments;

-- name: count_events
INSERT INTO sources SELECT source, count(*), max(ts) FROM ({events}) GROUP BY source;
UPDATE totals SET lines = lines + (SELECT count(*) FROM ({events}));
