"""Calls and agents' timelines, judged at an instant. They are kept between publishes; what may differ is rejudged."""

import datetime as dt

from ingest import statements
from ingest.store.store import Store
from metrics.published.relations import COLUMNS

JUDGED = statements.read("judging/judged.sql")
JUDGE = statements.read("judging/judge.sql")
CALL_COLUMNS = ", ".join(f'"{column}" {kind}' for column, (kind, _) in COLUMNS["calls"].items())
JUDGING = statements.read_parts("judging/judging.sql")
NOTHING_JUDGED = JUDGING["nothing_judged"].format(columns=CALL_COLUMNS)


class Judging:
    """Keeps the relations judged_calls and timeline beside the tables of `store`.

    Each batch notes its changes in dirty_calls and dirty_agents. Call `begin`, then fill the tables of the
    configuration for the calls in calls_to_judge, then call `finish`. If one of these fails, the next time everything
    is judged.
    """

    def __init__(self, store: Store) -> None:
        self._sql = store.sql
        self._sql(NOTHING_JUDGED)
        self._sql(JUDGED)
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
            self._sql(NOTHING_JUDGED)
            self._sql(JUDGING["everything_changed"])
        self._judged_at = None
        self._sql(JUDGING["to_judge"])

    def finish(self, as_of: dt.datetime) -> None:
        """Judge the calls that `begin` listed, and the agents that changed."""
        self._sql(JUDGE)
        self._sql(JUDGING["note_unpublished"])
        self._sql(JUDGING["changed_profiles"])
        if self._sql(JUDGING["is_any_profile_changed"]).fetchone():
            self._sql(JUDGING["profiles"])
        self._sql(JUDGING["nothing_changed"])
        self._judged_at = as_of
