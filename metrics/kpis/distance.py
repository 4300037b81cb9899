"""How far a window is from its contract's target, in calls.

A contract term judges N calls and requires that at least p N of them are in time; H are. If a window spans several
terms, their requirements are added: the window is on target when the sum of H reaches the sum of p N. So no term judges
another term's calls, and with one term this is the usual H / N >= p. With S = sum(H) - sum(p N):

    on target:  more late calls until it misses            floor(S / p) + 1        p of the term in force
                calls in time that could have been late    floor(S)
    below:      more calls in time until it is on target   ceil(-S / (1 - p))
                late calls too many                        ceil(-S)

The target of the window changes as calls come, unless all terms have the same target: each further call is held to the
p of its own term. If M more calls are expected in the window, M_i of them under the i-th term, then

    so many of them may be late with the window still on target    floor(S + sum((1 - p_i) M_i))

Below 0 the target is out of reach. Each further call is assumed to be answered, so that it counts in the denominator of
all five formulas, in time or late.

References: docs/kpis.md, Distance to the target. All arithmetic uses exact fractions: 0.8 is four fifths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Literal

Verdict = Literal["kept", "lost", "open"]
SAME_WEEKDAYS = 4
"""The calls to come are those that came on so many days of the same weekday before."""
KNOWN_WEEKDAYS = 2
"""With fewer known days of a weekday than this, what usually comes on it is not known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Calls judged by one term: `hits` of `base` are in time, and the term requires `target` [ratio 0–1]."""

    hits: int
    base: int
    target: float


@dataclass(frozen=True, slots=True)
class Distance:
    """How many calls a window is from its target. The counts for the other side of the target are None.

    `until_missed`: more late calls until the target is missed; also None if no number is enough (a target of 0).
    `could_be_late`: calls in time that could have been late with the target still met.
    `until_reached`: more calls in time until the target is met; also None if no number is enough (a target of 100 %).
    `too_late`: late calls that would have had to be in time to meet the target.
    `level_then`: service level [ratio 0–1] of the window after `until_missed` or `until_reached` more calls.
    """

    is_met: bool
    until_missed: int | None = None
    could_be_late: int | None = None
    until_reached: int | None = None
    too_late: int | None = None
    level_then: float | None = None


@dataclass(frozen=True, slots=True)
class ToCome:
    """Calls that usually come in the rest of a window and will be judged by one term with this `target` [ratio 0–1].

    `hits` of the `calls` are usually in time. It is a mean, so it need not be an integer.
    """

    calls: int
    hits: float
    target: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a window ends if the usual number of calls, `calls`, still comes.

    `may_be_late`: how many of them may be late with the target still met; None if it is out of reach even when all are
    in time. Service levels [ratio 0–1] at the end of the window: `best` if all of them are in time, `expected` if as
    many as usual are. `target` is the combined target of all terms at that point.
    """

    calls: int
    may_be_late: int | None
    best: float
    expected: float
    target: float

    @property
    def verdict(self) -> Verdict:
        """Whether the target is kept even if all calls to come are late, lost even if all are in time, or neither."""
        if self.may_be_late is None:
            return "lost"
        return "kept" if self.may_be_late == self.calls else "open"


def target(terms: Sequence[Judged]) -> float | None:
    """Return the combined target of the terms [ratio 0–1], weighted by their calls; None when no call counts."""
    base = sum(term.base for term in terms)
    return float(_required(terms) / base) if base else None


def distance(terms: Sequence[Judged], next_target: float) -> Distance | None:
    """Return how far these calls are from their target. Further calls are judged by `next_target` [ratio 0–1].

    None when no call counts yet.
    """
    if not any(term.base for term in terms):
        return None
    hits, base = sum(term.hits for term in terms), sum(term.base for term in terms)
    spare = hits - _required(terms)
    p = _exact(next_target)
    if spare >= 0:
        late = floor(spare / p) + 1 if p else None
        then = None if late is None else hits / (base + late)
        return Distance(True, until_missed=late, could_be_late=floor(spare), level_then=then)
    in_time = ceil(-spare / (1 - p)) if p < 1 else None
    then = None if in_time is None else (hits + in_time) / (base + in_time)
    return Distance(False, until_reached=in_time, too_late=ceil(-spare), level_then=then)


def outlook(terms: Sequence[Judged], to_come: Sequence[ToCome]) -> Outlook | None:
    """Return how a window with the calls `terms` ends after the calls `to_come`; None if there are no calls at all."""
    hits, base = sum(term.hits for term in terms), sum(term.base for term in terms)
    calls = sum(term.calls for term in to_come)
    if not base + calls:
        return None
    required = _required(terms) + _required([Judged(0, term.calls, term.target) for term in to_come])
    late = floor(hits + calls - required)
    return Outlook(
        calls=calls,
        may_be_late=None if late < 0 else min(late, calls),
        best=(hits + calls) / (base + calls),
        expected=(hits + sum(term.hits for term in to_come)) / (base + calls),
        target=float(required / (base + calls)),
    )


def _required(terms: Sequence[Judged]) -> Fraction:
    return sum((_exact(term.target) * term.base for term in terms), Fraction())


def _exact(ratio: float) -> Fraction:
    """Return the decimal as written: 4/5 for 0.8, not its nearest binary number."""
    return Fraction(str(ratio))
