-- Settled calls and states that may change are recalled from the archive. archive.py says when each part runs.
-- {archived}: the archived events that count. {settled}: the settled rows that count.
-- Reads: agent_marks, archived_until, calls, calls_to_fold, deleted_calls, events, incoming_events, known_campaigns, late_answers,
--     lost_steps, recalled_stretches, reopened_calls, segments, stretches_to_recall, $as_of, $recalled_campaign,
--     $recalled_from_day, $shortest_recalled_s.
-- Changes: calls_to_fold, dirty_agents, dirty_steps, events, incoming_events, inferred_ends, lost_steps,
--     recalled_calls, recalled_events, settled_checks.
-- Makes: archived_next_states, calls_to_end, calls_to_recall, events_to_recall, known_events, next_states,
--     recalled_contents.

-- name: none_archived
SELECT *, NULL::DATE AS day, '' AS filename, 0 AS file_row_number FROM events LIMIT 0;

-- name: keys
SELECT DISTINCT hash({column}) AS key, (home - DATE '1970-01-01')::INTEGER AS day
FROM ({events})
WHERE {column} IS NOT NULL;

-- name: archived_keys
SELECT event_id, call_id, day AS home FROM ({archived});

-- name: final_keys
SELECT call_id, day AS home FROM ({settled});

-- name: no_final_calls
SELECT NULL::VARCHAR AS call_id LIMIT 0;

-- name: drop_final
DELETE FROM incoming_events
WHERE ts < $takes_from OR call_id IN (SELECT call_id FROM ({settled})) OR call_id IN ({deleted})
RETURNING n;

-- name: deleted_keys
SELECT key, (deleted_on - DATE '1970-01-01')::INTEGER AS day FROM deleted_calls WHERE deleted_on >= $since;

-- name: deleted_keys_of_incoming
SELECT md5_number_lower(call_id) AS key FROM incoming_events WHERE call_id IS NOT NULL;

-- name: incoming_of_deleted_calls
SELECT i.call_id FROM incoming_events i JOIN deleted_calls d ON d.key = md5_number_lower(i.call_id)

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
-- What the batch changes in agents' timelines, by its events and by those that they replace. From just before ts: of
-- several states at one instant the last counts, and it may equal the settled state before it.
SELECT agent, ts - INTERVAL 1 MICROSECOND AS ts, ts AS last_at, campaign, is_replaced
FROM (
    SELECT agent, ts, type, campaign, false AS is_replaced FROM incoming_events
    UNION ALL
    SELECT agent, ts, type, campaign, true FROM known_events
)
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
SELECT
    agent, getvariable('as_of') AS ts, NULL::TIMESTAMPTZ AS last_at, NULL::VARCHAR AS campaign, false AS is_replaced
FROM agent_marks;

-- name: long_states
SELECT agent, started_at AS ts, NULL::TIMESTAMPTZ AS last_at, NULL::VARCHAR AS campaign, false AS is_replaced
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

-- name: note_dirty_agents
INSERT INTO dirty_agents SELECT agent, '-infinity', false FROM stretches_to_recall;

-- name: homes_to_recall
SELECT DISTINCT home FROM events_to_recall;

-- name: bring_back
CREATE OR REPLACE TEMP TABLE recalled_contents AS
FROM ({archived}) SEMI JOIN events_to_recall USING (event_id);
INSERT INTO events SELECT {columns} FROM recalled_contents;
INSERT INTO dirty_steps SELECT DISTINCT agent FROM recalled_contents WHERE agent IS NOT NULL;

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
INSERT INTO dirty_steps SELECT agent FROM lost_steps;
DELETE FROM lost_steps;

-- name: reopened_calls
FROM reopened_calls;

-- name: any_unended
FROM calls_to_end LIMIT 1;

-- name: find_next_states
-- One for each call, not for each agent: two calls of an agent without an end have different next steps. What follows
-- an answer within one recalled stretch, or after the mark, is sure to be here.
CREATE OR REPLACE TEMP TABLE next_states AS
WITH here AS (
    SELECT c.call_id, c.agent, c.answered_at, min(e.ts) AS ts
    FROM calls_to_end c
    LEFT JOIN events e ON e.agent = c.agent AND e.ts > c.answered_at AND e.type = 'agent.state' AND e.state != 'busy'
    GROUP BY ALL
)
SELECT
    h.*,
    hot_from IS NULL OR answered_at >= hot_from OR EXISTS (
        FROM recalled_stretches s WHERE s.agent = h.agent AND h.answered_at >= s.from_at AND h.ts < s.until_at
    ) AS is_sure
FROM here h
LEFT JOIN agent_marks USING (agent);

-- name: days_of_unsure
SELECT make_timestamp(epoch_us(min(answered_at)))::DATE, make_timestamp(epoch_us(max(answered_at)))::DATE
FROM next_states
WHERE NOT is_sure;

-- name: find_archived_next_states
CREATE OR REPLACE TEMP TABLE archived_next_states AS
SELECT n.call_id, n.agent, min(a.ts) AS ts
FROM ({archived}) a
JOIN next_states n ON n.agent = a.agent AND NOT n.is_sure AND a.ts > n.answered_at AND (n.ts IS NULL OR a.ts <= n.ts)
WHERE a.type = 'agent.state' AND a.state != 'busy'
GROUP BY n.call_id, n.agent;

-- name: count_sought_further
SELECT count(*)
FROM next_states
WHERE NOT is_sure
    AND call_id NOT IN (SELECT call_id FROM archived_next_states)
    AND (ts IS NULL OR make_timestamp(epoch_us(ts))::DATE > $until);

-- name: days_of_archived_next_states
SELECT DISTINCT make_timestamp(epoch_us(ts))::DATE FROM archived_next_states;

-- name: list_next_states
CREATE OR REPLACE TEMP TABLE events_to_recall AS
SELECT DISTINCT a.event_id, a.call_id, a.day AS home
FROM ({archived}) a
JOIN archived_next_states n ON n.agent = a.agent AND n.ts = a.ts
WHERE a.type = 'agent.state' AND a.state != 'busy';

-- name: days_of_next_answers
-- The days of calls that may have been answered before those states.
WITH next AS (
    SELECT n.answered_at, least(n.ts, a.ts) AS ts FROM next_states n LEFT JOIN archived_next_states a USING (call_id)
),
span AS (
    SELECT
        make_timestamp(epoch_us(min(answered_at)))::DATE AS first,
        CASE WHEN count(*) = count(ts) THEN make_timestamp(epoch_us(max(ts)))::DATE END AS last
    FROM next
)
SELECT s.day
FROM segments s, span
WHERE s.relation = 'calls' AND s.day >= first - 1 AND (last IS NULL OR s.day <= last + 1)
UNION
SELECT day
FROM late_answers, span
WHERE answered_on >= first AND (last IS NULL OR answered_on <= last);

-- name: next_answers
SELECT arg_min(s.call_id, s.answered_at) AS call_id
FROM ({settled}) s
JOIN next_states n ON n.agent = s.agent AND s.answered_at > n.answered_at
LEFT JOIN archived_next_states a ON a.call_id = n.call_id
WHERE s.channel = 'voice' AND (least(n.ts, a.ts) IS NULL OR s.answered_at <= least(n.ts, a.ts))
GROUP BY n.call_id;

-- name: any_to_fold
FROM calls_to_fold LIMIT 1;
