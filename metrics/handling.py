"""Handling: how long a call keeps an agent, and its three parts, which share one denominator so that they add up.

    aht_s = (talk_s + hold_s + wrap_s) / handled = avg_talk_s + avg_hold_s + avg_wrap_s
    handled = answered calls, inbound and outbound, whose talk has ended

Edge cases: a call still talking is answered but not handled; no wrap-up reported counts as 0 s; NULL when nothing
was handled. `transfer_rate` counts a call of which this agent's part ended by a transfer.

References: docs/kpis.md, Average handling time. Genesys Cloud divides each part by another count, so that its parts
do not add up to its AHT.
"""

from metrics.kpi import Kpi, Measure, ratio, tally

MEASURES = (
    Measure("handled", tally("handled_calls"), "calls", "answered, any direction, and talk has ended"),
    Measure(
        "transferred",
        tally("transfers"),
        "calls",
        "handled calls whose talk ended by a transfer",
    ),
    Measure("talk_s", tally("talked"), "s", "talk of handled calls, without hold"),
    Measure("hold_s", tally("held"), "s", "hold of handled calls"),
    Measure("wrap_s", tally("wrapped"), "s", "wrap-up of handled calls"),
)


def _mean(name: str, parts: str, formula: str) -> Kpi:
    inputs = (*parts.split(" + "), "handled")
    return Kpi(
        name, ratio(parts, "handled"), "s", formula, "no call handled", "docs/kpis.md, Average handling time", inputs
    )


KPIS = (
    _mean("aht_s", "talk_s + hold_s + wrap_s", "(talk + hold + wrap) / handled"),
    _mean("avg_talk_s", "talk_s", "talk / handled"),
    _mean("avg_hold_s", "hold_s", "hold / handled"),
    _mean("avg_wrap_s", "wrap_s", "wrap / handled"),
    Kpi(
        "transfer_rate",
        ratio("transferred", "handled"),
        "ratio 0–1",
        "transferred / handled",
        "no call handled",
        "docs/kpis.md, Transfer rate",
        ("transferred", "handled"),
    ),
)
