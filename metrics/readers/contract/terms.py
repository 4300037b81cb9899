"""The terms of contracts in a window, with the calls that each of them judged."""

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any

import duckdb

from metrics.kpis.distance import Judged
from metrics.readers.snapshot import fetch

TERMS = """
SELECT campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s,
       open_in_threshold, service_level_hits, service_level_base, service_level
FROM kpi_term($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
ORDER BY campaign, valid_from NULLS FIRST
"""


@dataclass(frozen=True, slots=True)
class Term:
    """A contract term, in the campaign's local time; `calls` is how many it adds to the service level's denominator."""

    calls: int
    valid_from: datetime | None
    valid_to: datetime | None
    formula: str
    threshold_s: float
    target: float
    wait_at_threshold_counts: bool
    short_abandon_s: float


def version(terms: Iterable[Term]) -> str:
    """Return an id of this version of a contract: the start of a hash over its terms, without their calls."""
    text = repr([astuple(replace(term, calls=0)) for term in terms])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class JudgedTerm:
    """A contract term and the calls of the period that it judged; `waiting` is the number that do not count yet."""

    term: Term
    waiting: int
    hits: int
    service_level: float | None

    @property
    def judged(self) -> Judged:
        return Judged(self.hits, self.term.calls, self.term.target)


def judged_terms(
    connection: duckdb.DuckDBPyConnection, t0: datetime, t1: datetime
) -> dict[str, tuple[JudgedTerm, ...]]:
    """Return the terms that overlap `[t0, t1)`, by campaign and in order."""
    terms: dict[str, tuple[JudgedTerm, ...]] = {}
    for campaign, *term, waiting, hits, base, level in fetch(connection, TERMS, t0=t0, t1=t1):
        row: tuple[Any, ...] = tuple(term)
        terms[campaign] = (*terms.get(campaign, ()), JudgedTerm(Term(base, *row), waiting, hits, level))
    return terms
