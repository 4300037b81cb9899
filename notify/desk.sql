-- The desk: what people said about alerts, and which messages left. Made once; times are seconds since 1970.
-- Who works on an alert. Only what a manager says stops messages.
CREATE TABLE acknowledgements (
    alert_id TEXT NOT NULL,
    who TEXT NOT NULL,
    role TEXT NOT NULL,  -- of who: manager, client or analyst
    at REAL NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (alert_id, role)
) STRICT;

CREATE TABLE silences (
    silence_id INTEGER PRIMARY KEY,
    rule TEXT,  -- NULL: every rule
    campaign TEXT,  -- NULL: every campaign, and what is about none
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    from_at REAL NOT NULL,
    until_at REAL NOT NULL  -- moved to the present when somebody ends it
) STRICT;

-- Who did what, in order. Nothing changes or removes a row.
CREATE TABLE audit (
    entry INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('acknowledge', 'silence', 'end_silence')),
    alert_id TEXT,
    silence_id INTEGER,
    rule TEXT,
    campaign TEXT,
    until_at REAL,
    why TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_keeps_its_rows BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER audit_loses_no_rows BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

-- Alerts of one cause that are told together: one rule, fired within a few seconds.
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    opened_at REAL NOT NULL,
    told_at REAL NOT NULL,  -- the latest message that says that it fires
    repeats INTEGER NOT NULL DEFAULT 0,
    escalated_at REAL,
    closed_at REAL
) STRICT;

-- When notify first ran here. Nobody is told about what had ended by then.
CREATE TABLE first_run (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at REAL NOT NULL
) STRICT;

-- Alerts that need no opening message any more; incident_id NULL: nobody is told about them.
CREATE TABLE told_alerts (
    alert_id TEXT PRIMARY KEY,
    incident_id TEXT REFERENCES incidents,
    alert TEXT NOT NULL,  -- JSON, as it was when it was told
    noted_at REAL NOT NULL
) STRICT;

CREATE INDEX told_alerts_of_incident ON told_alerts (incident_id);

-- The outbox: a row is written before its message leaves, and marked after. A killed sender sends it again.
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,  -- the group and the place of the address in it, such as floor/1
    incident_id TEXT,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    facts TEXT NOT NULL,  -- JSON, what a webhook gets beside the text
    made_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_at REAL NOT NULL,
    sent_at REAL,
    given_up_at REAL
) STRICT;

CREATE INDEX messages_to_send ON messages (channel, next_try_at) WHERE sent_at IS NULL AND given_up_at IS NULL;

CREATE INDEX messages_of_incident ON messages (incident_id);

-- What is known of each channel since it was last used.
CREATE TABLE channels (
    channel TEXT PRIMARY KEY,
    service TEXT NOT NULL,
    sent_at REAL,
    failures INTEGER NOT NULL DEFAULT 0,  -- in a row
    failing_since REAL,
    reason TEXT  -- of the latest failure: see metrics/language/failure_words.py
) STRICT;

PRAGMA user_version = 1;
