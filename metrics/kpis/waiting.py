"""Waiting: the average speed of answer, and the longest wait among calls that are not answered yet.

    asa_s          = total wait of answered calls / those with a known wait     wait = answered_at - queued_at
    longest_wait_s = the longest wait among open calls at as_of

Edge cases: waits of abandoned calls are in neither, nor is an answered call whose wait nobody measured. NULL, not 0,
when no call was answered or none is waiting.

References: docs/kpis.md, Average speed of answer (Amazon Connect's also includes agent whisper, which no event
reports); docs/kpis.md, Longest wait.
"""

from metrics.kpis.kpi import SECONDS, Kpi, Measure, Printed, Tally, sum_of
from metrics.kpis.tallies import added, millionths

ANSWERED_WAITS = Measure(
    "answered_waits",
    added(Tally("waits", "count(*)", "wait_s IS NOT NULL"), "inbound AND outcome = 'answered'"),
    "calls",
    "answered calls with a known wait",
    by_agent=True,
)
MEASURES = (
    Measure(
        "answered_wait_s",
        added(Tally("waited", millionths("wait_s")), "inbound AND outcome = 'answered'"),
        "s",
        "sum of the waits of answered calls",
        by_agent=True,
    ),
    Measure(
        "open_wait_s",
        added(Tally("longest", millionths("wait_s", "max"), of="max"), "inbound AND outcome = 'open'"),
        "s",
        "longest wait so far among open calls",
        zero=False,
    ),
)

KPIS = (
    Kpi(
        "asa_s",
        sum_of("answered_wait_s"),
        sum_of("answered_waits"),
        SECONDS,
        "no call answered, or no wait known",
        "docs/kpis.md, Average speed of answer",
        "mean wait of answered calls whose wait is known",
        elsewhere=(
            Printed(
                "Amazon Connect",
                sum_of("answered_wait_s"),
                sum_of("answered_waits"),
                "mean wait of answered calls, with whisper",
            ),
        ),
    ),
    Kpi(
        "longest_wait_s",
        sum_of("open_wait_s"),
        None,
        SECONDS,
        "no call open",
        "docs/kpis.md, Longest wait",
        "longest wait among open calls at as_of",
    ),
)
