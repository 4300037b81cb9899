"""Handling: how long a call keeps an agent, and its three parts, which share one denominator so that they add up.

    aht_s = (talk_s + hold_s + wrap_s) / handled = avg_talk_s + avg_hold_s + avg_wrap_s
    handled = answered calls, inbound and outbound, whose talk has ended

Edge cases: a call still talking is answered but not handled; no wrap-up reported counts as 0 s; NULL when nothing
was handled. `transfer_rate` counts a call of which this agent's part ended by a transfer.

References: docs/kpis.md, Average handling time. Genesys Cloud divides each part by another count, so that its parts
do not add up to its AHT.
"""

from metrics.kpis.kpi import RATIO, SECONDS, Kpi, Measure, Printed, Sum, sum_of
from metrics.kpis.tallies import tally

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


_PARTS = sum_of("talk_s", "hold_s", "wrap_s")
_HANDLED = sum_of("handled")


def _mean(name: str, parts: Sum, elsewhere: tuple[Printed, ...] = ()) -> Kpi:
    source = "docs/kpis.md, Average handling time"
    return Kpi(name, parts, _HANDLED, SECONDS, "no call handled", source, elsewhere=elsewhere)


KPIS = (
    _mean(
        "aht_s",
        _PARTS,
        (
            Printed(
                "Amazon Connect",
                _PARTS,
                _HANDLED,
                "(talk + hold + after-call work) / handled, in the interval where a call ends",
            ),
            Printed(
                "Genesys Cloud",
                _PARTS,
                _HANDLED,
                "(talk + hold + ACW + dialling) / handled; its parts have denominators of their own",
            ),
        ),
    ),
    _mean("avg_talk_s", sum_of("talk_s")),
    _mean("avg_hold_s", sum_of("hold_s")),
    _mean("avg_wrap_s", sum_of("wrap_s")),
    Kpi(
        "transfer_rate",
        sum_of("transferred"),
        _HANDLED,
        RATIO,
        "no call handled",
        "docs/kpis.md, Transfer rate",
    ),
)
