"""Conservation, checked at every publish: no call is lost, counted twice, or without an outcome that the KPIs know."""

import datetime as dt
import logging
from pathlib import Path

from ingest.store import Store
from metrics.outcomes import PARTS

log = logging.getLogger(__name__)

SHOWN_DAYS = 35  # settled days older than this are published only when they are violated
INBOUND = "direction IS DISTINCT FROM 'outbound'"
#: Offered as the KPIs have it; accounted for is what stands in a day, under an outcome that they know.
COUNTED = f"""campaign, day,
        count(*) FILTER ({INBOUND} AND outcome IS DISTINCT FROM 'refused') AS offered,
        count(*) FILTER ({INBOUND} AND outcome IN {tuple(PARTS)} AND day IS NOT NULL) AS accounted,
        count(*) FILTER ({INBOUND} AND outcome = 'refused') AS refused"""
CHECK = (Path(__file__).parent / "conservation.sql").read_text().format(counted=COUNTED, shown_days=SHOWN_DAYS)


class Conservation:
    """Checks what `store` is about to publish; tells the log once of what starts to fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failing: set[tuple[str, dt.date | None]] = set()

    def count_settled(self) -> None:
        """Count the settled calls of the days of which some settled, or were recalled."""
        sql = self._store.connection.execute
        for (day,) in sql(
            "SELECT DISTINCT day FROM segments"
            " WHERE relation = 'calls' AND day NOT IN (SELECT day FROM settled_checks) ORDER BY day"
        ).fetchall():
            sql(
                f"INSERT INTO settled_checks BY NAME SELECT {COUNTED}, getvariable('published_at') AS checked_at"
                f" FROM ({self._store.segments.rows('calls', [day])}) GROUP BY campaign, day"
            )

    def check(self) -> None:
        """Make the table `conservation_checks` of what judge.sql left and what is settled."""
        sql = self._store.connection.execute
        sql(CHECK)
        failing = sql(
            "SELECT campaign, day, offered, accounted FROM conservation_checks WHERE NOT conserved"
        ).fetchall()
        for campaign, day, offered, accounted in failing:
            if (campaign, day) not in self._failing:
                log.error(
                    "calls of %s are not conserved on %s: %d offered, %d accounted for",
                    *(campaign, day or "no day", offered, accounted),
                )
        self._failing = {(campaign, day) for campaign, day, _, _ in failing}
