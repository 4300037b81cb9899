-- The audit trail: who did what. Made once; times are seconds since 1970.

-- Nothing changes an entry. Only those up to the anchor may be deleted.
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    what TEXT NOT NULL,
    times INTEGER NOT NULL,  -- more than 1: so many refusals of one kind in an hour, the first of them `at`
    hash TEXT NOT NULL  -- of all of the above and of the hash of the entry before
) STRICT;

-- The last entry that was deleted because of its age, or entry 0: where the chain begins.
CREATE TABLE anchor (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    entry INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

INSERT INTO anchor VALUES (1, 0, '');

-- Refusals of this hour, counted. They become entries when it is over.
CREATE TABLE refusals (
    hour INTEGER NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    what TEXT NOT NULL,
    at REAL NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, who, address, what)
) STRICT;

CREATE TRIGGER entries_stay_as_they_are BEFORE UPDATE ON entries
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER entries_after_the_anchor_stay BEFORE DELETE ON entries
WHEN old.entry > (SELECT entry FROM anchor)
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER the_anchor_does_not_go_back BEFORE UPDATE ON anchor
WHEN new.entry < old.entry
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

PRAGMA user_version = 1;
