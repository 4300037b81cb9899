"""Calls and agents' timelines, judged at an instant. They are kept between publishes; what may differ is rejudged."""

import datetime as dt

from ingest import statements
from ingest.store.store import Store
from metrics.published.relations import COLUMNS

JUDGED = statements.read("judging/judged.sql")
JUDGE = statements.read("judging/judge.sql")
CALL_COLUMNS = ", ".join(f'"{column}" {kind}' for column, (kind, _) in COLUMNS["calls"].items())
NOTHING_JUDGED = f"""
CREATE OR REPLACE TEMP TABLE steady_calls ({CALL_COLUMNS});
CREATE OR REPLACE TEMP TABLE just_judged_calls ({CALL_COLUMNS}, moves BOOLEAN);
"""
TO_JUDGE = """
CREATE OR REPLACE TEMP TABLE calls_to_judge AS
SELECT call_id FROM dirty_calls UNION SELECT call_id FROM just_judged_calls WHERE moves
"""
CHANGED_PROFILES = """
CREATE OR REPLACE TEMP TABLE changed_profiles AS
SELECT agent FROM dirty_agents WHERE has_profile
UNION
SELECT agent FROM profiles WHERE next_at <= getvariable('as_of')
"""
PROFILES = """
DELETE FROM profiles WHERE agent IN (FROM changed_profiles);
INSERT INTO profiles BY NAME
SELECT
    agent,
    arg_max(profile.name, stated_at) FILTER (ts <= getvariable('as_of')) AS name,
    arg_max(profile.team, stated_at) FILTER (ts <= getvariable('as_of')) AS team,
    arg_max(profile.site, stated_at) FILTER (ts <= getvariable('as_of')) AS site,
    arg_max(profile.languages, stated_at) FILTER (ts <= getvariable('as_of')) AS languages,
    min(ts) FILTER (ts > getvariable('as_of')) AS next_at
FROM (
    SELECT
        agent,
        ts,
        struct_pack(ts := ts, id := event_id) AS stated_at,
        from_json(raw, '{"name": "VARCHAR", "team": "VARCHAR", "site": "VARCHAR", "languages": ["VARCHAR"]}') AS profile
    FROM events
    SEMI JOIN changed_profiles USING (agent)
    WHERE type = 'agent.profile'
)
GROUP BY agent;
"""
NOTHING_CHANGED = """
CREATE OR REPLACE TEMP TABLE dirty_calls AS FROM dirty_calls LIMIT 0;
CREATE OR REPLACE TEMP TABLE dirty_agents AS FROM dirty_agents LIMIT 0;
"""
EVERYTHING_CHANGED = (
    NOTHING_JUDGED
    + """
DELETE FROM timeline;
DELETE FROM profiles;
CREATE OR REPLACE TEMP TABLE dirty_calls AS SELECT call_id FROM calls;
CREATE OR REPLACE TEMP TABLE dirty_agents AS
SELECT agent, TIMESTAMPTZ '-infinity' AS ts, bool_or(type = 'agent.profile') AS has_profile
FROM events
WHERE type IN ('agent.state', 'agent.profile')
GROUP BY agent;
"""
)


class Judging:
    """Keeps the relations judged_calls and timeline beside the tables of `store`.

    Each batch notes its changes in dirty_calls and dirty_agents. Call `begin`, then fill the tables of the
    configuration for the calls in calls_to_judge, then call `finish`. If one of these fails, the next time everything
    is judged.
    """

    def __init__(self, store: Store) -> None:
        self._sql = store.sql
        self._sql(NOTHING_JUDGED + JUDGED)
        self._judged_at: dt.datetime | None = None

    def forget(self) -> None:
        """Judge everything next time: the rules have changed, or an error may have left something half done."""
        self._judged_at = None

    def starts_over(self, as_of: dt.datetime) -> bool:
        """Whether judging at `as_of` judges everything: at the start, after `forget`, and if the clock went back."""
        return self._judged_at is None or as_of < self._judged_at

    def begin(self, as_of: dt.datetime) -> None:
        """Write the calls to judge at `as_of` to calls_to_judge."""
        self._sql("SET VARIABLE as_of = $as_of", {"as_of": as_of})
        if self.starts_over(as_of):
            self._sql(EVERYTHING_CHANGED)
        self._judged_at = None
        self._sql(TO_JUDGE)

    def finish(self, as_of: dt.datetime) -> None:
        """Judge the calls that `begin` listed, and the agents that changed."""
        self._sql(JUDGE)
        self._sql(CHANGED_PROFILES)
        if self._sql("FROM changed_profiles LIMIT 1").fetchone():
            self._sql(PROFILES)
        self._sql(NOTHING_CHANGED)
        self._judged_at = as_of
