-- Persons who were erased, in the store's tables. erasing.py says when each part runs. {old}, {new}: an agent's id, and
-- the pseudonym that it becomes. {person}: a caller's hash.
-- Reads: archived_names, calls, erasures, events.
-- Changes: agent_marks, archived_names, calls_to_fold, campaigns_before, erasures, first_states, inferred_ends,
--     recalled_states, recalled_stretches.
-- Makes: nothing.

-- name: known
SELECT person FROM erasures;

-- name: note
INSERT INTO erasures VALUES (?, ?, ?, ?, ?);

-- name: agents
SELECT name FROM archived_names WHERE kind = 'agent'
UNION
SELECT agent FROM events WHERE agent IS NOT NULL;

-- name: fold_calls_of_caller
INSERT INTO calls_to_fold SELECT call_id FROM calls WHERE caller_key = {person} OR callee_key = {person};

-- name: fold_calls_of_agent
INSERT INTO calls_to_fold
SELECT call_id
FROM calls
WHERE agent = {old}
    OR list_contains(missed_by, {old})
    OR list_contains(list_transform(offers, lambda o: o.agent), {old});

-- name: rename
UPDATE agent_marks SET agent = {new} WHERE agent = {old};
UPDATE recalled_stretches SET agent = {new} WHERE agent = {old};
UPDATE recalled_states SET agent = {new} WHERE agent = {old};
UPDATE first_states SET agent = {new} WHERE agent = {old};
UPDATE inferred_ends SET agent = {new} WHERE agent = {old};
UPDATE campaigns_before SET agent = {new} WHERE agent = {old};
UPDATE archived_names SET name = {new} WHERE kind = 'agent' AND name = {old};
