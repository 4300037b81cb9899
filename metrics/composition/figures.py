"""All figures of `metrics.kpis`, and which columns each relation has, in which order."""

from metrics.kpis import (
    abandonment,
    agent_time,
    answering,
    conversion,
    handling,
    outbound,
    outcomes,
    satisfaction,
    service_level,
    waiting,
)
from metrics.kpis.kpi import Kpi, Measure

# What was added to the first figures. Register a new figure at the end, after the measures that it adds: their columns
# are the last of each relation, in this order, so no column ever moves.
LATER: tuple[Measure | Kpi, ...] = (
    answering.ANSWER_RATE,
    *satisfaction.MEASURES,
    *satisfaction.KPIS,
    conversion.SALES_PER_HOUR,
    waiting.ANSWERED_WAITS,
)
_FIRST = (service_level, abandonment, waiting, handling, agent_time, conversion, outbound, outcomes)
KPIS: dict[str, Kpi] = {
    kpi.name: kpi
    for kpi in (
        *(kpi for module in _FIRST for kpi in module.KPIS),
        *(added for added in LATER if isinstance(added, Kpi)),
    )
}
CALL_MEASURES: tuple[Measure, ...] = (
    *outcomes.MEASURES,
    *service_level.MEASURES,
    *waiting.MEASURES,
    *handling.MEASURES,
    *conversion.MEASURES,
    *outbound.MEASURES,
    *(added for added in LATER if isinstance(added, Measure)),
)
MEASURES = {m.name: m for m in (*CALL_MEASURES, *agent_time.STATE_MEASURES, *agent_time.WORK_MEASURES)}
TALLIES = {tally.name: tally for measure in CALL_MEASURES if (tally := measure.total.tally)}

# the columns after the keys, in the order of docs/architecture.md, Published relations; then EXTRAS and LATER
COUNTS = (
    *("offered", "answered", "abandoned", "short_abandoned", "overflowed", "callback", "voicemail", "refused"),
    *("dropped", "open", "answered_in_threshold", "abandoned_in_threshold", "handled", "transferred", "sales"),
)
RATES = (
    *("service_level", "service_level_worst", "service_level_best", "abandon_rate", "asa_s", "longest_wait_s"),
    *("aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "occupancy", "utilisation"),
)
TIME = ("available_s", "busy_s", "wrap_up_s", "paused_s")
DIALER = ("dialed", "connected", "contacts", "drops", "contact_rate", "drop_rate")
CONTRACT = ("target", "threshold_s", "terms_changed")
EXTRAS = (
    *("open_in_threshold", "callback_in_threshold", "service_level_hits", "service_level_base", "service_level_asked"),
    "service_level_late",
    *("transfer_rate", "answered_wait_s", "talk_s", "hold_s", "wrap_s", "logged_in_s", "workload_s"),
    *("outbound_answered", "conserved"),
)
COLUMNS = (
    *(*COUNTS, *RATES, *TIME, *DIALER, "conversion", "settled", *CONTRACT, *EXTRAS),
    *(added.name for added in LATER),
)
# dashboards query days at every tick, and workload_s would be a third of that query's cost: kpi_interval has it
DAY_COLUMNS = tuple(c for c in COLUMNS if c != "workload_s")
# agents' states have no queue, and a dialer's attempts mostly have none
_OF_STATES = {measure.name for measure in agent_time.STATE_MEASURES}
QUEUE_COLUMNS = tuple(
    c for c in COLUMNS if c not in (*_OF_STATES, *DIALER) and not (c in KPIS and _OF_STATES & {*KPIS[c].inputs})
)
# a row is one term, and shows that term's own target and threshold
TERM_COLUMNS = tuple(c for c in QUEUE_COLUMNS if c not in (*CONTRACT, "workload_s"))
AGENT_COLUMNS = tuple(
    c
    for c in COLUMNS
    if c not in ("answered_wait_s", "answered_waits")  # of waits, an agent's row has the mean only
    and (KPIS[c].by_agent(MEASURES) if c in KPIS else c in MEASURES and MEASURES[c].by_agent)
)

# a row of calls_of with any of these has a call: each call is in one of them
ANY_CALL = ("offered", "refused", "dialed")
