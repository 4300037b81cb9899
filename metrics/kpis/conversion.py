"""Sales: the share of handled calls that ended in a sale, and sales per hour of agents' time.

    conversion     = sales / handled
    sales_per_hour = sales / logged_in_s * 3600

Edge cases: the latest `call.wrapped` decides whether a call was a sale. If a sale is reported during talk, it counts
once talk has ended, so the ratio never exceeds 1. NULL when no call was handled, or nobody was logged in.
`sales_per_hour` is the only figure that mixes cohort and accrual: sales belong to the window in which their call was
queued, time to the window in which it was spent.

References: docs/kpis.md, Conversion; docs/kpis.md, Sales per hour.
"""

from metrics.kpis.kpi import RATIO, Kpi, Measure, Tally, sum_of
from metrics.kpis.tallies import HANDLED, added

MEASURES = (
    Measure(
        "sales",
        added(Tally("sold", "count(*)", f"{HANDLED} AND sale")),
        "calls",
        "handled calls that ended in a sale",
        by_agent=True,
    ),
)

KPIS = (
    Kpi(
        "conversion",
        sum_of("sales"),
        sum_of("handled"),
        RATIO,
        "no call handled",
        "docs/kpis.md, Conversion",
    ),
)

SALES_PER_HOUR = Kpi(
    "sales_per_hour",
    sum_of("sales"),
    sum_of("logged_in_s"),
    "sales per hour",
    "no agent logged in",
    "docs/kpis.md, Sales per hour",
    times=3600,
)
