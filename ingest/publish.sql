-- The rows of the published file, from what judge.sql left; its tables, views and macros are made by then.

INSERT INTO snapshot.{calls} BY NAME FROM judged_calls;
INSERT INTO snapshot.{agent_states} BY NAME FROM timeline;
INSERT INTO snapshot.recalled_calls BY NAME FROM recalled_calls;
INSERT INTO snapshot.recalled_states BY NAME FROM recalled_states;
INSERT INTO snapshot.agents BY NAME
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
            struct_pack(ts := ts, id := event_id) AS told,
            from_json(raw, '{{"name": "VARCHAR", "team": "VARCHAR", "site": "VARCHAR", "languages": ["VARCHAR"]}}') AS said
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
INSERT INTO snapshot.campaigns BY NAME
SELECT campaign, client, client_name, name, language, timezone, give_up_after_s, configured FROM known_campaigns;
INSERT INTO snapshot.sla_terms BY NAME
FROM terms;
INSERT INTO snapshot.local_days BY NAME FROM local_days;
INSERT INTO snapshot.{dead_letters} BY NAME
SELECT topic, "partition", "offset", line, received_at, reason, mask_payload(payload) AS payload FROM dead_letters;
INSERT INTO snapshot.ingest_status BY NAME
SELECT
    getvariable('as_of') AS as_of,
    getvariable('published_at') AS published_at,
    last_event_at,
    records,
    lines - duplicates AS events,
    duplicates,
    dead_letters,
    getvariable('lag') AS lag,
    getvariable('lateness_s') AS lateness_s,
    getvariable('notice') AS notice,
    getvariable('version') AS version
FROM totals;
