-- What is judged again, and what judging forgets. judging.py says when each part runs.
-- {columns}: the columns of `calls`, with their types.
-- Reads: calls, changed_timelines, dirty_agents, dirty_calls, dirty_steps, events, moving_calls, profiles, $as_of.
-- Changes: profiles, timeline.
-- Makes: calls_to_judge, changed_profiles, dirty_agents, dirty_calls, dirty_steps, just_judged_calls, steady_calls,
--     unpublished_agents, unpublished_calls, unpublished_states.

-- name: nothing_judged
CREATE OR REPLACE TEMP TABLE steady_calls ({columns}, moves BOOLEAN);
CREATE OR REPLACE TEMP TABLE just_judged_calls ({columns}, moves BOOLEAN);
CREATE OR REPLACE TEMP TABLE unpublished_calls (call_id VARCHAR);
CREATE OR REPLACE TEMP TABLE unpublished_states (agent VARCHAR, from_at TIMESTAMPTZ, until_at TIMESTAMPTZ);
CREATE OR REPLACE TEMP TABLE unpublished_agents (agent VARCHAR);

-- name: to_judge
-- An answered call that moves is changed by the next step of its agent only: most are in talk, and nothing happens.
CREATE OR REPLACE TEMP TABLE calls_to_judge AS
SELECT call_id FROM dirty_calls
UNION
SELECT call_id
FROM moving_calls
WHERE outcome != 'answered' OR agent IN (
    SELECT agent FROM dirty_agents
    UNION ALL
    FROM dirty_steps
    UNION ALL
    SELECT agent FROM calls WHERE agent IS NOT NULL AND call_id IN (FROM dirty_calls)
);

-- name: note_unpublished
INSERT INTO unpublished_calls FROM calls_to_judge;
INSERT INTO unpublished_states
SELECT agent, coalesce(since, '-infinity'), TIMESTAMPTZ 'infinity' FROM changed_timelines;

-- name: changed_profiles
CREATE OR REPLACE TEMP TABLE changed_profiles AS
SELECT agent FROM dirty_agents WHERE has_profile
UNION
SELECT agent FROM profiles WHERE next_at <= getvariable('as_of');

-- name: is_any_profile_changed
FROM changed_profiles LIMIT 1;

-- name: profiles
INSERT INTO unpublished_agents FROM changed_profiles;
DELETE FROM profiles WHERE agent IN (FROM changed_profiles);
INSERT INTO profiles BY NAME
SELECT
    agent,
    arg_max(profile.name, stated_at) FILTER (ts <= getvariable('as_of')) AS name,
    arg_max(profile.team, stated_at) FILTER (ts <= getvariable('as_of')) AS team,
    arg_max(profile.site, stated_at) FILTER (ts <= getvariable('as_of')) AS site,
    arg_max(profile.languages, stated_at) FILTER (ts <= getvariable('as_of')) AS languages,
    min(ts) FILTER (ts > getvariable('as_of')) AS next_at
FROM (
    SELECT
        agent,
        ts,
        struct_pack(ts := ts, id := event_id) AS stated_at,
        from_json(raw, '{"name": "VARCHAR", "team": "VARCHAR", "site": "VARCHAR", "languages": ["VARCHAR"]}') AS profile
    FROM events
    SEMI JOIN changed_profiles USING (agent)
    WHERE type = 'agent.profile'
)
GROUP BY agent;

-- name: nothing_changed
CREATE OR REPLACE TEMP TABLE dirty_calls AS FROM dirty_calls LIMIT 0;
CREATE OR REPLACE TEMP TABLE dirty_agents AS FROM dirty_agents LIMIT 0;
CREATE OR REPLACE TEMP TABLE dirty_steps AS FROM dirty_steps LIMIT 0;

-- name: everything_changed
DELETE FROM timeline;
DELETE FROM profiles;
CREATE OR REPLACE TEMP TABLE dirty_calls AS SELECT call_id FROM calls;
CREATE OR REPLACE TEMP TABLE dirty_agents AS
SELECT agent, TIMESTAMPTZ '-infinity' AS ts, bool_or(type = 'agent.profile') AS has_profile
FROM events
WHERE type IN ('agent.state', 'agent.profile')
GROUP BY agent;
