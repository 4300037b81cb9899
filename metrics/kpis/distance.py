"""How far a window is from its contract's target, in calls.

A term of the contract asks that of the N calls that it judges at least p N are in time (H). Over a window whose terms
changed, what the terms ask is added: the window is on target when the sum of H reaches the sum of p N. So no term
judges another's calls, and with one term it is H / N >= p as ever. With S = sum(H) - sum(p N):

    on target:  late calls to come until it misses     floor(S / p) + 1        p of the term in force
                calls in time that could be late       floor(S)
    below:      calls in time to come until it holds   ceil(-S / (1 - p))
                late calls that were one too many      ceil(-S)

What is asked for moves as calls come, unless all terms have the same target: a call to come is asked for p of its own
term. When M calls are usual for the rest of the window, M_i of them under the i-th term,

    of them may be late, and the window ends on target    floor(S + sum((1 - p_i) M_i))

and below 0 it is out of reach. A call to come counts, in time or late, in the denominator of all five formulas: an
answered one.

References: docs/kpis.md, Distance to the target. All is counted in fractions: 0.8 is four fifths.
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
    `level_then`: the level [ratio 0–1] of the window after `until_missed` or `until_reached` calls.
    """

    is_met: bool
    until_missed: int | None = None
    could_be_late: int | None = None
    until_reached: int | None = None
    too_late: int | None = None
    level_then: float | None = None


@dataclass(frozen=True, slots=True)
class ToCome:
    """Calls that are usual for the rest of a window and will be judged by one term, of `target` [ratio 0–1].

    `hits` of the `calls` are usually in time; a mean, so not whole.
    """

    calls: int
    hits: float
    target: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a window ends when as many calls come as usual: `calls` of them.

    `may_be_late`: at most so many of them, all of them when even that is enough; None: it is out of reach, though none
    of them be late. Levels [ratio 0–1] at its end: `best` with all of them in time, `expected` with as many as usual;
    `target` is what all its terms then ask for together.
    """

    calls: int
    may_be_late: int | None
    best: float
    expected: float
    target: float


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
    hits, base = sum(term.hits for term in terms), sum(term.base for term in terms)
    spare = hits - _asked(terms)
    p = _exact(next_target)
    if spare >= 0:
        late = floor(spare / p) + 1 if p else None
        then = None if late is None else hits / (base + late)
        return Distance(True, until_missed=late, could_be_late=floor(spare), level_then=then)
    in_time = ceil(-spare / (1 - p)) if p < 1 else None
    then = None if in_time is None else (hits + in_time) / (base + in_time)
    return Distance(False, until_reached=in_time, too_late=ceil(-spare), level_then=then)


def outlook(terms: Sequence[Judged], to_come: Sequence[ToCome]) -> Outlook | None:
    """Return how a window ends whose calls so far these are, when those `to_come` come; None when there is none."""
    hits, base = sum(term.hits for term in terms), sum(term.base for term in terms)
    calls = sum(term.calls for term in to_come)
    if not base + calls:
        return None
    asked = _asked(terms) + _asked([Judged(0, term.calls, term.target) for term in to_come])
    late = floor(hits + calls - asked)
    return Outlook(
        calls=calls,
        may_be_late=None if late < 0 else min(late, calls),
        best=(hits + calls) / (base + calls),
        expected=(hits + sum(term.hits for term in to_come)) / (base + calls),
        target=float(asked / (base + calls)),
    )


def _asked(terms: Sequence[Judged]) -> Fraction:
    return sum((_exact(term.target) * term.base for term in terms), Fraction())


def _exact(ratio: float) -> Fraction:
    """Return the decimal that was written: 4/5 for 0.8, not the binary number beside it."""
    return Fraction(str(ratio))
