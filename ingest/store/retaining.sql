-- What is deleted because of its age. retaining.py says when each part runs. {events}: events that count. {rows}: rows
-- whose agents get a pseudonym.
-- Reads: agent_marks, archived_names, deletions, events, former_agents, recalled_calls, recalled_states, segments.
-- Changes: agent_marks, archived_names, campaigns_before, deletions, dirty_agents, events, expired_events,
--     first_states, frozen, inferred_ends, named_agents.
-- Makes: agents_gone.

-- name: confirmed_day
SELECT min(day)
FROM (SELECT DISTINCT day FROM segments WHERE relation = 'events' ORDER BY day DESC LIMIT $days)
HAVING count(*) = $days;

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
        $last_day::DATE AS last_day, $rows::BIGINT AS rows, $files::BIGINT AS files
) AS news
ON deletions.deleted_on = news.deleted_on AND deletions.class = news.class
    AND deletions.client IS NOT DISTINCT FROM news.client
WHEN MATCHED THEN UPDATE SET
    first_day = least(deletions.first_day, news.first_day),
    last_day = greatest(deletions.last_day, news.last_day),
    rows = deletions.rows + news.rows,
    files = deletions.files + news.files
WHEN NOT MATCHED THEN INSERT;

-- name: deleted_on
SELECT class, client, first_day, last_day, rows, files FROM deletions WHERE deleted_on = $day ORDER BY ALL;

-- name: agents_of_agent_states
SELECT DISTINCT agent {rows} AND agent IS NOT NULL;

-- name: agents_of_calls
SELECT DISTINCT agent
FROM (
    SELECT unnest([agent] || coalesce(missed_by, []) || coalesce(list_transform(offers, lambda o: o.agent), [])) AS agent
    {rows}
)
WHERE agent IS NOT NULL;

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
