-- Fill the published file with what judge.sql made. Its tables, views and macros exist by then.
-- Reads: agent_limits, alarms, archived_names, conservation_checks, dead_letters, events, gaps, judged_calls,
--     just_judged_calls, known_campaigns, late_answers, local_days, opening_hours, partition_places, profiles,
--     recalled_calls, recalled_states, sources, terms, timeline, totals, later(), seconds_between(), $as_of,
--     $disk_free_bytes, $first_call_day, $first_day, $lag, $last_day, $lateness_s, $max_state_s, $notice, $publish_s,
--     $published_at, $published_bytes, $records_per_s, $store_bytes, $version.
-- Changes: snapshot.agent_limits, snapshot.agent_states, snapshot.agents, snapshot.alarms, snapshot.calls,
--     snapshot.campaigns, snapshot.conservation_checks, snapshot.dead_letters, snapshot.feed_gaps,
--     snapshot.feed_partitions, snapshot.feed_sources, snapshot.ingest_status, snapshot.late_answers,
--     snapshot.local_days, snapshot.opening_hours, snapshot.recalled_calls, snapshot.recalled_states,
--     snapshot.sla_terms.
-- Makes: nothing.

INSERT INTO snapshot.{calls} BY NAME FROM judged_calls;
INSERT INTO snapshot.{agent_states} BY NAME
SELECT
    * EXCLUDE (limit_at, by_event),
    seconds_between(started_at, least(ended_at, getvariable('as_of'))) AS seconds
FROM timeline;
INSERT INTO snapshot.recalled_calls BY NAME FROM recalled_calls;
INSERT INTO snapshot.recalled_states BY NAME FROM recalled_states;
INSERT INTO snapshot.agents BY NAME
WITH known AS (
    SELECT agent FROM events WHERE agent IS NOT NULL AND type != 'call.dialed'
    UNION
    SELECT name FROM archived_names WHERE kind = 'agent'
)
SELECT
    agent, coalesce(name, agent) AS name, team, site, coalesce(languages, []) AS languages,
    state, reason, started_at AS since, s.campaign, c.call_id, c.call_since, c.held_since
FROM known
LEFT JOIN profiles USING (agent)
LEFT JOIN (FROM timeline WHERE ended_at IS NULL) s USING (agent)
LEFT JOIN (
    SELECT
        agent, max(answered_at) AS call_since,
        arg_max(call_id, answered_at) AS call_id, arg_max_null(held_since, answered_at) AS held_since
    FROM just_judged_calls
    WHERE moves AND ended_at IS NULL AND later(answered_at, getvariable('max_state_s')) > getvariable('as_of')
    GROUP BY agent
) c USING (agent)
ORDER BY agent;
INSERT INTO snapshot.campaigns BY NAME
FROM known_campaigns;
INSERT INTO snapshot.sla_terms BY NAME
FROM terms;
INSERT INTO snapshot.local_days BY NAME FROM local_days;
INSERT INTO snapshot.opening_hours BY NAME FROM opening_hours;
INSERT INTO snapshot.late_answers BY NAME FROM late_answers UNION ({late_answers});
INSERT INTO snapshot.agent_limits BY NAME FROM agent_limits;
INSERT INTO snapshot.{dead_letters} BY NAME
SELECT topic, "partition", "offset", line, received_at, reason, payload FROM dead_letters;
INSERT INTO snapshot.conservation_checks BY NAME
SELECT campaign, day, offered, accounted, refused, conserved, checked_at FROM conservation_checks;
INSERT INTO snapshot.alarms BY NAME FROM alarms;
INSERT INTO snapshot.feed_partitions BY NAME FROM partition_places;
INSERT INTO snapshot.feed_sources BY NAME FROM sources;
INSERT INTO snapshot.feed_gaps BY NAME
SELECT topic, "partition", from_offset, to_offset, to_offset - from_offset AS records, noticed_at FROM gaps;
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
    getvariable('version') AS version
FROM totals;
