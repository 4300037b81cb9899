"""Explains a figure: how it was computed, by which contract, and what other systems would print."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from metrics.authorisation.suppression import may_show
from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS
from metrics.composition.grains import GRAINS
from metrics.published.explain import TERM
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.contract.terms import Term, version
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

EXPLAIN = f"""
SELECT step, name, value, text, {", ".join(TERM)}
FROM explain_kpi($campaign, $t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, $kpi)
"""
_BESIDE = ("service_level_worst", "service_level_best", "conserved")
FIGURES = ("offered", *(name for name in KPIS if name not in _BESIDE))
"""The figures that a page can explain; worst and best are shown with the service level."""
OF_AGENT = GRAINS["kpi_agent_campaign"].columns
AGENT_FIGURES = tuple(name for name in FIGURES if name in KPIS and set(KPIS[name].inputs) <= set(OF_AGENT))
"""The figures that can be explained for one agent: all their inputs exist by agent."""
AGENT = f"""
SELECT coalesce(name, agent), site, {", ".join(OF_AGENT)}
FROM kpi_agent_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
WHERE campaign = $campaign AND agent = $agent
"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another system would print for the same calls; `value` None if its formula is not public."""

    system: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A figure of one campaign and window, with all columns of its `row` in `kpi_campaign`.

    For one `agent` the row is from `kpi_agent_campaign`. It is all None if the agent did not work in the window.
    Contract terms and other systems are not shown then.
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
        """Return the version of the terms that overlap the window; a statement by the same terms shows the same one."""
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
    """Explain a figure of FIGURES in `[t0, t1)`. None: the viewer may not see the campaign or the figure.

    Columns of `row` that the viewer may not see are None. With an `agent` it must be a figure of AGENT_FIGURES, and the
    result is None for viewers who may not see agents' names. If the viewer may not see the agent's site, the agent
    appears as one who did not work.
    """
    if kpi not in (FIGURES if agent is None else AGENT_FIGURES):
        raise ValueError(f"{kpi!r} is not one of the figures {FIGURES}, or, for an agent, of {AGENT_FIGURES}")
    visible = wall.campaign(published, viewer, campaign)
    if visible is None or not may_show(viewer, kpi):
        return None
    figure = published.ask(("explain", campaign, kpi, t0, t1), lambda s: _explain(s, visible, kpi, t0, t1), SLOW_S)
    if figure is None:
        return None
    if agent is not None:
        return _of_agent(published, viewer, figure, agent) if viewer.names_agents else None
    if viewer.sees_work:
        return figure
    return replace(figure, row={name: value if may_show(viewer, name) else None for name, value in figure.row.items()})


def _of_agent(published: Published, viewer: Viewer, of_campaign: Explained, agent: str) -> Explained | None:
    """Return the same figure for one agent."""
    campaign = of_campaign.campaign.campaign
    window = {"campaign": campaign, "agent": agent, "t0": of_campaign.t0, "t1": of_campaign.t1}
    question = ("explain agent", *window.values())
    rows = published.ask(question, lambda s: fetch(s.connection, AGENT, **window), SLOW_S)
    if rows is None:
        return None
    name, site, *values = rows[0] if rows else (None, None, *(None for _ in OF_AGENT))
    if not viewer.names_agents_of(site):
        name, values = None, [None for _ in OF_AGENT]
    row = dict(zip(OF_AGENT, values, strict=True)) | {"settled": of_campaign.row["settled"], "terms_changed": False}
    return replace(of_campaign, row=row, terms=(), elsewhere=(), agent=agent, agent_name=name)


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
