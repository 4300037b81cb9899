"""The figures that an alert rule can watch, and what a row of the relation `alerts` can say.

A figure is about each campaign, each source, or the feed. Figures of the window are those of `kpi_now`.

References: docs/alerts.md.
"""

from dataclasses import dataclass
from typing import Literal

About = Literal["campaign", "agents", "source", "feed"]

STALE_S = 30.0
"""Data older than this is old [s]: the consumer is behind, or Kafka is away. Only the feed is judged."""

SILENT_S = 300.0
"""After this long without an event of any source, the feed is silent [s]. Only the feed is judged."""

WATCHED_S = 604_800.0
"""A source that has been silent for longer is not in use any more, and not watched [s]."""

LATELY_S = 900
"""Dead letters of the last 15 minutes count as new [s]."""

KEPT_DAYS = 93
MOST_KEPT = 5_000
"""An alert stays in the relation for so long after it ended; of those that ended, only so many of the latest stay."""


@dataclass(frozen=True, slots=True)
class AlertFigure:
    """`about`: a campaign, the agents who work for it now, a source or the feed.

    `has_calls`: it is computed from calls of a window or a month, so a rule can require a least number of them.
    `has_usual`: it can be compared with the usual weekday.
    """

    about: About
    unit: str
    meaning: str
    has_calls: bool = False
    has_usual: bool = False


FIGURES = {
    "service_level": AlertFigure("campaign", "ratio 0–1", "service level of the window", True, True),
    "service_level_to_target": AlertFigure(
        "campaign", "ratio", "service level of the window minus the target: -0.1 is ten points below it", True
    ),
    "abandon_rate": AlertFigure("campaign", "ratio 0–1", "abandon rate of the window", True, True),
    "asa_s": AlertFigure("campaign", "s", "mean wait of the window's answered calls", True, True),
    "aht_s": AlertFigure("campaign", "s", "mean handling time of the window", True, True),
    "occupancy": AlertFigure("campaign", "ratio 0–1", "occupancy in the window"),
    "offered": AlertFigure("campaign", "calls", "calls offered in the window", False, True),
    "answered": AlertFigure("campaign", "calls", "calls answered in the window", False, True),
    "abandoned": AlertFigure("campaign", "calls", "calls abandoned in the window", False, True),
    "waiting": AlertFigure("campaign", "calls", "callers who wait now"),
    "longest_wait_s": AlertFigure("campaign", "s", "the longest wait of a caller who waits now; 0 while nobody waits"),
    "month_to_target": AlertFigure(
        "campaign", "ratio", "service level of the campaign's month so far minus its target", True
    ),
    "month_expected_to_target": AlertFigure(
        "campaign", "ratio", "the same at the end of the month, if the usual calls come and are answered as usual", True
    ),
    "month_best_to_target": AlertFigure(
        "campaign", "ratio", "the same if all of these are in time: below 0 the target is out of reach", True
    ),
    "agents_available": AlertFigure("agents", "agents", "agents who are available"),
    "agents_strained": AlertFigure("agents", "agents", "agents with an occupancy above occupancy_too_high"),
    "breaks_overdue": AlertFigure("agents", "agents", "agents without a break of break_s for break_within_s"),
    "pauses_too_long": AlertFigure("agents", "agents", "agents whose pause is longer than its limit"),
    "source_silent_s": AlertFigure(
        "source", "s", "time since the latest event of the source, up to as_of; after a week it is not watched"
    ),
    "feed_silent_s": AlertFigure("feed", "s", "time since the latest event of any source, up to as_of"),
    "feed_age_s": AlertFigure("feed", "s", "age of the data: from as_of to published_at"),
    "lag": AlertFigure("feed", "records", "records not yet read"),
    "new_dead_letters": AlertFigure("feed", "records", "records and lines rejected in the last 15 minutes"),
}
SEVERITIES = ("info", "warning", "critical")
END_REASONS = {
    "recovered": "the value is back at end_threshold",
    "unmeasured": "nothing is left to measure, such as in a window without calls",
    "unjudged": "for half an hour, there were too few calls to judge",
    "closed": "the campaign closed, and the rule is quiet then",
    "removed": "no rule watches it any more: there is none in the configuration, or the source was silent for a week",
}


def hides(figure: str) -> bool:
    """Whether the figure tells how people work, which a client may not see for less than a month."""
    return FIGURES[figure].about == "agents" or figure in ("aht_s", "occupancy")
