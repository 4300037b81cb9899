"""Conservation, checked at every publish: no call is lost, counted twice, or without an outcome that the KPIs know."""

from ingest import statements
from ingest.store.store import Store
from metrics.kpis.outcomes import PARTS

SHOWN_DAYS = 35  # settled days older than this are published only if they have a violation
INBOUND = "direction IS DISTINCT FROM 'outbound'"
#: `offered` is defined as in the KPIs. A call is accounted for if it has a day and an outcome that the KPIs know.
#: `answered` looks at the answer as well as at the outcome, so that an error in one of them is noticed.
DAY_COUNTS = {
    "offered": f"{INBOUND} AND outcome IS DISTINCT FROM 'refused'",
    "accounted": f"{INBOUND} AND outcome IN {tuple(PARTS)} AND day IS NOT NULL",
    "refused": f"{INBOUND} AND outcome = 'refused'",
    "answered": f"{INBOUND} AND (outcome = 'answered' OR answered_at IS NOT NULL)",
    "answered_in_threshold": f"{INBOUND} AND outcome = 'answered' AND in_threshold",
    "handled": f"{INBOUND} AND handle_s IS NOT NULL",
    "negative_times": "least(wait_s, talk_s, hold_s, wrap_s, handle_s) < 0",
}
COUNTED = "campaign, day,\n        " + ",\n        ".join(
    f"count(*) FILTER ({which}) AS {name}" for name, which in DAY_COUNTS.items()
)
#: Upper bounds of counts: another count of the same day, or 0.
BOUNDS = {"answered": "offered", "answered_in_threshold": "answered", "handled": "answered", "negative_times": "0"}
IMPOSSIBLE = " OR ".join(
    (f"least({', '.join(DAY_COUNTS)}) < 0", *(f"{count} > {bound}" for count, bound in BOUNDS.items()))
)
CHECK = statements.read("judging/conservation.sql").format(
    counted=COUNTED,
    added_up=",\n    ".join(f"coalesce(sum({name}), 0)::BIGINT AS {name}" for name in DAY_COUNTS),
    impossible=IMPOSSIBLE,
    shown_days=SHOWN_DAYS,
)


class Conservation:
    """Checks what `store` is about to publish."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count_settled(self) -> None:
        """Count the settled calls of each day on which calls have settled or were recalled."""
        sql = self._store.sql
        for (day,) in sql(
            "SELECT DISTINCT day FROM segments"
            " WHERE relation = 'calls' AND day NOT IN (SELECT day FROM settled_checks) ORDER BY day"
        ).fetchall():
            sql(
                f"INSERT INTO settled_checks BY NAME SELECT {COUNTED}, getvariable('published_at') AS checked_at"
                f" FROM ({self._store.segments.rows('calls', [day])}) GROUP BY campaign, day"
            )

    def check(self) -> None:
        """Make the table `conservation_checks` from what judge.sql made and from settled calls."""
        self._store.sql(CHECK)
