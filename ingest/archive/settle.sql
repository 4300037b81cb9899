-- Rows that no event is expected to change any more: they are closed, and had no event since
-- getvariable('settled_before'). Selected from judged_calls and timeline; archive.py moves them to the archive.
-- Reads: agent_marks, calls, dead_letters, events, judged_calls, timeline, seconds_between(), $settled_before.
-- Makes: closed_calls, leaving_events, naming_events, new_marks, pinned_agents, settled_calls, settled_ends,
--     settled_events, settled_letters, settled_states.

CREATE OR REPLACE TEMP VIEW closed_calls AS
SELECT *
FROM judged_calls
WHERE day IS NOT NULL
    AND outcome != 'open'
    AND (answered_at IS NULL OR ended_at IS NOT NULL)
    AND greatest(cohort_at, answered_at, abandoned_at, left_at, ended_at, wrapped_at) < getvariable('settled_before');

-- While an unended call stays, its agent's later steps stay too, because one may close it.
CREATE OR REPLACE TEMP TABLE pinned_agents AS
SELECT agent, min(answered_at) AS from_at
FROM calls
ANTI JOIN closed_calls USING (call_id)
WHERE answered_at IS NOT NULL AND talk_end_at IS NULL AND agent IS NOT NULL
GROUP BY agent;

CREATE OR REPLACE TEMP TABLE settled_calls AS
SELECT *
FROM closed_calls c
WHERE NOT EXISTS (FROM pinned_agents p WHERE p.agent = c.agent AND c.answered_at > p.from_at);

-- What closed each call that no event ended: its agent's steps at that instant. All of them are still in the store's
-- tables. If one changes after it has settled, the call is recalled (reopened.sql).
CREATE OR REPLACE TEMP TABLE settled_ends AS
WITH inferred AS (
    SELECT call_id, agent, answered_at, ended_at, day
    FROM settled_calls
    WHERE inferred_end AND answered_at IS NOT NULL
)
SELECT i.*, e.event_id AS closed_by_event, NULL AS closed_by_call
FROM inferred i
JOIN events e ON e.agent = i.agent AND e.ts = i.ended_at AND e.type = 'agent.state' AND e.state != 'busy'
UNION ALL
SELECT i.*, NULL, c.call_id
FROM inferred i
JOIN calls c ON c.agent = i.agent AND c.answered_at = i.ended_at AND c.channel = 'voice';

-- An agent's states settle up to the one in force at settled_before. The mark is that state's first event, which stays.
-- What was recalled from before the present mark settles with them, or not at all.
CREATE OR REPLACE TEMP TABLE new_marks AS
SELECT agent, max(started_at) AS hot_from
FROM timeline t
LEFT JOIN pinned_agents p USING (agent)
LEFT JOIN agent_marks m USING (agent)
WHERE started_at < getvariable('settled_before')
    AND (m.hot_from IS NULL OR started_at >= m.hot_from)
    AND (p.from_at IS NULL OR started_at <= p.from_at)
    AND by_event
GROUP BY agent;

CREATE OR REPLACE TEMP TABLE settled_states AS
SELECT t.* EXCLUDE (limit_at, by_event), seconds_between(started_at, ended_at) AS seconds
FROM timeline t
JOIN new_marks m ON m.agent = t.agent AND t.started_at < m.hot_from;

-- The last event before a mark that names a campaign stays too: it gives the campaign of the states after it.
CREATE OR REPLACE TEMP TABLE naming_events AS
SELECT agent, max_by(event_id, (ts, event_id)) AS event_id
FROM events e
JOIN new_marks m USING (agent)
WHERE type = 'agent.state' AND campaign IS NOT NULL AND ts < hot_from
GROUP BY agent;

CREATE OR REPLACE TEMP TABLE settled_events AS
SELECT e.rowid AS place, e.event_id, e.type, e.agent, e.campaign, e.call_id, c.day AS home
FROM events e
JOIN settled_calls c USING (call_id)
UNION ALL
SELECT e.rowid, e.event_id, e.type, e.agent, e.campaign, NULL, make_timestamp(epoch_us(e.ts))::DATE
FROM events e
JOIN new_marks m ON m.agent = e.agent AND e.ts < m.hot_from
ANTI JOIN naming_events n ON n.event_id = e.event_id
WHERE e.type = 'agent.state';

CREATE OR REPLACE TEMP VIEW leaving_events AS
SELECT e.*, s.home AS day
FROM events e
JOIN settled_events s ON s.place = e.rowid;

CREATE OR REPLACE TEMP TABLE settled_letters AS
SELECT
    topic, "partition", "offset", line, received_at, reason, payload,
    make_timestamp(epoch_us(received_at))::DATE AS day
FROM dead_letters;
