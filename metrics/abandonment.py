"""Abandon rate: the share of callers who gave up waiting, short ones left out of both sides.

    abandon_rate = abandoned / (offered - short_abandoned)

Edge cases: open calls are in `offered`, so the rate of a living window is low at first and grows; NULL when every
offered call was a short abandon, or none was offered. Calls that left for a call back or voicemail did not abandon.

References: docs/kpis.md, Abandon rate. Amazon Connect and Genesys Cloud leave short ones in.
"""

from metrics.kpi import Kpi, ratio

KPIS = (
    Kpi(
        "abandon_rate",
        ratio("abandoned", "offered - short_abandoned"),
        "ratio 0–1",
        "abandoned / (offered - short_abandoned)",
        "no call offered, or only short abandons",
        "docs/kpis.md, Abandon rate",
        ("abandoned", "offered", "short_abandoned"),
    ),
)
