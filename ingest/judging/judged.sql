-- What judging keeps in memory while the store is open: its macros, and the rows judged so far.
-- Reads: just_judged_calls, steady_calls.
-- Makes: judged_calls, moving_calls, profiles, timeline, later(), seconds_between().

-- Timestamps are calculated in microseconds: arithmetic on TIMESTAMPTZ uses a calendar, which is 20 times slower.
CREATE OR REPLACE TEMP MACRO later(instant, seconds) AS make_timestamptz(epoch_us(instant) + (seconds * 1e6)::BIGINT);
CREATE OR REPLACE TEMP MACRO seconds_between(start, stop) AS  -- never below 0, NULL while either is unknown
    CASE WHEN stop < start THEN 0.0 ELSE (epoch_us(stop) - epoch_us(start)) / 1e6 END;

-- The rows of just_judged_calls join steady_calls only when the next calls are judged: most of them have settled by then.
CREATE OR REPLACE TEMP VIEW judged_calls AS
SELECT * EXCLUDE (moves) FROM steady_calls UNION ALL BY NAME SELECT * EXCLUDE (moves) FROM just_judged_calls;
CREATE OR REPLACE TEMP VIEW moving_calls AS
FROM steady_calls WHERE moves UNION ALL BY NAME FROM just_judged_calls WHERE moves;

CREATE OR REPLACE TEMP TABLE timeline (
    agent      VARCHAR,
    state      VARCHAR,
    reason     VARCHAR,
    campaign   VARCHAR,
    started_at TIMESTAMPTZ,
    ended_at   TIMESTAMPTZ,
    day        DATE,
    limit_at   TIMESTAMPTZ,
    by_event   BOOLEAN
);
COMMENT ON COLUMN timeline.limit_at IS 'A state that lasts until then is a lost logout.';
COMMENT ON COLUMN timeline.by_event IS 'False: the agent is offline because the state before lasted too long.';

CREATE OR REPLACE TEMP TABLE profiles (
    agent     VARCHAR,
    name      VARCHAR,
    team      VARCHAR,
    site      VARCHAR,
    languages VARCHAR[],
    next_at   TIMESTAMPTZ
);
COMMENT ON COLUMN profiles.next_at IS 'A profile that begins later than what was judged.';
