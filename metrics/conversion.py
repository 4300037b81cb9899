"""Conversion: the share of handled calls that ended in a sale.

    conversion = sales / handled

Edge cases: the latest `call.wrapped` decides whether a call sold; a sale on a call that still talks counts once its
talk has ended, so the ratio never passes 1. NULL when nothing was handled.

References: docs/kpis.md, Conversion.
"""

from metrics.kpi import Kpi, Measure, ratio, tally

MEASURES = (Measure("sales", tally("sold"), "calls", "handled calls that ended in a sale"),)

KPIS = (
    Kpi(
        "conversion",
        ratio("sales", "handled"),
        "ratio 0–1",
        "sales / handled",
        "no call handled",
        "docs/kpis.md, Conversion",
        ("sales", "handled"),
    ),
)
