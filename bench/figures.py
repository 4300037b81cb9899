"""Formats results: medians with their spread, in one table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One comparison, as text; `met` None if there is no goal."""

    what: str
    a: str
    b: str
    ratio: str
    goal: str
    met: bool | None


@dataclass(frozen=True)
class Measured:
    """The result of one benchmark: rows of the table, remarks below it, numbers for --json."""

    rows: list[Row]
    remarks: list[str]
    numbers: dict[str, object]


def spread(values: Sequence[float], form: str = ",.0f", unit: str = "") -> str:
    """Return "median (lowest–highest)": three rounds are too few for finer statistics."""
    return f"{format(median(values), form)}{unit} ({least_most(values, form)})"


def least_most(values: Sequence[float], form: str) -> str:
    return f"{format(min(values), form)}–{format(max(values), form)}"


def ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the ratio of the medians."""
    return median(a) / median(b)


def by_round(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [of_a / of_b for of_a, of_b in zip(a, b, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(rows: Sequence[Row]) -> str:
    met = {True: "yes", False: "NO", None: ""}
    lines: list[tuple[str, ...]] = [("what", "A", "B", "ratio", "goal", "met")]
    lines += [(r.what, r.a, r.b, r.ratio, r.goal, met[r.met]) for r in rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
