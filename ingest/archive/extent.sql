-- The extent of the settled rows: days with late answers, and the first state of each campaign. extent.py says when each
-- part runs. {calls} and {states} are rows of calls and agent_states; {late_answers} and {first_states} are those parts.
-- Reads: stretches_to_recall.
-- Makes: first_states, late_answers, recalled_first_states.

-- name: no_calls
SELECT NULL::DATE AS day, NULL::TIMESTAMPTZ AS answered_at LIMIT 0;

-- name: no_states
SELECT NULL::VARCHAR AS campaign, NULL::VARCHAR AS agent, NULL::VARCHAR AS state, NULL::TIMESTAMPTZ AS started_at LIMIT 0;

-- name: late_answers
SELECT DISTINCT day, make_timestamp(epoch_us(answered_at))::DATE AS answered_on
FROM ({calls})
WHERE answered_on - day NOT BETWEEN -1 AND 1;

-- name: first_states
SELECT campaign, arg_min(agent, started_at) AS agent, min(started_at) AS started_at
FROM ({states})
WHERE state != 'offline' AND campaign IS NOT NULL
GROUP BY campaign;

-- name: make
CREATE TABLE IF NOT EXISTS late_answers AS {late_answers};
COMMENT ON TABLE late_answers IS 'Of settled calls. Recalled calls may be among them: it only costs reading their day.';
CREATE TABLE IF NOT EXISTS first_states AS {first_states};
COMMENT ON TABLE first_states IS 'The first settled state of each campaign that is not offline.';

-- name: add_late_answers
INSERT INTO late_answers ({late_answers}) EXCEPT FROM late_answers;

-- name: add_first_states
MERGE INTO first_states
USING ({first_states}) AS s USING (campaign)
WHEN MATCHED AND s.started_at < first_states.started_at THEN UPDATE SET agent = s.agent, started_at = s.started_at
WHEN NOT MATCHED THEN INSERT;

-- name: take_recalled
CREATE OR REPLACE TEMP TABLE recalled_first_states AS
SELECT f.campaign, f.started_at
FROM first_states f
JOIN stretches_to_recall s USING (agent)
WHERE f.started_at >= s.from_at AND (s.until_at IS NULL OR f.started_at < s.until_at);
DELETE FROM first_states WHERE campaign IN (SELECT campaign FROM recalled_first_states);

-- name: first_recalled
SELECT make_timestamp(epoch_us(min(started_at)))::DATE FROM recalled_first_states;

-- name: still_sought
SELECT campaign FROM recalled_first_states EXCEPT SELECT campaign FROM first_states;

-- name: states_sought
SELECT * FROM ({states}) WHERE campaign IN (FROM ({still_sought}));

-- name: note_first_states
INSERT INTO first_states {first_states};
