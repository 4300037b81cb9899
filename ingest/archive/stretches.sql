-- How much of agents' settled timelines a change affects, and where in the archive that is. stretches.py says when each
-- part runs. {settled}: settled states that count, of some days. {events}: archived events that count, of some days.
-- Reads: agent_marks, events, recalled_stretches.
-- Changes: agent_marks, recalled_states, recalled_stretches.
-- Makes: boundaries, earlier_marks, events_to_recall, naming_events_before, outdated_state_days, settled_changes,
--     stretches_to_recall.

-- name: list_changes
-- Of each agent what changes: from `ts` to `last_at`, which is NULL where everything after may change.
CREATE OR REPLACE TEMP TABLE settled_changes AS
SELECT
    agent,
    min(c.ts) AS ts,
    max(c.last_at) AS last_at,
    min(c.campaign) AS campaign,
    bool_or(c.campaign IS NOT NULL AND c.is_replaced) OR count(DISTINCT c.campaign) > 1 AS must_name
FROM ({changes}) c
JOIN agent_marks USING (agent)
WHERE c.ts < hot_from AND ($frozen IS NULL OR c.ts >= $frozen) AND NOT EXISTS (  -- a stretch that is recalled already may have all that changes
    FROM recalled_stretches s
    WHERE s.agent = c.agent
        AND c.ts >= s.from_at
        AND make_timestamp(epoch_us(c.last_at))::DATE < make_timestamp(epoch_us(s.until_at))::DATE
        AND (c.campaign IS NULL OR s.names_campaign OR (c.campaign = s.campaign AND NOT c.is_replaced))
)
GROUP BY agent;

-- name: days_of_changes
SELECT
    make_timestamp(epoch_us(min(ts)))::DATE, make_timestamp(epoch_us(max(ts)))::DATE,
    make_timestamp(epoch_us(min(last_at)))::DATE, make_timestamp(epoch_us(max(last_at)))::DATE
FROM settled_changes;

-- name: find_marks
-- A mark is a state that an event began, so that the stretch begins with that event. The event gives the campaign, or
-- an earlier one does.
CREATE OR REPLACE TEMP TABLE earlier_marks AS
SELECT
    c.agent,
    max(b.started_at) AS mark,
    arg_max(b.campaign IS NOT NULL AND NOT b.names_campaign, b.started_at) AS is_named_before
FROM settled_changes c
LEFT JOIN (
    SELECT r.agent, r.started_at, any_value(r.campaign) AS campaign, bool_or(e.campaign IS NOT NULL) AS names_campaign
    FROM ({settled}) r
    JOIN ({events}) e ON e.agent = r.agent AND e.ts = r.started_at AND e.type = 'agent.state'
    WHERE r.agent IN (SELECT agent FROM settled_changes)
    GROUP BY r.agent, r.started_at
) b ON b.agent = c.agent AND b.started_at <= c.ts
GROUP BY c.agent;

-- name: any_without_mark
FROM earlier_marks WHERE mark IS NULL LIMIT 1;

-- name: find_boundaries
CREATE OR REPLACE TEMP TABLE boundaries AS
WITH begun AS (
    SELECT r.agent, min(r.started_at) AS until_at, arg_min_null(r.campaign, r.started_at) AS campaign
    FROM ({settled}) r
    JOIN settled_changes c ON c.agent = r.agent AND r.day > make_timestamp(epoch_us(c.last_at))::DATE
    WHERE r.state != 'offline'
    GROUP BY r.agent, r.day
)
SELECT
    agent,
    b.until_at,
    b.campaign,
    NOT must_name AND (c.campaign IS NULL OR c.campaign IS NOT DISTINCT FROM b.campaign) AS stays,
    false AS names_campaign
FROM begun b
JOIN settled_changes c USING (agent);

-- name: unsure_days
-- The days of boundaries that have to name their campaign, where no earlier boundary stays in any case.
SELECT DISTINCT make_timestamp(epoch_us(until_at))::DATE
FROM boundaries b
LEFT JOIN (SELECT agent, min(until_at) AS first_at FROM boundaries WHERE stays GROUP BY agent) USING (agent)
WHERE first_at IS NULL OR until_at < first_at;

-- name: keep_naming_boundaries
UPDATE boundaries b SET stays = true, names_campaign = true
FROM (
    SELECT DISTINCT agent, ts FROM ({events}) SEMI JOIN settled_changes USING (agent)
    WHERE type = 'agent.state' AND campaign IS NOT NULL
) e
WHERE e.agent = b.agent AND e.ts = b.until_at;

