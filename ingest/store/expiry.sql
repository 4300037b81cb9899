-- What is older than [retention] says. expiry.py says when each part runs. {rows}: rows whose agents get a pseudonym.
-- Reads: dead_letters.
-- Makes: nothing.

-- name: old_letters
-- Those that have not settled.
SELECT count(*), make_timestamp(epoch_us(min(received_at)))::DATE, make_timestamp(epoch_us(max(received_at)))::DATE
FROM dead_letters
WHERE make_timestamp(epoch_us(received_at))::DATE < $before;

-- name: agents_of_agent_states
SELECT DISTINCT agent {rows} AND agent IS NOT NULL;

-- name: agents_of_calls
SELECT DISTINCT agent
FROM (
    SELECT unnest([agent] || coalesce(missed_by, []) || coalesce(list_transform(offers, lambda o: o.agent), [])) AS agent
    {rows}
)
WHERE agent IS NOT NULL;
