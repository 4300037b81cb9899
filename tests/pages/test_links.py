"""Every figure on a page links to its explanation or to the calls behind it. A browser looks for figures without one.

A figure is any text that reads as a number, a duration or a ratio. EXCUSED lists the exceptions with their reasons.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.browsing import needs_chromium
from tests.support.dashboard.drawing import PAGE_NAMES
from tests.support.dashboard.served import CLIENT, Site, floor, served
from tests.support.floor_file import MANAGER
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium

EXCUSED = {
    ".vigie-floor": "of the whole floor: the sum of the tiles below, each of which leads on; no campaign's figure",
    ".tile .level, .tile .bars, .age": "the tile's level has a link of the page over it; bars are a picture",
    ".usual": "a mean of other days, which are links beside it",
    ".gap, .share, .diff": "made of the figures beside it",
    ".vigie-agents td:is(.breaks, .load, .streak, .since), .vigie-agents td:is(.now, .needs), p.needs": (
        "what an agent does now, and their strain: no figure of docs/kpis.md; the page says beside how to read it"
    ),
    ".vigie-agents td:is(.logged, .paused)": "a shift of the agents page, whose seconds are in their utilisation",
    "[data-testid='stCaptionContainer'], [data-testid='stMarkdown']": "words, with the same figures linked elsewhere",
    ".vigie-figure, .vigie-formula .step > b, .vigie-systems": "the explanation itself",
    ".terms td:nth-child(-n + 5)": "what the contract says",
    ".periods tfoot td, .periods td.usual": "totals of the campaigns above, whose figures have links; the targets",
    ".calls, .waiting": "the list of calls itself",
    ".staffing td, .vigie-why": "mean numbers of agents, and why an interval was bad: no calls are behind them",
    ".lags, .told, .vigie-tiles": "what was read of the topic: no figure of a campaign",
    ".js-plotly-plot, th, small, thead": "names, hours and a picture whose numbers are in the table",
}
"""Selector → why figures inside it need no link."""

UNLINKED = """(excused) => {
    const of = document.querySelector('[data-testid="stMainBlockContainer"]');
    const over = [...document.querySelectorAll('.st-key-links a, .st-key-headlinks a')]
        .map((one) => one.getBoundingClientRect());
    const isOver = (it, {left, right, top, bottom}) =>
        left - 1 <= it.x + it.width / 2 && it.x + it.width / 2 <= right + 1
        && top - 1 <= it.y + it.height / 2 && it.y + it.height / 2 <= bottom + 1;
    const heads = (cell) => {
        const head = cell?.closest('table')?.querySelector('thead tr:last-child');
        return head && head.children[cell.cellIndex]?.querySelector('a[href]');
    };
    const found = [], bare = [];
    for (const one of of.querySelectorAll('.stHtml *, [data-testid="stHtml"] *')) {
        const own = [...one.childNodes].filter((node) => node.nodeType === 3);
        const words = own.map((node) => node.data).join('').trim();
        const isFigure = /^[−+]?\\d[\\d\\s.,:]*(%|s|min|h)?( ?\\d+ ?(s|min))*$/.test(words) && words !== '0';
        if (!isFigure || !one.checkVisibility({visibilityProperty: true})) continue;
        if (one.closest(excused) || one.closest('.st-key-links')) continue;
        found.push(words);
        const linked = one.closest('a[href]') || over.some((rect) => isOver(one.getBoundingClientRect(), rect))
            || heads(one.closest('td'));
        if (!linked) bare.push([words, (one.closest('tr, .n, .card, p') ?? one).innerText.replace(/\\s+/g, ' ')]);
    }
    return [found.length, bare];
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("links"), weeks=4) as site:
        yield site


def figures(page: "Page") -> tuple[int, list[list[str]]]:
    """Return the number of visible figures that need a link, and those without one, with the text around them."""
    count, bare = page.evaluate(UNLINKED, ", ".join(EXCUSED))
    return count, bare


def today() -> date:
    """The day of the floor's last calls."""
    return clock.now().date()


def a_week_ago() -> date:
    """A day with calls in the morning only."""
    return today() - timedelta(weeks=1)


def month() -> str:
    return f"{today():%Y-%m}"


EVERYBODYS = {
    "campaign?campaign=north": 8,
    "campaign?campaign=north&day={today}": 40,
    "campaign?campaign=north&day={week}": 20,
    "campaign?campaign=north&day={today}&measure=service_level": 40,
    "sla?campaign=north&month={month}": 30,
    "sla?campaign=north&day={today}": 12,
    "kpi?campaign=north&day={today}": 3,
    "kpi?campaign=north&day={today}&kpi=abandon_rate": 3,
    "kpi?campaign=north&day={today}&kpi=asa_s": 2,
    "kpi?campaign=north&day={today}&kpi=offered": 2,
}
MANAGERS = {
    "kpi?campaign=north&day={today}&kpi=aht_s": 3,
    "kpi?campaign=north&day={today}&kpi=occupancy": 3,
    **{"wallboard": 10, "agents": 30, "feed": 6, "summary": 10},
}
"""Page → the least number of figures with a link."""
WITHOUT = {"alerts", "analyst", "audit", "calls", "call"}
"""Pages whose numbers are what a link leads to: alerts, rows of an answer, calls, and the steps of one call."""


