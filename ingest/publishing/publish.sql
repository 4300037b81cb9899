-- Fill the next published file with what judge.sql made. Its tables, views and macros exist by then. publish.py says
-- when each part runs.
-- Reads: agent_limits, alarms, archived_names, conservation_checks, dead_letters, deletions, events, gaps, judged_calls,
--     known_campaigns, late_answers, letters_left_out, local_days, moving_calls, named_agents, opening_hours,
--     partition_places, profiles, recalled_calls, recalled_states, snapshot, sources, terms, timeline, totals,
--     unpublished_agents, unpublished_calls, unpublished_states, later(), seconds_between(), $as_of,
--     $disk_free_bytes, $first_call_day, $first_day, $lag, $last_day, $lateness_s, $max_state_s, $notice, $publish_s,
--     $published_at, $published_bytes, $records_per_s, $store_bytes, $version.
-- Changes: snapshot.agent_limits, snapshot.agent_states, snapshot.agents, snapshot.alarms, snapshot.calls,
--     snapshot.campaigns, snapshot.conservation_checks, snapshot.dead_letters, snapshot.dead_letters_left_out,
--     snapshot.deletions, snapshot.feed_gaps, snapshot.feed_partitions, snapshot.feed_sources, snapshot.ingest_status,
--     snapshot.late_answers, snapshot.local_days, snapshot.opening_hours, snapshot.recalled_calls,
--     snapshot.recalled_states, snapshot.sla_terms.
-- Makes: agents_to_publish, named_agents, unpublished_agents, unpublished_calls, unpublished_states.

-- name: everything
-- Into a new file.
INSERT INTO snapshot.{calls} BY NAME FROM judged_calls;
INSERT INTO snapshot.{agent_states} BY NAME
SELECT
    * EXCLUDE (limit_at, by_event),
    seconds_between(started_at, least(ended_at, getvariable('as_of'))) AS seconds
FROM timeline;
CREATE OR REPLACE TEMP TABLE agents_to_publish AS
SELECT agent FROM events WHERE agent IS NOT NULL AND type != 'call.dialed'
UNION
SELECT name FROM archived_names WHERE kind = 'agent';

-- name: changes
-- Into the file that has the content of the last publish.
DELETE FROM snapshot.{calls} WHERE call_id IN (FROM unpublished_calls);
INSERT INTO snapshot.{calls} BY NAME SELECT * FROM judged_calls WHERE call_id IN (FROM unpublished_calls);
DELETE FROM snapshot.{agent_states} s USING unpublished_states u
WHERE s.agent = u.agent AND s.started_at >= u.from_at AND s.started_at < u.until_at;
UPDATE snapshot.{agent_states} SET seconds = seconds_between(started_at, least(ended_at, getvariable('as_of')))
WHERE ended_at IS NULL OR ended_at > (SELECT as_of FROM snapshot.ingest_status);
INSERT INTO snapshot.{agent_states} BY NAME
SELECT
    t.* EXCLUDE (limit_at, by_event),
    seconds_between(started_at, least(ended_at, getvariable('as_of'))) AS seconds
FROM timeline t
SEMI JOIN unpublished_states u ON u.agent = t.agent AND t.started_at >= u.from_at AND t.started_at < u.until_at;

-- Agents whom events named, and those published ones whose state, profile or call may have changed. After max_state_s
-- an agent is on no call, whatever happens. An agent leaves when no event names them: their events had other contents.
CREATE OR REPLACE TEMP TABLE agents_to_publish AS
SELECT agent FROM named_agents
UNION
SELECT agent
FROM snapshot.agents
WHERE agent IN (FROM unpublished_agents)
    OR agent IN (SELECT agent FROM unpublished_states)
    OR agent IN (SELECT agent FROM judged_calls WHERE call_id IN (FROM unpublished_calls))
    OR call_id IN (FROM unpublished_calls)
    OR later(call_since, getvariable('max_state_s')) <= getvariable('as_of');
DELETE FROM snapshot.agents WHERE agent IN (FROM agents_to_publish);
DELETE FROM agents_to_publish WHERE agent IN (
    SELECT agent FROM named_agents WHERE is_contested
    EXCEPT
    SELECT agent
    FROM events
    WHERE agent IN (SELECT agent FROM named_agents WHERE is_contested) AND type != 'call.dialed'
    EXCEPT
    SELECT name FROM archived_names WHERE kind = 'agent'
);

