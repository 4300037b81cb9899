"""Abandon rate: the share of callers who hung up while waiting. Short abandons are in neither side.

    abandon_rate = abandoned / (offered - short_abandoned)

Edge cases: open calls are in `offered`, so the rate of the current window starts low and grows. NULL when no call was
offered, or all were short abandons. Calls that left for a callback or voicemail are not abandoned.

References: docs/kpis.md, Abandon rate. Amazon Connect and Genesys Cloud include short abandons.
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
        by_contract=True,
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
