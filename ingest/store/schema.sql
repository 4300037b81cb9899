-- The store: private to the consumer, one writer. The published file is made from it (publish.sql).
-- Reads: nothing.
-- Changes: IF.
-- Makes: agent_marks, alarms, alerts, archived_counts, archived_names, archived_until, calls, campaigns_before,
--     checksums, dead_letters, deleted_calls, deletions, erasures, event_type, events, expired_events, frozen, gaps,
--     identity, inferred_ends, judged_by, layout, letters_kept, letters_left_out, pending_alarms, positions,
--     recalled_events, recalled_stretches, replaced_files, segments, settled_checks, sources, states_judged_by, totals.

CREATE TABLE IF NOT EXISTS positions (
    topic        VARCHAR NOT NULL,
    "partition"  INTEGER NOT NULL,
    cluster_id   VARCHAR NOT NULL,
    topic_id     VARCHAR NOT NULL,
    next_offset  BIGINT  NOT NULL
);
COMMENT ON TABLE positions IS 'The next offset to read, written in the transaction that wrote the records before it. Another cluster_id or topic_id means another topic of the same name.';

CREATE TABLE IF NOT EXISTS identity (store_id VARCHAR NOT NULL);
COMMENT ON TABLE identity IS 'One row: the name of this store among those of a group.';

