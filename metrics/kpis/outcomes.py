"""What became of the calls that were queued in a window: one outcome each, and nothing lost between them.

    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open

`refused` (closed, full, no agents) is counted apart; outbound calls are in none of these columns.

References: docs/kpis.md, Outcomes; docs/kpis.md, Conservation: the systems that were read do not print it.
"""

from metrics.kpis.kpi import Kpi, Measure, sum_of
from metrics.kpis.tallies import tally

PARTS = {
    "answered": "an agent and the customer were connected",
    "abandoned": "the customer hung up while waiting",
    "short_abandoned": "hung up after a wait below short_abandon_s",
    "overflowed": "left for another queue",
    "callback": "left for a promised call back",
    "voicemail": "left a message",
    "dropped": "cut off by system or timeout, or its source went silent",
    "open": "still waiting at as_of",
}

MEASURES = (
    Measure(
        "offered",
        tally("calls", "inbound AND outcome IS DISTINCT FROM 'refused'"),
        "calls",
        "inbound and call-back calls queued in the window, without the refused",
    ),
    *(
        Measure(name, tally("calls", f"inbound AND outcome = '{name}'"), "calls", f"offered calls: {what}")
        for name, what in PARTS.items()
    ),
    Measure(
        "refused",
        tally("calls", "inbound AND outcome = 'refused'"),
        "calls",
        "calls that the queue did not take: closed, full or no agents; not offered",
    ),
    Measure(
        "open_any",
        tally("calls", "outcome = 'open'"),
        "calls",
        "open calls of any direction: while there is one, the window is not settled",
    ),
)

KPIS = (
    Kpi(
        "conserved",
        sum_of("offered"),
        sum_of(*PARTS),
        "true or false",
        "never",
        "docs/kpis.md, Conservation",
        is_equation=True,
    ),
)
