-- What is deleted because of its age. retaining.py says when each part runs. {events}: events that count. {calls}: calls
-- that go.
-- Reads: agent_marks, archived_names, deletions, events, former_agents, recalled_calls, recalled_states.
-- Changes: agent_marks, archived_names, campaigns_before, dead_letters, deleted_calls, deletions, dirty_agents, events,
--     expired_events, first_states, frozen, inferred_ends, named_agents.
-- Makes: agents_gone.

-- name: first_recalled
SELECT least(
    (SELECT min(day) FROM recalled_calls), (SELECT make_timestamp(epoch_us(min(from_at)))::DATE FROM recalled_states)
);

-- name: keep_campaigns
MERGE INTO campaigns_before
USING (
    SELECT agent, arg_max(campaign, (ts, event_id)) AS campaign
    FROM ({events})
    WHERE type = 'agent.state' AND campaign IS NOT NULL
    GROUP BY agent
) AS named USING (agent)
WHEN MATCHED THEN UPDATE SET campaign = named.campaign
WHEN NOT MATCHED THEN INSERT;

-- name: freeze
DELETE FROM inferred_ends WHERE day < $before;
DELETE FROM frozen;
INSERT INTO frozen VALUES ($before);

-- name: count_expired
MERGE INTO expired_events
USING (SELECT source, count(*) AS events FROM ({events}) GROUP BY source) AS gone USING (source)
WHEN MATCHED THEN UPDATE SET events = expired_events.events + gone.events
WHEN NOT MATCHED THEN INSERT;

-- name: note
MERGE INTO deletions
USING (
    SELECT $deleted_on::DATE AS deleted_on, $class AS class, $client::VARCHAR AS client, $first_day::DATE AS first_day,
        $last_day::DATE AS last_day, $rows::BIGINT AS rows, $files::BIGINT AS files, false AS is_told
) AS news
ON deletions.deleted_on = news.deleted_on AND deletions.class = news.class
    AND deletions.client IS NOT DISTINCT FROM news.client
WHEN MATCHED THEN UPDATE SET
    first_day = least(deletions.first_day, news.first_day),
    last_day = greatest(deletions.last_day, news.last_day),
    rows = deletions.rows + news.rows,
    files = deletions.files + news.files,
    is_told = false
WHEN NOT MATCHED THEN INSERT;

-- name: untold
SELECT deleted_on, class, coalesce(client, ''), first_day, last_day, rows, files
FROM deletions
WHERE NOT is_told
ORDER BY ALL;

-- name: mark_told
UPDATE deletions SET is_told = true;

-- name: forget_letters
DELETE FROM dead_letters WHERE make_timestamp(epoch_us(received_at))::DATE < $before;

-- name: note_deleted_calls
INSERT INTO deleted_calls SELECT DISTINCT md5_number_lower(call_id), DATE '{today}' FROM ({calls});

-- name: forget_deleted_calls
DELETE FROM deleted_calls WHERE deleted_on < $before;

-- name: take_pseudonyms
SET VARIABLE pseudonyms = (SELECT map(list(agent), list(pseudonym)) FROM former_agents);
INSERT INTO archived_names
SELECT DISTINCT 'agent', pseudonym, 1
FROM former_agents
WHERE pseudonym NOT IN (SELECT name FROM archived_names WHERE kind = 'agent');
INSERT INTO named_agents SELECT DISTINCT pseudonym, false FROM former_agents;

-- name: find_former_agents
-- Agents whose last event is that old. has_left: their last state is a logout, so no time of theirs is in it.
CREATE OR REPLACE TEMP TABLE agents_gone AS
SELECT agent, coalesce(bool_and(state = 'offline' OR ts < hot_from) FILTER (type = 'agent.state'), true) AS has_left
FROM events
LEFT JOIN agent_marks USING (agent)
WHERE agent IS NOT NULL
GROUP BY agent
HAVING max(ts) < $before AND bool_and(type IN ('agent.state', 'agent.profile'));

-- name: any_former_agent
FROM agents_gone LIMIT 1;

-- name: leave_out_active
DELETE FROM agents_gone WHERE agent IN ({active});

-- name: gone_events
SELECT e.* FROM events e JOIN agents_gone USING (agent) WHERE has_left OR type = 'agent.profile'

-- name: events_of_former_agents
SELECT count(*), make_timestamp(epoch_us(min(ts)))::DATE, make_timestamp(epoch_us(max(ts)))::DATE
FROM events e
JOIN agents_gone USING (agent)
WHERE has_left OR type = 'agent.profile';

-- name: forget_former_agents
DELETE FROM events WHERE event_id IN (SELECT event_id FROM ({events}));
DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM agents_gone WHERE has_left);
DELETE FROM campaigns_before WHERE agent IN (SELECT agent FROM agents_gone WHERE has_left);
DELETE FROM archived_names WHERE kind = 'agent' AND name IN (SELECT agent FROM agents_gone WHERE has_left);
INSERT INTO dirty_agents SELECT agent, '-infinity', true FROM agents_gone;
INSERT INTO named_agents SELECT agent, true FROM agents_gone;

-- name: forget_first_agents
UPDATE first_states SET agent = '' WHERE started_at < $before;
