"""Outbound: the results of the dialer's attempts. These calls are in no inbound column.

    contact_rate = contacts / dialed                 contacts: a human picked up
    drop_rate    = drops / (answered + drops)        answered: outbound calls that reached an agent

Edge cases: if the source does not say who picked up (a dialer without machine detection), the pick-up counts as human.
A drop is a contact that ended before an agent answered, whether the person hung up or was cut off. A contact still
waiting for an agent is neither. NULL when nothing was dialled, or when no call reached an agent and none was dropped.

References: docs/kpis.md, Contact rate; docs/kpis.md, Drop rate (Ofcom's 3 % is a habit of contracts, not a legal limit
since 2017).
"""

from metrics.kpis.kpi import RATIO, Kpi, Measure, Tally, sum_of
from metrics.kpis.tallies import CALLS, added

_CONNECTED = "connected_at IS NOT NULL"
_PICKED_UP = Tally("picked_up", "count(*)", _CONNECTED)
_PEOPLE = Tally("people", "count(*)", f"{_CONNECTED} AND answered_by IS DISTINCT FROM 'machine'")

MEASURES = (
    Measure("dialed", added(CALLS, "NOT inbound"), "calls", "outbound attempts"),
    Measure(
        "connected",
        added(_PICKED_UP, "NOT inbound"),
        "calls",
        "outbound attempts that were picked up, by a human or a machine",
    ),
    Measure("contacts", added(_PEOPLE, "NOT inbound"), "calls", "outbound attempts that a human picked up"),
    Measure(
        "outbound_answered",
        added(CALLS, "NOT inbound AND outcome = 'answered'"),
        "calls",
        "outbound calls that reached an agent",
        by_agent=True,
    ),
    Measure(
        "drops",
        added(_PEOPLE, "NOT inbound AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused')"),
        "calls",
        "contacts that hung up or were cut off before an agent answered",
    ),
)

KPIS = (
    Kpi(
        "contact_rate",
        sum_of("contacts"),
        sum_of("dialed"),
        RATIO,
        "nothing dialled",
        "docs/kpis.md, Contact rate",
    ),
    Kpi(
        "drop_rate",
        sum_of("drops"),
        sum_of("outbound_answered", "drops"),
        RATIO,
        "no outbound call answered or dropped",
        "docs/kpis.md, Drop rate",
    ),
)
