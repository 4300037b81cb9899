-- The tables of the published file, from what judge.sql left; `metrics.install` adds views, macros and comments.

CREATE TABLE snapshot.recent_calls AS FROM judged_calls;
CREATE TABLE snapshot.recent_agent_states AS FROM timeline;
CREATE TABLE snapshot.recalled_calls AS FROM recalled_calls;
CREATE TABLE snapshot.recalled_states AS FROM recalled_states;
CREATE TABLE snapshot.agents AS
WITH known AS (
    SELECT agent FROM events WHERE agent IS NOT NULL AND type != 'call.dialed'
    UNION
    SELECT name FROM archived_names WHERE kind = 'agent'
),
profile AS (
    SELECT
        agent,
        arg_max(said.name, told) AS name,
        arg_max(said.team, told) AS team,
        arg_max(said.site, told) AS site,
        arg_max(said.languages, told) AS languages
    FROM (
        SELECT
            agent,
            {ts: ts, id: event_id} AS told,
            from_json(raw, '{"name": "VARCHAR", "team": "VARCHAR", "site": "VARCHAR", "languages": ["VARCHAR"]}') AS said
        FROM events
        WHERE type = 'agent.profile' AND ts <= getvariable('as_of')
    )
    GROUP BY agent
)
SELECT
    agent, coalesce(name, agent) AS name, team, site, coalesce(languages, []) AS languages,
    state, reason, started_at AS since, s.campaign, c.call_id
FROM known
LEFT JOIN profile USING (agent)
LEFT JOIN (FROM timeline WHERE ended_at IS NULL) s USING (agent)
LEFT JOIN (
    SELECT agent, arg_max(call_id, answered_at) AS call_id
    FROM judged_calls
    WHERE answered_at IS NOT NULL AND ended_at IS NULL
    GROUP BY agent
) c USING (agent)
ORDER BY agent;
CREATE TABLE snapshot.campaigns AS
SELECT campaign, client, client_name, name, language, timezone, give_up_after_s, configured FROM known_campaigns;
CREATE TABLE snapshot.sla_terms AS
SELECT campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s FROM terms;
CREATE TABLE snapshot.dead_letters AS
SELECT topic, "partition", "offset", line, received_at, reason, payload FROM dead_letters;
CREATE TABLE snapshot.ingest_status AS
SELECT
    getvariable('as_of') AS as_of,
    getvariable('published_at') AS published_at,
    last_event_at,
    records,
    lines - duplicates AS events,
    duplicates,
    (SELECT count(*) FROM dead_letters) AS dead_letters,
    getvariable('lag') AS lag,
    getvariable('lateness_s') AS lateness_s,
    getvariable('version') AS version
FROM totals;
