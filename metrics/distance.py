"""How far a window is from its contract's target, in calls.

A term of the contract asks that of the N calls that it judges at least p N are in time (H). Over a window whose terms
changed, what the terms ask is added: the window is on target when the sum of H reaches the sum of p N. So no term
judges another's calls, and with one term it is H / N >= p as ever. With S = sum(H) - sum(p N):

    on target:  late calls to come until it misses     floor(S / p) + 1        p of the term in force
                calls in time that could be late       floor(S)
    below:      calls in time to come until it holds   ceil(-S / (1 - p))
                late calls that were one too many      ceil(-S)

A call to come counts, in time or late, in the denominator of all five formulas: an answered one.

References: docs/kpis.md, The contract of a campaign. All is counted in fractions: 0.8 is four fifths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Judged:
    """Calls judged by one term: `hits` of `base` in time, `target` [ratio 0–1] asked for."""

    hits: int
    base: int
    target: float


@dataclass(frozen=True, slots=True)
class Distance:
    """Calls between a window and its target; of the counts on the other side of the target all are None.

    `until_missed`: so many more late calls and it misses; None also when no number of them does (a target of 0).
    `could_be_late`: so many of the calls in time could have been late.
    `until_reached`: so many more calls in time and it holds; None also when no number of them does (a target of 100 %).
    `too_late`: had so many of the late calls been in time, it had held.
    """

    is_met: bool
    until_missed: int | None = None
    could_be_late: int | None = None
    until_reached: int | None = None
    too_late: int | None = None


def target(terms: Sequence[Judged]) -> float | None:
    """Return what the terms together ask for [ratio 0–1]: each as heavy as its calls; None when none counts."""
    base = sum(term.base for term in terms)
    return float(_asked(terms) / base) if base else None


def distance(terms: Sequence[Judged], next_target: float) -> Distance | None:
    """Return how far these calls are from what was asked; `next_target` judges the calls to come.

    None when no call counts yet.
    """
    if not any(term.base for term in terms):
        return None
    spare = sum(term.hits for term in terms) - _asked(terms)
    p = _exact(next_target)
    if spare >= 0:
        return Distance(True, until_missed=floor(spare / p) + 1 if p else None, could_be_late=floor(spare))
    return Distance(False, until_reached=ceil(-spare / (1 - p)) if p < 1 else None, too_late=ceil(-spare))


def _asked(terms: Sequence[Judged]) -> Fraction:
    return sum((_exact(term.target) * term.base for term in terms), Fraction())


def _exact(ratio: float) -> Fraction:
    """Return the decimal that was written: 4/5 for 0.8, not the binary number beside it."""
    return Fraction(str(ratio))
