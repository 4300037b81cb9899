"""Satisfaction: customers' answers to the survey after a call, from 1 to 5.

    avg_score    = score_points / rated     the mean of the scores
    satisfaction = satisfied / rated        the share of scores of 4 or better, known as CSAT

Edge cases: only rated calls count, of any direction. If a call has several ratings, the latest counts. Fractions are
allowed: 4.5 is satisfied, 3.9 is not. NULL when no call was rated.

References: docs/kpis.md, Satisfaction.
"""

from metrics.kpis.kpi import RATIO, Kpi, Measure, Tally, sum_of
from metrics.kpis.tallies import added, millionths

MEASURES = (
    Measure(
        "rated",
        added(Tally("rated_calls", "count(*)", "score IS NOT NULL")),
        "calls",
        "calls that the customer rated",
        by_agent=True,
    ),
    Measure(
        "satisfied",
        added(Tally("satisfied_calls", "count(*)", "score >= 4")),
        "calls",
        "calls that the customer rated 4 or better",
        by_agent=True,
    ),
    Measure(
        "score_points",
        added(Tally("scores", millionths("score"), "score IS NOT NULL")),
        "points, not whole",
        "sum of the scores of rated calls",
        by_agent=True,
    ),
)

_RATED = sum_of("rated")

KPIS = (
    Kpi("avg_score", sum_of("score_points"), _RATED, "points 1–5", "no call rated", "docs/kpis.md, Satisfaction"),
    Kpi("satisfaction", sum_of("satisfied"), _RATED, RATIO, "no call rated", "docs/kpis.md, Satisfaction"),
)
