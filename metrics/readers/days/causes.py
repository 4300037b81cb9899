"""Why an interval missed its target: what was unlike the usual day. See docs/kpis.md, Agents by interval."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from metrics.readers.campaigns import Interval, Kpis
from metrics.readers.days.history import Comparison

FACTOR = 1.15
"""Something that differs from the usual by less than this factor is no cause."""
LEAST_CALLS = 5
"""With fewer calls offered than this, an interval is not explained."""


Kind = Literal["calls", "agents", "handling"]


@dataclass(frozen=True, slots=True)
class Cause:
    """More calls, fewer agents on the phones, or longer calls [s] than usual."""

    kind: Kind
    own: float
    usual: float


def causes(interval: Interval, usual: Comparison, as_of: datetime) -> tuple[Cause, ...] | None:
    """Return why an interval missed its target, the largest difference first; empty: nothing was unlike the usual.

    None: the interval is not over, was not below its target, has fewer than LEAST_CALLS calls, or nothing usual is
    known. A figure that the viewer may not see is no cause.
    """
    own, added = interval.kpis, usual.usual_at(interval.start)
    if own is None or added is None or interval.end > as_of or own.offered < LEAST_CALLS:
        return None
    if own.service_level is None or own.target is None or own.service_level >= own.target:
        return None
    compared: tuple[tuple[Kind, float | None, float | None, int], ...] = (
        ("calls", own.offered, added.mean("offered"), 1),
        ("agents", _at_the_phone(own), _mean(_at_the_phone(added.kpis), added.intervals), -1),
        ("handling", own.aht_s, added.kpis.aht_s, 1),
    )
    found: list[tuple[float, Cause]] = []
    for kind, value, normal, sign in compared:
        if value is not None and normal:
            excess = sign * math.log(value / normal) if value else -sign * math.inf
            if excess >= math.log(FACTOR):
                found.append((excess, Cause(kind, value, normal)))
    return tuple(cause for _excess, cause in sorted(found, key=lambda of: -of[0]))


def _at_the_phone(kpis: Kpis) -> float | None:
    if kpis.agents_logged_in is None or kpis.agents_paused is None:
        return None
    return kpis.agents_logged_in - kpis.agents_paused


def _mean(total: float | None, intervals: int) -> float | None:
    return None if total is None else total / intervals
