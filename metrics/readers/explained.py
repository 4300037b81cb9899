"""A figure explained: what it was made of, by which contract, and what other systems would print."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any, cast

from metrics.compose import KPIS
from metrics.explain import TERM
from metrics.readers import floor
from metrics.readers.campaigns import Campaign
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch
from metrics.suppression import told
from metrics.viewer import Viewer

EXPLAIN = f"""
SELECT step, name, value, text, {", ".join(TERM)}
FROM explain_kpi($campaign, $t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, $kpi)
"""
_BESIDE = ("service_level_worst", "service_level_best", "conserved")
FIGURES = ("offered", *(name for name in KPIS if name not in _BESIDE))
"""What a page can explain; worst and best stand beside the service level."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a contract, in the campaign's local time; `calls` of the window were judged by it."""

    calls: int
    valid_from: datetime | None
    valid_to: datetime | None
    formula: str
    threshold_s: float
    target: float
    wait_at_threshold_counts: bool
    short_abandon_s: float


def version(terms: Iterable[Term]) -> str:
    """Return what tells one version of a contract from another: the beginning of a hash of all that its terms say."""
    said = repr([astuple(replace(term, calls=0)) for term in terms])
    return hashlib.sha256(said.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another system would print from the same calls; `value` None where its formula is not public."""

    system: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A figure of one campaign and window: `row` is its row of `kpi_campaign`, all columns."""

    freshness: Freshness
    campaign: Campaign
    t0: datetime
    t1: datetime
    kpi: str
    row: Mapping[str, Any]
    terms: tuple[Term, ...]
    elsewhere: tuple[Elsewhere, ...]

    @property
    def contract(self) -> str:
        """Return the version of the terms that touch the window; of the same terms a statement names the same."""
        return version(self.terms)

    @property
    def figure(self) -> float | None:
        return cast("float | None", self.row[self.kpi])


def explain(
    published: Published, viewer: Viewer, campaign: str, kpi: str, t0: datetime, t1: datetime
) -> Explained | None:
    """Return what a figure of FIGURES was made of in `[t0, t1)`; None: the viewer has no such campaign, or figure.

    In `row` what is not told to the viewer is None.
    """
    if kpi not in FIGURES:
        raise ValueError(f"{kpi!r} is not one of the figures {FIGURES}")
    one = floor.campaign(published, viewer, campaign)
    if one is None or not told(viewer, kpi):
        return None
    known = published.ask(("explain", campaign, kpi, t0, t1), lambda s: _explain(s, one, kpi, t0, t1), SLOW_S)
    if known is None or viewer.sees_work:
        return known
    return replace(known, row={name: value if told(viewer, name) else None for name, value in known.row.items()})


def _explain(snapshot: Snapshot, campaign: Campaign, kpi: str, t0: datetime, t1: datetime) -> Explained:
    connection = snapshot.connection
    window = {"campaign": campaign.campaign, "t0": t0, "t1": t1}
    sql = "SELECT * FROM kpi_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) WHERE campaign = $campaign"
    result = connection.execute(sql, window)
    names = [column[0] for column in result.description or ()]
    row = dict(zip(names, result.fetchone() or (None,) * len(names), strict=True))
    terms, elsewhere = [], []
    for step, name, value, text, *term in fetch(connection, EXPLAIN, kpi=kpi, **window):
        if step == "elsewhere":
            elsewhere.append(Elsewhere(name, value, text))
        elif step == "contract":
            terms.append(Term(int(value), *term))
    return Explained(
        freshness=snapshot.freshness,
        campaign=campaign,
        t0=t0,
        t1=t1,
        kpi=kpi,
        row=row,
        terms=tuple(terms),
        elsewhere=tuple(elsewhere),
    )
