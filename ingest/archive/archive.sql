-- Rows that settle.sql selected move from the store's tables to the archive. archive.py says when each part runs.
-- Reads: archived_until, dead_letters, frozen, judged_calls, just_judged_calls, new_marks, settled_calls, settled_ends,
--     settled_events, settled_letters, settled_states, steady_calls, timeline, $settled_before.
-- Changes: agent_marks, archived_names, archived_until, calls, dead_letters, events, inferred_ends, recalled_calls,
--     recalled_states, recalled_stretches, settled_checks, unpublished_calls, unpublished_states.
-- Makes: just_judged_calls, name_counts, steady_calls, timeline.

-- name: count_names
CREATE OR REPLACE TEMP TABLE name_counts AS
SELECT kind, name, sum(events)::BIGINT AS events
FROM (
    SELECT 'agent' AS kind, agent AS name, {sign} AS events FROM ({events}) WHERE type != 'call.dialed'
    UNION ALL
    SELECT 'campaign', campaign, {sign} FROM ({events})
)
WHERE name IS NOT NULL
GROUP BY kind, name;
MERGE INTO archived_names
USING name_counts AS news USING (kind, name)
WHEN MATCHED AND archived_names.events + news.events > 0 THEN UPDATE SET events = archived_names.events + news.events
WHEN MATCHED THEN DELETE
WHEN NOT MATCHED THEN INSERT;

-- name: settled_events
FROM settled_events;

-- name: closed_before
SELECT max(closed_before) FROM archived_until;

-- name: count_unsettled
-- An upper bound of the rows that settle: cheap, and mostly enough. A state that settles has ended, because another
-- one follows that began before settled_before too.
SELECT
    (
        SELECT count(*)
        FROM judged_calls
        WHERE cohort_at < getvariable('settled_before')
            AND (answered_at IS NULL OR ended_at < getvariable('settled_before'))
    )
    + (SELECT count(*) FROM timeline WHERE ended_at < getvariable('settled_before'))
    + (SELECT count(*) FROM dead_letters);

-- name: count_settled
SELECT
    (SELECT count(*) FROM settled_calls)
    + (SELECT count(*) FROM settled_states)
    + (SELECT count(*) FROM settled_letters);

-- name: forget_recalled
DELETE FROM settled_checks
WHERE day IN (SELECT day FROM settled_calls) AND NOT EXISTS (FROM frozen WHERE settled_checks.day < frozen.before);
DELETE FROM dead_letters;
DELETE FROM recalled_calls;
DELETE FROM recalled_states;
INSERT INTO inferred_ends BY NAME FROM settled_ends;

-- name: forget_settled
DELETE FROM events WHERE rowid IN (SELECT place FROM settled_events);
DELETE FROM calls WHERE call_id IN (SELECT call_id FROM settled_calls);
DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM new_marks);
DELETE FROM recalled_stretches WHERE agent IN (SELECT agent FROM new_marks);
INSERT INTO agent_marks SELECT agent, hot_from FROM new_marks;
INSERT INTO archived_until VALUES (getvariable('settled_before'));
DELETE FROM archived_until WHERE closed_before < (SELECT max(closed_before) FROM archived_until);

-- name: forget_judged
INSERT INTO unpublished_calls SELECT call_id FROM settled_calls;
INSERT INTO unpublished_states SELECT agent, TIMESTAMPTZ '-infinity', hot_from FROM new_marks;
-- The tables are created again, because a table in memory keeps the space of deleted rows.
CREATE OR REPLACE TEMP TABLE steady_calls AS FROM steady_calls ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE just_judged_calls AS FROM just_judged_calls ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE timeline AS
SELECT t.* FROM timeline t LEFT JOIN new_marks m USING (agent) WHERE hot_from IS NULL OR started_at >= hot_from;
