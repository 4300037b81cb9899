"""Sales: the share of handled calls that ended in one, and how many an hour of agents' time.

    conversion     = sales / handled
    sales_per_hour = sales / logged_in_s * 3600

Edge cases: the latest `call.wrapped` decides whether a call sold; a sale on a call that still talks counts once its
talk has ended, so the ratio never passes 1. NULL when nothing was handled, or nobody was logged in. `sales_per_hour` is
the only figure of both bases: sales belong to the window in which their call was queued, time to that in which it was
spent.

References: docs/kpis.md, Conversion; docs/kpis.md, Sales per hour.
"""

from metrics.kpis.kpi import RATIO, Kpi, Measure, sum_of
from metrics.kpis.tallies import tally

MEASURES = (Measure("sales", tally("sold"), "calls", "handled calls that ended in a sale"),)

KPIS = (
    Kpi(
        "conversion",
        sum_of("sales"),
        sum_of("handled"),
        RATIO,
        "no call handled",
        "docs/kpis.md, Conversion",
    ),
    Kpi(
        "sales_per_hour",
        sum_of("sales"),
        sum_of("logged_in_s"),
        "sales an hour",
        "no agent logged in",
        "docs/kpis.md, Sales per hour",
        times=3600,
    ),
)
