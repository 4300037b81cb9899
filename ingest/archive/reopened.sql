-- Settled calls that were closed by their agent's next step, and for which that has changed: the agent did something
-- else in between, or the step itself changed. A call is closed by the earliest step after its answer, so later steps
-- do not matter, nor does another step at the same instant.
-- Reads: calls, calls_to_fold, changed_states, inferred_ends, replaced_event_ids.
-- Makes: reopened_calls.

CREATE OR REPLACE TEMP TABLE reopened_calls AS
WITH answered AS (  -- calls just folded
    SELECT call_id, agent, answered_at
    FROM calls
    SEMI JOIN calls_to_fold USING (call_id)
    WHERE channel = 'voice' AND agent IS NOT NULL AND answered_at IS NOT NULL
)
SELECT i.call_id
FROM inferred_ends i
JOIN (SELECT agent, answered_at AS ts FROM answered UNION ALL FROM changed_states) step
    ON step.agent = i.agent AND step.ts > i.answered_at AND step.ts < i.ended_at
UNION
SELECT call_id
FROM inferred_ends
WHERE closed_by_event IN (SELECT event_id FROM replaced_event_ids)
UNION
SELECT i.call_id
FROM inferred_ends i
SEMI JOIN calls_to_fold t ON t.call_id = i.closed_by_call
ANTI JOIN answered a ON a.call_id = i.closed_by_call AND a.agent = i.agent AND a.answered_at = i.ended_at;