-- name: last_day_of_boundaries
-- Where no boundary was found, one may be as late as the agent's mark.
SELECT make_timestamp(epoch_us(max(hot_from)))::DATE
FROM settled_changes
JOIN agent_marks USING (agent)
WHERE agent NOT IN (SELECT agent FROM boundaries WHERE stays);

-- name: list_stretches
CREATE OR REPLACE TEMP TABLE stretches_to_recall AS
SELECT
    agent, coalesce(mark, $frozen) AS mark, coalesce(mark, $frozen, $earliest) AS from_at,
    is_named_before, until_at, campaign, names_campaign
FROM earlier_marks
LEFT JOIN (
    SELECT agent, min(until_at) AS until_at, arg_min_null(campaign, until_at) AS campaign,
        arg_min(names_campaign, until_at) AS names_campaign
    FROM boundaries
    WHERE stays
    GROUP BY agent
) USING (agent);

-- name: days_of_stretches
-- A stretch without an end reaches up to the agent's mark.
SELECT make_timestamp(epoch_us(min(from_at)))::DATE, make_timestamp(epoch_us(max(coalesce(until_at, hot_from))))::DATE
FROM stretches_to_recall
JOIN agent_marks USING (agent);

-- name: list_outdated_state_days
-- Each event of a stretch has the day of a row that begins in it.
CREATE OR REPLACE TEMP TABLE outdated_state_days AS
SELECT DISTINCT r.agent, r.day
FROM ({settled}) r
JOIN stretches_to_recall s ON s.agent = r.agent AND r.started_at >= s.from_at
    AND (s.until_at IS NULL OR r.started_at < s.until_at);

-- name: outdated_days
SELECT DISTINCT day FROM outdated_state_days;

-- name: days_of_marks
SELECT make_timestamp(epoch_us(min(mark)))::DATE, make_timestamp(epoch_us(max(mark)))::DATE
FROM stretches_to_recall
WHERE is_named_before;

-- name: find_naming_events
-- The last event before a stretch that names the campaign of its first state is recalled with it.
CREATE OR REPLACE TEMP TABLE naming_events_before AS
SELECT a.agent, a.event_id, a.call_id, a.day AS home
FROM ({events}) a
JOIN stretches_to_recall s ON s.agent = a.agent AND s.is_named_before AND a.ts < s.mark
WHERE a.type = 'agent.state' AND a.campaign IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY a.agent ORDER BY a.ts DESC, a.event_id DESC) = 1;

-- name: count_unnamed
SELECT count(*)
FROM stretches_to_recall s
WHERE is_named_before AND agent NOT IN (SELECT agent FROM naming_events_before) AND NOT EXISTS (
    FROM events e
    WHERE e.agent = s.agent AND e.type IN ('agent.state', 'agent.profile') AND e.campaign IS NOT NULL
        AND e.ts < s.mark AND make_timestamp(epoch_us(e.ts))::DATE >= $since
);

-- name: list_events
CREATE OR REPLACE TEMP TABLE events_to_recall AS
SELECT a.event_id, a.call_id, a.day AS home
FROM ({events}) a
JOIN stretches_to_recall s ON s.agent = a.agent AND a.ts >= s.from_at AND (s.until_at IS NULL OR a.ts < s.until_at)
WHERE a.type = 'agent.state'
UNION
SELECT event_id, call_id, home FROM naming_events_before;

-- name: take_up
-- The stretches are judged from now on, and their settled rows do not count. One without an end moves the agent's mark.
DELETE FROM recalled_stretches r USING stretches_to_recall s
WHERE s.agent = r.agent AND r.from_at >= s.from_at AND (s.until_at IS NULL OR r.until_at <= s.until_at);
INSERT INTO recalled_stretches
SELECT agent, from_at, until_at, campaign, names_campaign FROM stretches_to_recall WHERE until_at IS NOT NULL;
DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM stretches_to_recall WHERE until_at IS NULL);
INSERT INTO agent_marks SELECT agent, mark FROM stretches_to_recall WHERE until_at IS NULL AND mark IS NOT NULL;
INSERT INTO recalled_states
SELECT agent, from_at, until_at FROM stretches_to_recall SEMI JOIN outdated_state_days USING (agent);

-- name: no_states
SELECT NULL::VARCHAR AS agent, NULL::VARCHAR AS state, NULL::VARCHAR AS campaign, NULL::TIMESTAMPTZ AS started_at,
    NULL::DATE AS day
LIMIT 0;

-- name: no_events
SELECT NULL::VARCHAR AS event_id, NULL::VARCHAR AS type, NULL::TIMESTAMPTZ AS ts, NULL::VARCHAR AS call_id,
    NULL::VARCHAR AS agent, NULL::VARCHAR AS campaign, NULL::DATE AS day
LIMIT 0;
