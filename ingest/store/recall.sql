-- Settled calls and states that may change are recalled from the archive. archive.py says when each part runs.
-- {archived}: the archived events that count. {settled}: the settled rows that count.
-- Reads: agent_marks, archived_until, calls, calls_to_fold, events, incoming_events, known_campaigns, lost_steps,
--     reopened_calls, $as_of, $recalled_campaign, $recalled_from_day, $shortest_recalled_s.
-- Changes: agent_marks, calls_to_fold, dirty_agents, events, incoming_events, inferred_ends, lost_steps,
--     recalled_calls, recalled_events, recalled_states, settled_checks.
-- Makes: agents_to_recall, calls_to_end, calls_to_recall, earlier_marks, events_to_recall, known_events,
--     recalled_contents.

-- name: none_archived
SELECT *, NULL::DATE AS day, '' AS filename, 0 AS file_row_number FROM events LIMIT 0;

-- name: keys
SELECT DISTINCT hash({column}) AS key, (home - DATE '1970-01-01')::INTEGER AS day
FROM ({events})
WHERE {column} IS NOT NULL;

-- name: archived_keys
SELECT event_id, call_id, day AS home FROM ({archived});

-- name: keys_of
SELECT hash({column}) AS key FROM {table} WHERE {column} IS NOT NULL;

-- name: find_known
CREATE OR REPLACE TEMP TABLE known_events AS
SELECT {columns} FROM ({archived}) SEMI JOIN incoming_events USING (event_id)
UNION ALL
SELECT {columns} FROM events SEMI JOIN incoming_events USING (event_id);

-- name: drop_repeated
DELETE FROM incoming_events
WHERE n IN (SELECT i.n FROM incoming_events i JOIN known_events k USING (event_id) WHERE k.raw = i.raw)
RETURNING n;

-- name: forget_repeated
DELETE FROM known_events WHERE event_id NOT IN (SELECT event_id FROM incoming_events);

-- name: calls_of_incoming
SELECT call_id FROM incoming_events UNION SELECT call_id FROM known_events;

-- name: states_of_incoming
-- From just before ts: of several states at one instant the last counts, and it may equal the settled state before it.
SELECT agent, ts - INTERVAL 1 MICROSECOND AS ts
FROM (SELECT agent, ts, type FROM incoming_events UNION ALL SELECT agent, ts, type FROM known_events)
WHERE type IN ('agent.state', 'agent.profile');

-- name: note_lost_states
INSERT INTO lost_steps SELECT agent, ts FROM known_events WHERE type = 'agent.state' AND state != 'busy';

-- name: calls_of_campaign
SELECT call_id
FROM ({settled})
WHERE campaign = getvariable('recalled_campaign') AND day >= getvariable('recalled_from_day');

-- name: longest_give_up
SELECT max(give_up_after_s) FROM known_campaigns;

-- name: calls_given_up
SELECT call_id
FROM ({settled})
JOIN known_campaigns USING (campaign)
WHERE outcome = 'dropped' AND inferred_end
    AND epoch_us(getvariable('as_of')) - epoch_us(cohort_at) <= give_up_after_s * 1e6;

-- name: states_ahead
SELECT agent, getvariable('as_of') AS ts FROM agent_marks;

-- name: long_states
SELECT agent, started_at AS ts
FROM ({settled})
WHERE state != 'offline' AND seconds >= getvariable('shortest_recalled_s');

-- name: list_calls
CREATE OR REPLACE TEMP TABLE calls_to_recall AS
SELECT DISTINCT call_id FROM ({calls}) WHERE call_id IS NOT NULL;

-- name: list_events_of_calls
CREATE OR REPLACE TEMP TABLE events_to_recall AS
SELECT event_id, call_id, day AS home FROM ({archived}) SEMI JOIN calls_to_recall USING (call_id);

-- name: note_recalled_calls
INSERT INTO recalled_calls SELECT DISTINCT call_id, home FROM events_to_recall;
DELETE FROM settled_checks WHERE day IN (SELECT home FROM events_to_recall);
DELETE FROM inferred_ends WHERE call_id IN (SELECT call_id FROM events_to_recall);
INSERT INTO calls_to_fold
SELECT DISTINCT call_id FROM events_to_recall WHERE call_id NOT IN (FROM calls_to_fold);

