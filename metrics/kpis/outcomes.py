"""Outcomes: each call queued in a window has exactly one, so no call is lost or counted twice.

    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open

`refused` (closed, full, no agents) is counted separately. Outbound calls are in none of these columns.

References: docs/kpis.md, Outcomes; docs/kpis.md, Conservation. None of the systems described there prints this
identity.
"""

from metrics.kpis.kpi import Kpi, Measure, sum_of
from metrics.kpis.tallies import CALLS, added

PARTS = {
    "answered": "an agent and the customer were connected",
    "abandoned": "the customer hung up while waiting",
    "short_abandoned": "hung up after a wait below short_abandon_s",
    "overflowed": "moved to another queue",
    "callback": "left the queue for a promised callback",
    "voicemail": "left the queue for voicemail",
    "dropped": "removed by the system or a timeout, or its source went silent",
    "open": "still waiting at as_of",
}

MEASURES = (
    Measure(
        "offered",
        added(CALLS, "inbound AND outcome IS DISTINCT FROM 'refused'"),
        "calls",
        "inbound and callback calls queued in the window, except refused ones",
    ),
    *(
        Measure(
            name,
            added(CALLS, f"inbound AND outcome = '{name}'"),
            "calls",
            f"offered calls: {meaning}",
            by_agent=name == "answered",
        )
        for name, meaning in PARTS.items()
    ),
    Measure(
        "refused",
        added(CALLS, "inbound AND outcome = 'refused'"),
        "calls",
        "calls that the queue did not take (closed, full or no agents); not in offered",
    ),
    Measure(
        "open_any",
        added(CALLS, "outcome = 'open'"),
        "calls",
        "open calls of any direction; a window with an open call is not settled",
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
