-- A batch is written to the store. store.py says when each part runs.
-- Reads: arriving_events, arriving_letters, calls, events, letters_kept.
-- Changes: calls, dead_letters, events, gaps, letters_left_out, sources, totals.
-- Makes: answers_before_fold, calls_to_fold, changed_states, contested_event_ids, dirty_agents, dirty_calls,
--     dirty_steps, incoming_events, incoming_letters, lost_steps, named_agents, replaced_event_ids, source_tallies,
--     winning_events.

-- name: changes
-- Changes since the last judging (judging.py), noted in the transaction that writes the events.
CREATE TEMP TABLE dirty_calls (call_id VARCHAR);
CREATE TEMP TABLE dirty_agents (agent VARCHAR, ts TIMESTAMPTZ, has_profile BOOLEAN);
CREATE TEMP TABLE dirty_steps (agent VARCHAR);
-- Changes since the last publish: agents whom events named. Of a contested one, it is not sure that any still does.
CREATE TEMP TABLE named_agents (agent VARCHAR, is_contested BOOLEAN);

-- name: begin_fold
-- changed_states and replaced_event_ids may concern settled calls that the batch does not touch (reopened.sql);
-- lost_steps, what an agent did not do after all, concerns calls that have not settled (recall.sql).
CREATE OR REPLACE TEMP TABLE calls_to_fold (call_id VARCHAR);
CREATE OR REPLACE TEMP TABLE changed_states (agent VARCHAR, ts TIMESTAMPTZ);
CREATE OR REPLACE TEMP TABLE replaced_event_ids (event_id VARCHAR);
CREATE OR REPLACE TEMP TABLE lost_steps (agent VARCHAR, ts TIMESTAMPTZ);

-- name: number_events
CREATE OR REPLACE TEMP TABLE incoming_events AS
SELECT row_number() OVER () AS n, * REPLACE (type::event_type AS type) FROM arriving_events;

-- name: newest_event_at
SELECT max(ts) FROM incoming_events;

-- name: note_new
-- A revision may move an event to another source, so contested events are tallied once their content is decided.
CREATE OR REPLACE TEMP TABLE contested_event_ids AS
SELECT event_id FROM incoming_events GROUP BY event_id HAVING count(*) > 1
UNION
SELECT event_id FROM events WHERE event_id IN (SELECT event_id FROM incoming_events);

INSERT INTO calls_to_fold
SELECT DISTINCT call_id
FROM incoming_events
WHERE call_id IS NOT NULL AND event_id NOT IN (FROM contested_event_ids) AND call_id NOT IN (FROM calls_to_fold);

INSERT INTO changed_states
SELECT agent, ts FROM incoming_events WHERE type = 'agent.state' AND state != 'busy';

INSERT INTO named_agents
SELECT agent, event_id IN (FROM contested_event_ids) AS is_contested
FROM incoming_events
WHERE agent IS NOT NULL AND type != 'call.dialed'
EXCEPT
FROM named_agents;

CREATE OR REPLACE TEMP TABLE source_tallies AS
SELECT source, count(*) FILTER (event_id NOT IN (FROM contested_event_ids)) AS events, max(ts) AS last_event_at
FROM incoming_events
GROUP BY source;

INSERT INTO dirty_agents
SELECT agent, ts, type = 'agent.profile' FROM incoming_events WHERE type IN ('agent.state', 'agent.profile');

-- name: count_contested_ids
SELECT count(*) FROM contested_event_ids;

-- name: add_events
INSERT INTO events SELECT {columns} FROM incoming_events;

-- name: add_uncontested_events
INSERT INTO events SELECT {columns} FROM incoming_events WHERE event_id NOT IN (FROM contested_event_ids);

-- name: count_contested
SELECT
    (SELECT count(*) FROM events WHERE event_id IN (FROM contested_event_ids)),
    (SELECT count(*) FROM incoming_events WHERE event_id IN (FROM contested_event_ids));

-- name: replace_contested
-- Of several contents with one event_id, the highest revision counts, then the last in the order of their sorted JSON.
CREATE OR REPLACE TEMP TABLE winning_events AS
WITH contents AS (
    SELECT DISTINCT ON (event_id, revision, raw) {columns}, is_kept
    FROM (
        SELECT {columns}, true AS is_kept FROM events WHERE event_id IN (FROM contested_event_ids)
        UNION ALL
        SELECT {columns}, false FROM incoming_events WHERE event_id IN (FROM contested_event_ids)
    )
    ORDER BY is_kept DESC
),
highest AS (
    SELECT *, count(*) OVER (PARTITION BY event_id) > 1 AS is_tied
    FROM contents
    QUALIFY revision = max(revision) OVER (PARTITION BY event_id)
)
SELECT *
FROM highest
QUALIFY row_number() OVER (
    PARTITION BY event_id
    ORDER BY CASE WHEN is_tied THEN canonical_json(raw) END DESC, is_kept DESC, raw DESC
) = 1;

