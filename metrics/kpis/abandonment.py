"""Abandon rate: the share of callers who gave up waiting, short ones left out of both sides.

    abandon_rate = abandoned / (offered - short_abandoned)

Edge cases: open calls are in `offered`, so the rate of a living window is low at first and grows; NULL when every
offered call was a short abandon, or none was offered. Calls that left for a call back or voicemail did not abandon.

References: docs/kpis.md, Abandon rate. Amazon Connect and Genesys Cloud leave short ones in.
"""

from metrics.kpis.kpi import RATIO, Kpi, Printed, sum_of

_ALL_ABANDONED = sum_of("abandoned", "short_abandoned")

KPIS = (
    Kpi(
        "abandon_rate",
        sum_of("abandoned"),
        sum_of("offered", less=("short_abandoned",)),
        RATIO,
        "no call offered, or only short abandons",
        "docs/kpis.md, Abandon rate",
        elsewhere=(
            Printed(
                "Amazon Connect",
                _ALL_ABANDONED,
                sum_of("offered", less=("open",)),
                "abandoned, short ones too / queued; open calls absent",
            ),
            Printed("Genesys Cloud", _ALL_ABANDONED, sum_of("offered"), "abandoned, short ones too / offered"),
            Printed(
                "Cisco",
                sum_of("abandoned"),
                sum_of("offered", less=("short_abandoned",)),
                "abandons before the short-calls timer do not count",
            ),
        ),
    ),
)
