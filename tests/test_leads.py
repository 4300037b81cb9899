"""Every figure that a page shows leads to how it is made, or to the calls behind it; a browser looks for others.

What counts as a figure is what reads as one: a number, a duration, a ratio. What is excused is named with its reason.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from metrics.viewer import Viewer
from tests.browsing import browser, dashboard, needs_chromium
from tests.processes import wait_for
from tests.test_accessibility import CLIENT, Site, floor
from tests.test_readers import FLOOR, MANAGER

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium

EXCUSED = {
    ".vigie-floor": "of the whole floor: the sum of the tiles below, each of which leads on; no campaign's figure",
    ".tile .level, .tile .bars, .age": "the tile's level has a link of the page over it; bars are a picture",
    ".usual": "a mean of other days, which are links beside it",
    ".gap, .share, .diff": "made of the figures beside it",
    ".vigie-agents td:is(.breaks, .load, .streak, .since), .vigie-agents td:is(.now, .needs), p.needs": (
        "what an agent does now, and their strain: no figure of KPIS.md; the page says beside how to read it"
    ),
    ".vigie-agents td:is(.logged, .paused)": "a shift of the agents page, whose seconds are in their utilisation",
    "[data-testid='stCaptionContainer'], [data-testid='stMarkdown']": "words, with the same figures linked elsewhere",
    ".vigie-figure, .vigie-formula .step > b, .vigie-systems": "the explanation itself",
    ".terms td:nth-child(-n + 5)": "what the contract says",
    ".calls, .waiting": "the list of calls itself",
    ".lags, .told, .vigie-tiles": "what was read of the topic: no figure of a campaign",
    ".js-plotly-plot, th, small, thead": "names, hours and a picture whose numbers are in the table",
}
"""Selector → why what is in there need not lead anywhere."""

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
    place = tmp_path_factory.mktemp("leads")
    path = place / "published" / "vigie.duckdb"
    floor(path, weeks=4)
    with pytest.MonkeyPatch.context() as patch, dashboard(place) as running, browser() as chromium:
        patch.setenv("VIGIE_DATA_DIR", str(place))
        yield Site(running.address, path, chromium)


def figures(page: "Page") -> tuple[int, list[list[str]]]:
    """How many figures are to be seen that must lead somewhere, and those that do not, with what stands around them."""
    count, bare = page.evaluate(UNLINKED, ", ".join(EXCUSED))
    return count, bare


def today() -> date:
    return datetime.now(ZoneInfo(FLOOR["north"][2])).date()


def month() -> str:
    return f"{today():%Y-%m}"


EVERYBODYS = {
    "campaign?campaign=north": 100,
    "campaign?campaign=north&day={week}": 20,
    "campaign?campaign=north&measure=service_level": 100,
    "sla?campaign=north&month={month}": 30,
    "sla?campaign=north&day={today}": 12,
    "kpi?campaign=north": 3,
    "kpi?campaign=north&kpi=abandon_rate": 3,
    "kpi?campaign=north&kpi=asa_s": 2,
    "kpi?campaign=north&kpi=offered": 2,
}
MANAGERS = {
    "kpi?campaign=north&kpi=aht_s": 3,
    "kpi?campaign=north&kpi=occupancy": 3,
    **{"wallboard": 10, "agents": 30, "feed": 6},
}
"""Page → so many figures at least are on it that must lead on."""


@pytest.mark.parametrize(
    ("viewer", "pages"), [(MANAGER, EVERYBODYS | MANAGERS), (CLIENT, EVERYBODYS)], ids=["manager", "client"]
)
def test_every_figure_of_every_page_leads_to_what_is_behind_it(
    site: Site, viewer: Viewer, pages: dict[str, int]
) -> None:
    floor(site.path, weeks=4)
    page = site.tab(viewer)
    for path, least in pages.items():
        site.visit(page, path.format(month=month(), today=today(), week=today() - timedelta(weeks=1)))
        wait_for(lambda least=least: figures(page)[0] >= least, f"{least} figures on {path}", within_s=60)  # type: ignore[misc]
        assert figures(page)[1] == [], path


def test_a_figure_without_a_link_is_found(site: Site) -> None:
    floor(site.path, weeks=4)
    page = site.tab(MANAGER)
    site.visit(page, f"sla?campaign=north&month={month()}")
    wait_for(lambda: figures(page)[0] >= 30, "the month's figures")
    taken = "document.querySelector('.vigie-table.judged td a').removeAttribute('href')"
    page.evaluate(taken)
    assert len(figures(page)[1]) == 1
