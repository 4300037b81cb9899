"""Answer rate: the share of offered calls that reached an agent.

    answer_rate = answered / offered

Edge cases: open calls are in `offered`, so the rate of a living window is low at first and grows; short abandons are in
it too, so it does not add up with the abandon rate to 1. NULL when no call was offered.

References: docs/kpis.md, Answer rate.
"""

from metrics.kpis.kpi import RATIO, Kpi, sum_of

KPIS = (
    Kpi("answer_rate", sum_of("answered"), sum_of("offered"), RATIO, "no call offered", "docs/kpis.md, Answer rate"),
)
