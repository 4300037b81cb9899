"""Conversion: the share of handled calls that ended in a sale.

    conversion = sales / handled

Edge cases: the latest `call.wrapped` decides whether a call sold; a sale on a call that still talks counts once its
talk has ended, so the ratio never passes 1. NULL when nothing was handled.

References: docs/kpis.md, Conversion.
"""

from metrics.kpi import RATIO, Kpi, Measure, sum_of
from metrics.tallies import tally

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
)
