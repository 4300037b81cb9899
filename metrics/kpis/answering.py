"""Answer rate: the share of offered calls that reached an agent.

    answer_rate = answered / offered

Edge cases: open calls are in `offered`, so the rate of the current window starts low and grows. Short abandons are in
`offered` too, so answer rate and abandon rate do not add up to 1. NULL when no call was offered.

References: docs/kpis.md, Answer rate.
"""

from metrics.kpis.kpi import RATIO, Kpi, sum_of

ANSWER_RATE = Kpi(
    "answer_rate", sum_of("answered"), sum_of("offered"), RATIO, "no call offered", "docs/kpis.md, Answer rate"
)