-- name: rest
-- Small tables, and those of which most may change, are written whole.
DELETE FROM snapshot.recalled_calls;
INSERT INTO snapshot.recalled_calls BY NAME FROM recalled_calls;
DELETE FROM snapshot.recalled_states;
INSERT INTO snapshot.recalled_states BY NAME FROM recalled_states;
INSERT INTO snapshot.agents BY NAME
SELECT
    agent, coalesce(name, agent) AS name, team, site, coalesce(languages, []) AS languages,
    state, reason, started_at AS since, s.campaign, c.call_id, c.call_since, c.held_since
FROM agents_to_publish
LEFT JOIN profiles USING (agent)
LEFT JOIN (FROM timeline WHERE ended_at IS NULL) s USING (agent)
LEFT JOIN (
    SELECT
        agent, max(answered_at) AS call_since,
        arg_max(call_id, answered_at) AS call_id, arg_max_null(held_since, answered_at) AS held_since
    FROM moving_calls
    WHERE ended_at IS NULL AND later(answered_at, getvariable('max_state_s')) > getvariable('as_of')
        AND agent IN (FROM agents_to_publish)
    GROUP BY agent
) c USING (agent)
ORDER BY agent;
DELETE FROM snapshot.campaigns;
INSERT INTO snapshot.campaigns BY NAME
FROM known_campaigns;
DELETE FROM snapshot.sla_terms;
INSERT INTO snapshot.sla_terms BY NAME
FROM terms;
DELETE FROM snapshot.local_days;
INSERT INTO snapshot.local_days BY NAME FROM local_days;
DELETE FROM snapshot.opening_hours;
INSERT INTO snapshot.opening_hours BY NAME FROM opening_hours;
DELETE FROM snapshot.late_answers;
INSERT INTO snapshot.late_answers BY NAME FROM late_answers UNION ({late_answers});
DELETE FROM snapshot.agent_limits;
INSERT INTO snapshot.agent_limits BY NAME FROM agent_limits;
DELETE FROM snapshot.{dead_letters};
INSERT INTO snapshot.{dead_letters} BY NAME
SELECT topic, "partition", "offset", line, received_at, reason, payload FROM dead_letters;
DELETE FROM snapshot.deletions;
INSERT INTO snapshot.deletions BY NAME SELECT * EXCLUDE (is_told) FROM deletions;
DELETE FROM snapshot.dead_letters_left_out;
INSERT INTO snapshot.dead_letters_left_out BY NAME SELECT nullif(source, '') AS source, day, lines, last_at FROM letters_left_out;
DELETE FROM snapshot.conservation_checks;
INSERT INTO snapshot.conservation_checks BY NAME
SELECT campaign, day, offered, accounted, refused, conserved, checked_at FROM conservation_checks;
DELETE FROM snapshot.alarms;
INSERT INTO snapshot.alarms BY NAME FROM alarms;
DELETE FROM snapshot.feed_partitions;
INSERT INTO snapshot.feed_partitions BY NAME FROM partition_places;
DELETE FROM snapshot.feed_sources;
INSERT INTO snapshot.feed_sources BY NAME FROM sources;
DELETE FROM snapshot.feed_gaps;
INSERT INTO snapshot.feed_gaps BY NAME
SELECT topic, "partition", from_offset, to_offset, to_offset - from_offset AS records, noticed_at FROM gaps;
DELETE FROM snapshot.ingest_status;
INSERT INTO snapshot.ingest_status BY NAME
SELECT
    getvariable('as_of') AS as_of,
    getvariable('published_at') AS published_at,
    last_event_at,
    getvariable('first_day')::DATE AS first_day,
    getvariable('first_call_day')::DATE AS first_call_day,
    getvariable('last_day')::DATE AS last_day,
    records,
    lines - duplicates AS events,
    duplicates,
    dead_letters,
    getvariable('lag') AS lag,
    getvariable('records_per_s')::DOUBLE AS records_per_s,
    getvariable('publish_s')::DOUBLE AS publish_s,
    getvariable('store_bytes') AS store_bytes,
    getvariable('published_bytes') AS published_bytes,
    getvariable('disk_free_bytes') AS disk_free_bytes,
    getvariable('lateness_s') AS lateness_s,
    getvariable('max_state_s') AS max_state_s,
    getvariable('notice') AS notice,
    getvariable('version') AS version,
    left_out AS letters_left_out
FROM totals;

-- name: published
CREATE OR REPLACE TEMP TABLE unpublished_calls AS FROM unpublished_calls LIMIT 0;
CREATE OR REPLACE TEMP TABLE unpublished_states AS FROM unpublished_states LIMIT 0;
CREATE OR REPLACE TEMP TABLE unpublished_agents AS FROM unpublished_agents LIMIT 0;
CREATE OR REPLACE TEMP TABLE named_agents AS FROM named_agents LIMIT 0;
