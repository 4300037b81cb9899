"""A figure explained: what it was made of, by which contract, and what other systems would print."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any, cast

from metrics.authorisation.suppression import may_show
from metrics.authorisation.viewer import Viewer
from metrics.kpis.compose import GRAINS, KPIS
from metrics.published.explain import TERM
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

EXPLAIN = f"""
SELECT step, name, value, text, {", ".join(TERM)}
FROM explain_kpi($campaign, $t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, $kpi)
"""
_BESIDE = ("service_level_worst", "service_level_best", "conserved")
FIGURES = ("offered", *(name for name in KPIS if name not in _BESIDE))
"""What a page can explain; worst and best stand beside the service level."""
OF_AGENT = GRAINS["kpi_agent_campaign"].columns
AGENT_FIGURES = tuple(name for name in FIGURES if name in KPIS and set(KPIS[name].inputs) <= set(OF_AGENT))
"""What can be explained of one agent: figures of which all that goes in is known by agent."""
AGENT = f"""
SELECT coalesce(name, agent), site, {", ".join(OF_AGENT)}
FROM kpi_agent_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
WHERE campaign = $campaign AND agent = $agent
"""


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a contract, in the campaign's local time; `calls` are in the service level's denominator by it."""

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
    """A figure of one campaign and window: `row` is its row of `kpi_campaign`, all columns.

    Of one `agent` it is the row of `kpi_agent_campaign`, all None when they did not work then, and there is no contract
    and no other system beside it.
    """

    freshness: Freshness
    campaign: Campaign
    t0: datetime
    t1: datetime
    kpi: str
    row: Mapping[str, Any]
    terms: tuple[Term, ...]
    elsewhere: tuple[Elsewhere, ...]
    agent: str | None = None
    agent_name: str | None = None

    @property
    def contract(self) -> str:
        """Return the version of the terms that touch the window; of the same terms a statement names the same."""
        return version(self.terms)

    @property
    def figure(self) -> float | None:
        return cast("float | None", self.row[self.kpi])


def explain(
    published: Published,
    viewer: Viewer,
    campaign: str,
    kpi: str,
    t0: datetime,
    t1: datetime,
    agent: str | None = None,
) -> Explained | None:
    """Return what a figure of FIGURES was made of in `[t0, t1)`; None: the viewer has no such campaign, or figure.

    In `row` what is not told to the viewer is None. Of an `agent` it is a figure of AGENT_FIGURES, and None for who may
    not know who works; to who is limited to other sites than theirs they are an agent who did not work.
    """
    if kpi not in (FIGURES if agent is None else AGENT_FIGURES):
        raise ValueError(f"{kpi!r} is not one of the figures {FIGURES}, or not known of an agent: {AGENT_FIGURES}")
    one = wall.campaign(published, viewer, campaign)
    if one is None or not may_show(viewer, kpi):
        return None
    known = published.ask(("explain", campaign, kpi, t0, t1), lambda s: _explain(s, one, kpi, t0, t1), SLOW_S)
    if known is None:
        return None
    if agent is not None:
        return _of_agent(published, viewer, known, agent) if viewer.names_agents else None
    if viewer.sees_work:
        return known
    return replace(known, row={name: value if may_show(viewer, name) else None for name, value in known.row.items()})


def _of_agent(published: Published, viewer: Viewer, whole: Explained, agent: str) -> Explained | None:
    """Return the same figure of one agent."""
    window = {"campaign": whole.campaign.campaign, "agent": agent, "t0": whole.t0, "t1": whole.t1}
    question = ("explain agent", *window.values())
    rows = published.ask(question, lambda s: fetch(s.connection, AGENT, **window), SLOW_S)
    if rows is None:
        return None
    name, site, *values = rows[0] if rows else (None, None, *(None for _ in OF_AGENT))
    if not viewer.names_agents_of(site):
        name, values = None, [None for _ in OF_AGENT]
    row = dict(zip(OF_AGENT, values, strict=True)) | {"settled": whole.row["settled"], "terms_changed": False}
    return replace(whole, row=row, terms=(), elsewhere=(), agent=agent, agent_name=name)


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
