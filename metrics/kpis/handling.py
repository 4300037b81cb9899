"""Handling: the time that an agent spends on a call, and its three parts. All share one denominator, so they add up.

    aht_s = (talk_s + hold_s + wrap_s) / handled = avg_talk_s + avg_hold_s + avg_wrap_s
    handled = answered calls, inbound and outbound, whose talk has ended

Edge cases: while talk lasts, a call is answered but not handled. A call without a reported wrap-up has 0 s of it. NULL
when no call was handled. `transfer_rate` counts calls whose talk with this agent ended by a transfer.

References: docs/kpis.md, Average handling time. Genesys Cloud divides each part by a different count, so its parts do
not add up to its AHT.
"""

from metrics.kpis.kpi import RATIO, SECONDS, Kpi, Measure, Printed, Sum, Tally, sum_of
from metrics.kpis.tallies import HANDLED, added, millionths

MEASURES = (
    Measure(
        "handled",
        added(Tally("handled_calls", "count(*)", HANDLED)),
        "calls",
        "answered calls of any direction whose talk has ended",
        by_agent=True,
    ),
    Measure(
        "transferred",
        added(Tally("transfers", "count(*)", f"{HANDLED} AND transferred")),
        "calls",
        "handled calls whose talk ended by a transfer",
        by_agent=True,
    ),
    *(
        Measure(part, added(Tally(tally, millionths(part), HANDLED)), "s", meaning, by_agent=True)
        for part, tally, meaning in (
            ("talk_s", "talked", "talk time of handled calls, without hold"),
            ("hold_s", "held", "hold time of handled calls"),
            ("wrap_s", "wrapped", "wrap-up time of handled calls"),
        )
    ),
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