CREATE TABLE IF NOT EXISTS gaps (
    topic        VARCHAR     NOT NULL,
    topic_id     VARCHAR     NOT NULL,
    "partition"  INTEGER     NOT NULL,
    from_offset  BIGINT      NOT NULL,
    to_offset    BIGINT      NOT NULL,
    noticed_at   TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE gaps IS 'Offsets from_offset to before to_offset: Kafka deleted them before they were read. Written together with the position after them.';

CREATE TABLE IF NOT EXISTS totals (
    records             BIGINT NOT NULL,
    records_with_events BIGINT NOT NULL,
    lines               BIGINT NOT NULL,
    duplicates          BIGINT NOT NULL,
    dead_letters        BIGINT NOT NULL,
    last_event_at       TIMESTAMPTZ
);
-- for a store that was created before
ALTER TABLE totals ADD COLUMN IF NOT EXISTS records_rejected BIGINT;
ALTER TABLE totals ADD COLUMN IF NOT EXISTS left_out BIGINT;
UPDATE totals SET records_rejected = records - records_with_events, left_out = 0 WHERE records_rejected IS NULL;
COMMENT ON TABLE totals IS 'One row. lines: valid events as delivered; duplicates: those whose event_id was known (a repetition or another revision). records_rejected: records with dead letters only. left_out: of dead_letters, those that are counted and not kept.';

CREATE TABLE IF NOT EXISTS sources (source VARCHAR NOT NULL, events BIGINT NOT NULL, last_event_at TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE sources IS 'events: the events that count, with archived ones, by the source in the content that counts.';

CREATE TABLE IF NOT EXISTS dead_letters (
    topic        VARCHAR     NOT NULL,
    topic_id     VARCHAR     NOT NULL,
    "partition"  INTEGER     NOT NULL,
    "offset"     BIGINT      NOT NULL,
    line         INTEGER     NOT NULL,
    received_at  TIMESTAMPTZ NOT NULL,
    reason       VARCHAR     NOT NULL,
    payload      VARCHAR     NOT NULL
);
CREATE TABLE IF NOT EXISTS letters_left_out (source VARCHAR NOT NULL, day DATE NOT NULL, lines BIGINT NOT NULL, last_at TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE letters_left_out IS 'Rejected lines that are only counted, because there were too many (allowance.py), by source and UTC day on which they were read. source: empty where the line names none.';
CREATE TABLE IF NOT EXISTS letters_kept (topic VARCHAR NOT NULL, "partition" INTEGER NOT NULL, last_offset BIGINT NOT NULL);
COMMENT ON TABLE letters_kept IS 'After a rebuild without the old store, or from one that was older than its files: letters up to last_offset may be archived already when they are read again.';
COMMENT ON COLUMN dead_letters.received_at IS 'The record''s Kafka timestamp.';

CREATE TYPE IF NOT EXISTS event_type AS ENUM ({event_types});

-- One row per event_id: of all contents delivered with it, the one that counts, as it is kept (raw: persons.py) and with the fields
-- that folding needs from every event.
CREATE TABLE IF NOT EXISTS events (
    event_id VARCHAR     NOT NULL,
    revision BIGINT      NOT NULL,
    type     event_type  NOT NULL,
    ts       TIMESTAMPTZ NOT NULL,
    call_id  VARCHAR,
    agent    VARCHAR,
    campaign VARCHAR,
    source   VARCHAR     NOT NULL,
    state    VARCHAR,
    reason   VARCHAR,
    raw      VARCHAR     NOT NULL
);

-- Each call as its events describe it, before contracts and the clock are applied. A function of `events`.
CREATE TABLE IF NOT EXISTS calls (
    call_id            VARCHAR NOT NULL,
    linked_id          VARCHAR,
    campaign           VARCHAR,
    queue              VARCHAR,
    direction          VARCHAR,
    channel            VARCHAR,
    language           VARCHAR,
    priority           BIGINT,
    agent              VARCHAR,
    caller             VARCHAR,
    callee             VARCHAR,
    caller_key         VARCHAR,
    callee_key         VARCHAR,
    consent            VARCHAR,
    asked_for_human_at TIMESTAMPTZ,
    queued_at          TIMESTAMPTZ,
    dialed_at          TIMESTAMPTZ,
    connected_at       TIMESTAMPTZ,
    answered_by        VARCHAR,
    not_connected_at   TIMESTAMPTZ,
    answered_at        TIMESTAMPTZ,
    wait_unknown       BOOLEAN,
    abandoned          BOOLEAN,
    abandoned_at       TIMESTAMPTZ,
    left_at            TIMESTAMPTZ,
    left_reason        VARCHAR,
    ended_event_at     TIMESTAMPTZ,
    talk_end_at        TIMESTAMPTZ,
    ended_by           VARCHAR,
    transferred        BOOLEAN,
    wrapped_at         TIMESTAMPTZ,
    disposition        VARCHAR,
    sale               BOOLEAN,
    amount             DOUBLE,
    currency           VARCHAR,
    score              DOUBLE,
    missed_offers      BIGINT,
    missed_by          VARCHAR[],
    offers             STRUCT(ts TIMESTAMPTZ, agent VARCHAR, missed BOOLEAN)[],
    holds              STRUCT(ts TIMESTAMPTZ, held BOOLEAN)[]
);
ALTER TABLE calls ADD COLUMN IF NOT EXISTS missed_by VARCHAR[];  -- for a store that was created before
ALTER TABLE calls ADD COLUMN IF NOT EXISTS offers STRUCT(ts TIMESTAMPTZ, agent VARCHAR, missed BOOLEAN)[];
ALTER TABLE calls ADD COLUMN IF NOT EXISTS wait_unknown BOOLEAN;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS abandoned BOOLEAN;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS caller_key VARCHAR;
ALTER TABLE calls ADD COLUMN IF NOT EXISTS callee_key VARCHAR;
UPDATE calls SET abandoned = abandoned_at IS NOT NULL WHERE abandoned IS NULL;
COMMENT ON COLUMN calls.abandoned IS 'There is a call.abandoned. abandoned_at and left_at are NULL where the source does not know when.';
COMMENT ON COLUMN calls.wait_unknown IS 'The source does not know when the call was answered: talk is counted from answered_at, and there is no wait.';
COMMENT ON COLUMN calls.talk_end_at IS 'The earliest of call.ended and call.transferred.';
COMMENT ON COLUMN calls.offers IS 'call.rang (false) and call.missed (true) in order.';
COMMENT ON COLUMN calls.holds IS 'call.held (true) and call.resumed (false) in order.';

-- Settled rows (see settle.sql) are kept apart, so that the cost of a batch and of a publish does not depend on the
-- history: in Parquet, one folder a day, the judged rows and the events that they were made from. They are recalled when
-- another event touches them.
CREATE TABLE IF NOT EXISTS segments (relation VARCHAR NOT NULL, day DATE NOT NULL, file VARCHAR NOT NULL, rows BIGINT NOT NULL);
COMMENT ON TABLE segments IS 'The Parquet files that count, by relation (calls, agent_states, dead_letters, events) and day. An event''s day is the day of the row made from it: of its call (local), or of its state (UTC).';

CREATE TABLE IF NOT EXISTS checksums (file VARCHAR NOT NULL, crc32 UINTEGER, is_damaged BOOLEAN NOT NULL);
COMMENT ON TABLE checksums IS 'The checksum of each file of segments (checksums.py); a file that an older Vigie wrote has none until it is checked. crc32: NULL if the file could never be read.';

CREATE TABLE IF NOT EXISTS recalled_events (file VARCHAR NOT NULL, place BIGINT NOT NULL);
COMMENT ON TABLE recalled_events IS 'Rows of event files (place: row number from 0) that no longer count, because they are in `events` again.';

CREATE TABLE IF NOT EXISTS agent_marks (agent VARCHAR NOT NULL, hot_from TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE agent_marks IS 'An agent''s states before hot_from are in segments, except those of recalled_stretches; another event from before hot_from in `events` only gives the campaign or ends a call.';

CREATE TABLE IF NOT EXISTS recalled_stretches (
    agent          VARCHAR     NOT NULL,
    from_at        TIMESTAMPTZ NOT NULL,
    until_at       TIMESTAMPTZ NOT NULL,
    campaign       VARCHAR,
    names_campaign BOOLEAN     NOT NULL
);
COMMENT ON TABLE recalled_stretches IS 'Before an agent''s mark: the states from from_at to before until_at are made from events that are in `events` again. At until_at begins a settled state that stays, whatever they are (stretches.py).';
COMMENT ON COLUMN recalled_stretches.campaign IS 'The campaign of the state at until_at.';
COMMENT ON COLUMN recalled_stretches.names_campaign IS 'Whether an event at until_at is known to name that campaign.';
ALTER TABLE IF EXISTS recalled_states ADD COLUMN IF NOT EXISTS until_at TIMESTAMPTZ;  -- for a store that was created before

CREATE TABLE IF NOT EXISTS frozen (before DATE NOT NULL);
COMMENT ON TABLE frozen IS 'One row once events were deleted: settled rows of earlier days stay as they are, whatever comes, because their events are gone or about to go (retaining.py). It never moves back.';

CREATE TABLE IF NOT EXISTS campaigns_before (agent VARCHAR NOT NULL, campaign VARCHAR NOT NULL);
COMMENT ON TABLE campaigns_before IS 'The campaign that an agent''s events named last before the frozen days end: it goes on until an event names another.';

CREATE TABLE IF NOT EXISTS expired_events (source VARCHAR NOT NULL, events BIGINT NOT NULL);
COMMENT ON TABLE expired_events IS 'Of the events in totals and sources, those that were deleted because of their age.';

CREATE TABLE IF NOT EXISTS deletions (
    deleted_on DATE    NOT NULL,
    class      VARCHAR NOT NULL,
    client     VARCHAR,
    first_day  DATE    NOT NULL,
    last_day   DATE    NOT NULL,
    rows       BIGINT  NOT NULL,
    files      BIGINT  NOT NULL,
    is_told    BOOLEAN NOT NULL
);
COMMENT ON TABLE deletions IS 'What was deleted because of its age: the published relation of this name. is_told: whether the log and the audit trail have it.';

CREATE TABLE IF NOT EXISTS deleted_calls (key UBIGINT NOT NULL, deleted_on DATE NOT NULL);
COMMENT ON TABLE deleted_calls IS 'Hashes of the call_id of calls that were deleted because of their age, for a year: what comes late of one would make a call without a beginning.';

CREATE TABLE IF NOT EXISTS replaced_files (relation VARCHAR NOT NULL, file VARCHAR NOT NULL);
COMMENT ON TABLE replaced_files IS 'Parquet files whose rows are in other files now; they stay for a while for readers of an older snapshot.';

CREATE TABLE IF NOT EXISTS inferred_ends (
    call_id         VARCHAR     NOT NULL,
    agent           VARCHAR     NOT NULL,
    answered_at     TIMESTAMPTZ NOT NULL,
    ended_at        TIMESTAMPTZ NOT NULL,
    day             DATE        NOT NULL,
    closed_by_event VARCHAR,
    closed_by_call  VARCHAR
);
COMMENT ON TABLE inferred_ends IS 'Settled calls that were closed by their agent''s next step, and that step: an agent.state, or another call''s answer. One row for each step at that instant.';

CREATE TABLE IF NOT EXISTS archived_names (kind VARCHAR NOT NULL, name VARCHAR NOT NULL, events BIGINT NOT NULL);
COMMENT ON TABLE archived_names IS 'The number of archived events that name an agent or a campaign.';

CREATE TABLE IF NOT EXISTS archived_until (closed_before TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE archived_until IS 'One row: all settled rows were closed before this instant.';

CREATE TABLE IF NOT EXISTS judged_by (campaign VARCHAR NOT NULL, said VARCHAR NOT NULL);
COMMENT ON TABLE judged_by IS 'said: the zone and contract, as JSON, by which the settled calls of a campaign were judged.';

CREATE TABLE IF NOT EXISTS states_judged_by (max_state_s DOUBLE NOT NULL);
COMMENT ON TABLE states_judged_by IS 'One row: the limit that was applied to the settled states of agents.';

CREATE TABLE IF NOT EXISTS settled_checks (
    campaign   VARCHAR     NOT NULL,
    day        DATE        NOT NULL,
    offered    BIGINT      NOT NULL,
    accounted  BIGINT      NOT NULL,
    refused    BIGINT      NOT NULL,
    checked_at TIMESTAMPTZ NOT NULL
);
-- A store that was created before counts its settled days again.
ALTER TABLE settled_checks ADD COLUMN IF NOT EXISTS answered BIGINT;
ALTER TABLE settled_checks ADD COLUMN IF NOT EXISTS answered_in_threshold BIGINT;
ALTER TABLE settled_checks ADD COLUMN IF NOT EXISTS handled BIGINT;
ALTER TABLE settled_checks ADD COLUMN IF NOT EXISTS negative_times BIGINT;
DELETE FROM settled_checks WHERE answered IS NULL;
COMMENT ON TABLE settled_checks IS 'Conservation of the settled calls. A day whose segments or recalled calls changed has no rows until it is counted again.';

CREATE TABLE IF NOT EXISTS archived_counts (relation VARCHAR NOT NULL, day DATE NOT NULL, rows BIGINT NOT NULL, distinct_rows BIGINT NOT NULL);
COMMENT ON TABLE archived_counts IS 'The number of rows of a day that counted when its files were last merged, and the number of distinct keys among them: no row may be there twice.';

CREATE TABLE IF NOT EXISTS alarms (
    kind     VARCHAR     NOT NULL,
    measure  VARCHAR     NOT NULL,
    campaign VARCHAR,
    day      DATE,
    source   VARCHAR,
    counted  BIGINT      NOT NULL,
    expected BIGINT      NOT NULL,
    since    TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE alarms IS 'The alarms of the last publish (alarms.py). since: the publish that first had the alarm.';

CREATE TABLE IF NOT EXISTS pending_alarms (
    kind    VARCHAR     NOT NULL,
    subject VARCHAR     NOT NULL,
    since   TIMESTAMPTZ NOT NULL,
    rings   BOOLEAN     NOT NULL
);
COMMENT ON TABLE pending_alarms IS 'What lacks something, and since which publish. It counts in an alarm of this kind (rings) once the rest has had time to arrive (alarms.py).';

CREATE TABLE IF NOT EXISTS alerts (
    alert_id         VARCHAR     NOT NULL,
    rule             VARCHAR     NOT NULL,
    severity         VARCHAR     NOT NULL,
    figure           VARCHAR     NOT NULL,
    campaign         VARCHAR,
    client           VARCHAR,
    source           VARCHAR,
    comparison       VARCHAR     NOT NULL,
    threshold        DOUBLE      NOT NULL,
    end_threshold    DOUBLE      NOT NULL,
    usual            DOUBLE,
    value            DOUBLE      NOT NULL,
    worst            DOUBLE      NOT NULL,
    worst_at         TIMESTAMPTZ NOT NULL,
    calls            BIGINT,
    began_at         TIMESTAMPTZ NOT NULL,
    fired_at         TIMESTAMPTZ,
    ended_at         TIMESTAMPTZ,
    end_reason       VARCHAR,
    notify           VARCHAR[]   NOT NULL,
    escalate         VARCHAR[]   NOT NULL,
    escalate_after_s DOUBLE,
    repeat_after_s   DOUBLE,
    seen_at          TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE alerts IS 'The published relation of this name, and conditions that have not been true for long enough (fired_at is NULL). seen_at: when the condition was last seen to be true (alerting.py).';

CREATE TABLE IF NOT EXISTS erasures (
    kind      VARCHAR     NOT NULL,
    person    VARCHAR     NOT NULL,
    erased_at TIMESTAMPTZ NOT NULL,
    calls     BIGINT      NOT NULL,
    files     BIGINT      NOT NULL
);
COMMENT ON TABLE erasures IS 'Callers and agents, by hash, who were erased from this store: their calls, and the files that were written again.';

CREATE TABLE IF NOT EXISTS layout (version INTEGER NOT NULL);
COMMENT ON TABLE layout IS 'One row: the version of these tables that wrote the store. 1: before 2026-12; corrected events may be in its files twice.';