def test_every_page_is_looked_at() -> None:
    named = {path.partition("?")[0] for path in EVERYBODYS | MANAGERS}
    assert named | WITHOUT == set(PAGE_NAMES), "name a new page in EVERYBODYS, MANAGERS or WITHOUT"


@pytest.mark.parametrize(
    ("viewer", "pages"), [(MANAGER, EVERYBODYS | MANAGERS), (CLIENT, EVERYBODYS)], ids=["manager", "client"]
)
def test_every_figure_on_every_page_has_a_link(site: Site, viewer: Viewer, pages: dict[str, int]) -> None:
    floor(site.path, weeks=4)
    page = site.tab(viewer)
    for path, least in pages.items():
        site.visit(page, path.format(month=month(), today=today(), week=a_week_ago()))
        wait_for(lambda least=least: figures(page)[0] >= least, f"{least} figures on {path}")  # type: ignore[misc]
        bare = figures(page)[1]  # a link may be drawn a moment after its figure
        wait_for(lambda: not figures(page)[1], f"a link on {path} for each of {bare}")


def test_a_figure_without_a_link_is_found(site: Site) -> None:
    floor(site.path, weeks=4)
    page = site.tab(MANAGER)
    site.visit(page, f"sla?campaign=north&month={month()}")
    wait_for(lambda: figures(page)[0] >= 30, "the month's figures")
    removal = "document.querySelector('.vigie-table.judged td a').removeAttribute('href')"
    page.evaluate(removal)
    wait_for(lambda: len(figures(page)[1]) == 1, "one figure without a link")


# where some links lead


def listed(page: "Page") -> str:
    """The number of calls that the calls page shows."""
    return page.locator("text=/^\\d+ calls?$/").first.inner_text().split()[0]


def explained(page: "Page") -> str:
    return page.locator(".vigie-figure > b").inner_text()


def agents(page: "Page") -> str:
    """The number of agents that the agents page shows."""
    return page.locator("p.needs > span").first.inner_text().split()[0]


READ = {"calls": listed, "kpi": explained, "agents": agents}
ROW = "table.judged:has(th:text-is('{first}')) {part} tr:first-child td:nth-child({column}) a"
DAY = "campaign?campaign=north&day={today}"
WAYS = {
    "campaign, a queue's offered": (DAY, ".queues td:nth-child(2) a", "calls"),
    "campaign, an interval's level": (
        DAY,
        ".numbers tbody td:nth-child(7) a >> nth=2",
        "kpi",
    ),
    "campaign, the day's ASA": (DAY, ".numbers tfoot td:nth-child(9) a", "kpi"),
    "campaign, a day beside the usual": (
        "campaign?campaign=north&day={week}",
        ".compared tbody tr:nth-child(4) td a",
        "kpi",
    ),
    "campaign, an outcome": (DAY, ".shares tbody tr:nth-child(2) td a", "calls"),
    "contract, answered at a time of day": (
        "sla?campaign=north&month={month}",
        ROW.format(first="Interval", part="tbody", column=3),
        "calls",
    ),
    "contract, abandoned in all": (
        "sla?campaign=north&month={month}",
        ROW.format(first="Queue", part="tfoot", column=6),
        "calls",
    ),
    "contract, a day's abandon rate": (
        "sla?campaign=north&month={month}",
        ROW.format(first="Day", part="tbody", column=8),
        "kpi",
    ),
    "contract, an interval's ASA": (
        "sla?campaign=north&day={today}",
        "table.judged >> nth=1 >> tbody td:nth-child(9) a",
        "kpi",
    ),
}


def test_the_page_behind_a_link_shows_the_same_figure(site: Site) -> None:
    floor(site.path, weeks=4)
    page = site.tab(MANAGER)
    for name, (path, selector, to) in WAYS.items():
        site.visit(page, path.format(month=month(), today=today(), week=a_week_ago()))
        figure = page.locator(selector).first
        value = figure.inner_text()
        figure.click()
        page.wait_for_url(f"**/{to}?campaign=north**")
        wait_for(lambda value=value, to=to: READ[to](page) == value, f"{name}: {value}")  # type: ignore[misc]


def test_a_cell_of_the_weeks_links_to_the_calls_of_its_mean(site: Site) -> None:
    floor(site.path, weeks=4)
    page = site.tab(MANAGER)
    for weeks in ("4", "12"):
        site.visit(page, f"campaign?campaign=north&weeks={weeks}")
        cell = page.locator(".vigie-heat td a").first
        calls = (cell.get_attribute("title") or "").rpartition(", ")[2].split()[0]
        assert float(cell.inner_text()) == int(calls) / 4
        cell.click()
        page.wait_for_url("**/calls?campaign=north**")
        wait_for(lambda calls=calls: listed(page) == calls, f"{calls} calls")  # type: ignore[misc]


def test_counts_of_agents_on_a_tile_link_to_the_agents(site: Site) -> None:
    floor(site.path)
    page = site.tab(MANAGER)
    site.visit(page, "wallboard")
    over = page.locator(".st-key-links .tile", has_text="Customer care").locator("a.n", has_text="Available")
    over.click()
    page.wait_for_url("**/agents?campaign=north&state=available**")
    wait_for(lambda: agents(page) == "30", "the thirty available agents")