DELETE FROM winning_events WHERE is_kept;

INSERT INTO calls_to_fold
SELECT call_id FROM winning_events WHERE call_id IS NOT NULL
UNION
SELECT call_id FROM events WHERE event_id IN (SELECT event_id FROM winning_events) AND call_id IS NOT NULL;

INSERT INTO replaced_event_ids SELECT event_id FROM winning_events;

INSERT INTO source_tallies
SELECT source, -1, ts FROM events WHERE event_id IN (SELECT event_id FROM winning_events)
UNION ALL
SELECT source, 1, ts FROM winning_events;

INSERT INTO dirty_agents
SELECT agent, ts, type = 'agent.profile'
FROM events
WHERE event_id IN (SELECT event_id FROM winning_events) AND type IN ('agent.state', 'agent.profile');

INSERT INTO named_agents
SELECT agent, true FROM events WHERE event_id IN (SELECT event_id FROM winning_events) AND agent IS NOT NULL;

DELETE FROM events WHERE event_id IN (SELECT event_id FROM winning_events);
INSERT INTO events SELECT {columns} FROM winning_events;

-- name: add_to_sources
MERGE INTO sources
USING (
    SELECT source, sum(events)::BIGINT AS events, max(last_event_at) AS last_event_at
    FROM source_tallies
    GROUP BY source
) AS news USING (source)
WHEN MATCHED THEN UPDATE SET
    events = sources.events + news.events,
    last_event_at = greatest(sources.last_event_at, news.last_event_at)
WHEN NOT MATCHED THEN INSERT;

-- name: forget_folded
INSERT INTO dirty_calls FROM calls_to_fold;
CREATE OR REPLACE TEMP TABLE answers_before_fold AS
SELECT call_id, agent, answered_at
FROM calls
SEMI JOIN calls_to_fold USING (call_id)
WHERE channel = 'voice' AND agent IS NOT NULL AND answered_at IS NOT NULL;
DELETE FROM calls WHERE call_id IN (FROM calls_to_fold);

-- name: note_lost_answers
INSERT INTO lost_steps
SELECT agent, answered_at
FROM answers_before_fold
ANTI JOIN (SELECT call_id, agent, answered_at FROM calls WHERE channel = 'voice') USING (call_id, agent, answered_at);

-- name: date_letters
CREATE OR REPLACE TEMP TABLE incoming_letters AS
SELECT
    topic, topic_id, "partition", "offset", line, make_timestamptz(received_ms * 1000) AS received_at, reason, payload,
    source, read_at, make_timestamp(received_ms * 1000)::DATE AS day
FROM arriving_letters;

-- name: days_read_again
-- After a rebuild without the old store, or from an older one, the topic is read again, with letters that may be archived already.
SELECT DISTINCT day
FROM incoming_letters
JOIN letters_kept USING (topic, "partition")
WHERE "offset" <= last_offset;

-- name: leave_out_known_letters
CREATE OR REPLACE TEMP TABLE incoming_letters AS
FROM incoming_letters
ANTI JOIN ({archived}) USING (topic, "partition", "offset", line, received_at);

-- name: add_letters
INSERT INTO dead_letters SELECT * EXCLUDE (source, read_at, day) FROM incoming_letters WHERE payload IS NOT NULL;

-- name: count_letters_left_out
SELECT count(*) FROM incoming_letters WHERE payload IS NULL;

-- name: note_letters_left_out
MERGE INTO letters_left_out
USING (
    SELECT source, make_timestamp(epoch_us(read_at))::DATE AS day, count(*) AS lines, max(read_at) AS last_at
    FROM incoming_letters
    WHERE payload IS NULL
    GROUP BY ALL
) AS news USING (source, day)
WHEN MATCHED THEN UPDATE SET lines = letters_left_out.lines + news.lines, last_at = news.last_at
WHEN NOT MATCHED THEN INSERT;

-- name: note_gap
INSERT INTO gaps VALUES ($topic, $topic_id, $partition, $begin, $end, $noticed_at);

-- name: add_to_totals
UPDATE totals SET
    records = records + $records,
    records_with_events = records_with_events + $records_with_events,
    lines = lines + $lines,
    duplicates = duplicates + $duplicates,
    records_rejected = records_rejected + $records_rejected,
    dead_letters = dead_letters + $dead_letters,
    left_out = left_out + $left_out,
    last_event_at = greatest(last_event_at, $newest);