-- name: list_agents
CREATE OR REPLACE TEMP TABLE agents_to_recall AS
SELECT agent, min(ts) AS ts FROM ({states}) JOIN agent_marks USING (agent) WHERE ts < hot_from GROUP BY agent;

-- name: first_day_to_recall
SELECT make_timestamp(epoch_us(min(ts)))::DATE FROM agents_to_recall;

-- name: settled_starts
SELECT agent, started_at FROM ({settled});

-- name: no_starts
FROM agent_marks LIMIT 0;

-- name: find_marks
-- For each agent the start of the settled state at that time, if one of the archived events read here began it.
CREATE OR REPLACE TEMP TABLE earlier_marks AS
SELECT a.agent, max(s.started_at) AS mark
FROM agents_to_recall a
LEFT JOIN (
    SELECT agent, started_at
    FROM ({starts}) AS begun(agent, started_at)
    SEMI JOIN (SELECT agent, ts FROM ({began}) WHERE type = 'agent.state') e
        ON e.agent = begun.agent AND e.ts = begun.started_at
) s ON s.agent = a.agent AND s.started_at <= a.ts
GROUP BY a.agent;

-- name: any_without_mark
FROM earlier_marks WHERE mark IS NULL LIMIT 1;

-- name: list_events_of_agents
CREATE OR REPLACE TEMP TABLE events_to_recall AS
WITH states AS (
    SELECT event_id, call_id, day AS home, ts, agent, campaign, mark
    FROM ({archived})
    JOIN earlier_marks USING (agent)
    WHERE type = 'agent.state'
)
SELECT event_id, call_id, home FROM states WHERE mark IS NULL OR ts >= mark
UNION
SELECT event_id, call_id, home FROM states WHERE ts < mark AND campaign IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY agent ORDER BY ts DESC, event_id DESC) = 1;

-- name: move_marks
DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM earlier_marks);
INSERT INTO agent_marks SELECT agent, mark FROM earlier_marks WHERE mark IS NOT NULL;

-- name: note_recalled_states
INSERT INTO recalled_states SELECT agent, coalesce(mark, $earliest) FROM earlier_marks;

-- name: note_dirty_agents
INSERT INTO dirty_agents SELECT agent, '-infinity', false FROM earlier_marks;

-- name: homes_to_recall
SELECT DISTINCT home FROM events_to_recall;

-- name: bring_back
CREATE OR REPLACE TEMP TABLE recalled_contents AS
FROM ({archived}) SEMI JOIN events_to_recall USING (event_id);
INSERT INTO events SELECT {columns} FROM recalled_contents;

-- name: recalled_contents
FROM recalled_contents;

-- name: note_recalled_events
INSERT INTO recalled_events SELECT parse_filename(filename), file_row_number FROM recalled_contents;

-- name: find_unended
-- Calls without an end whose agent's next step may be settled: they were just folded, or what followed was lost.
CREATE OR REPLACE TEMP TABLE calls_to_end AS
SELECT call_id, agent, answered_at
FROM calls c
WHERE talk_end_at IS NULL
    AND agent IS NOT NULL
    AND answered_at < (SELECT max(closed_before) FROM archived_until)
    AND (
        call_id IN (FROM calls_to_fold)
        OR EXISTS (FROM lost_steps l WHERE l.agent = c.agent AND l.ts > c.answered_at)
    );

-- name: forget_folded
DELETE FROM calls_to_fold;
DELETE FROM lost_steps;

-- name: reopened_calls
FROM reopened_calls;

-- name: any_unended
FROM calls_to_end LIMIT 1;

-- name: states_after_unended
SELECT agent, answered_at AS ts FROM calls_to_end;

-- name: next_answers
-- One for each call, not for each agent: two calls of an agent without an end have different next answers.
SELECT arg_min(s.call_id, s.answered_at) AS call_id
FROM ({settled}) s
JOIN calls_to_end u ON u.agent = s.agent AND s.answered_at > u.answered_at
WHERE s.channel = 'voice'
GROUP BY u.call_id;

-- name: any_to_fold
FROM calls_to_fold LIMIT 1;
