"""Accessible and calm pages: contrast, keyboard, described charts, and ticks that keep scroll and focus.

axe-core checks what a browser has drawn, on every page, light and dark. EXCUSED lists violations in Streamlit's own
elements that we cannot change, by rule and selector, each with its reason. There are none today.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import axe_playwright_python
import pytest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.browsing import needs_chromium, wait_until
from tests.support.dashboard.drawing import PAGE_NAMES
from tests.support.dashboard.served import CLIENT, STORY, Site, floor, served
from tests.support.floor_file import MANAGER, alert
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

pytestmark = needs_chromium

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
CLIENTS = ("campaign", "summary", "sla", "kpi", "calls")
EVERYBODYS = (*(f"{page}?campaign=north" for page in CLIENTS), STORY)
PAGES = ("wallboard?tv=1", *EVERYBODYS, *(page for page in PAGE_NAMES if page not in (*CLIENTS, "call")))
GRAVE = ("serious", "critical")
EXCUSED: dict[tuple[str, str], str] = {}
"""(rule, selector) → why we cannot change it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One dashboard and one browser, shared by the tests of this module. Each test publishes its own floor."""
    with served(tmp_path_factory.mktemp("pages")) as site:
        yield site


# every page, in every translation, on every screen

CHARTS_FIT = """() => [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every((chart) => {
    const drawn = chart.querySelector('.main-svg');
    return drawn && Math.abs(drawn.getBoundingClientRect().width - chart.getBoundingClientRect().width) < 2;
})"""
CUT_OFF = """() => {
    const found = [], places = [], seen = {opacityProperty: true, visibilityProperty: true};
    const wide = document.documentElement.clientWidth, main = document.querySelector('[data-testid="stMain"]');
    for (const one of [document.documentElement, main]) {
        if (one && one.scrollWidth > one.clientWidth + 1) found.push(`scrolls sideways: ${one.localName}`);
    }
    for (const one of document.querySelectorAll('input')) {
        if (one.checkVisibility(seen) && one.scrollWidth > one.clientWidth + 1) found.push(`cut: ${one.value}`);
    }
    for (const one of document.querySelectorAll('.xtick text')) {  // rotated labels overlap what is below them
        if (/rotate\\((?!0)/.test(one.getAttribute('transform'))) found.push(`turned: ${one.textContent}`);
    }
    const cards = document.querySelectorAll('.vigie-headline .card');
    document.querySelectorAll('.st-key-headlinks a').forEach((link, n) => {
        const [at, over] = [cards[n], link].map((one) => one.getBoundingClientRect());
        if (Math.abs(at.top - over.top) > 1 || Math.abs(at.left - over.left) > 1) found.push(`a link beside card ${n}`);
    });
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode, within = text.parentElement, words = text.textContent.trim();
        if (!words || within.matches('script, style, noscript, [data-testid=stIconMaterial]')) continue;
        if (!within.checkVisibility(seen) || parseFloat(getComputedStyle(within).fontSize) < 1) continue;
        if (within.closest('[data-testid=stSkipToContent], [data-testid=stSidebar], .vigie-sound')) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
        let isHidden = false, scrolls = false, cut = 0;
        for (let around = within; around && around !== document.body; around = around.parentElement) {
            const style = getComputedStyle(around), edge = around.getBoundingClientRect();
            if (style.clipPath !== 'none' && edge.width < 3) isHidden = true;  // for screen readers only
            if (style.display === 'inline' || around instanceof SVGElement && around.localName !== 'svg') continue;
            scrolls ||= ['auto', 'scroll'].includes(style.overflowX) && around.scrollWidth > around.clientWidth;
            if (style.overflowX === 'visible' || scrolls) continue;
            for (const box of boxes) cut = Math.max(cut, edge.left - box.left, box.right - edge.right);
        }
        if (isHidden) continue;
        if (!scrolls) for (const box of boxes) cut = Math.max(cut, -box.left, box.right - wide);
        if (cut > 1.5) found.push(`cut by ${Math.round(cut)} px: ${words.slice(0, 60)}`);
        if (!scrolls) for (const {left, right, top, bottom, height} of boxes) {
            places.push({words, within, left, right, top: top + height / 5, bottom: bottom - height / 5});
        }
    }
    places.sort((one, other) => one.top - other.top);
    places.forEach((one, n) => {
        for (let m = n + 1; m < places.length && places[m].top < one.bottom; m++) {
            const other = places[m], across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
            const down = Math.min(one.bottom, other.bottom) - other.top;
            if (one.within !== other.within && across > 2 && down > 2) found.push(`${one.words} over ${other.words}`);
        }
    });
    return found;
}"""
KEY = """() => {
    window.reached = new Set();
    window.key = (one) =>  // a tick may have redrawn the element
        [one.localName, one.getAttribute('href') ?? one.getAttribute('aria-label') ?? one.innerText].join(' ');
    document.addEventListener('focusin', ({target}) => window.reached.add(window.key(target)));
}"""
REACHABLE = """() => {
    const all = document.querySelectorAll(':is(a[href], button, input, textarea, select, summary, [tabindex="0"])');
    const seen = [...all].filter((one) => one.checkVisibility({visibilityProperty: true}) && !one.disabled
        && one.tabIndex >= 0 && one.getClientRects().length && !one.closest('.js-plotly-plot, [inert]')
        && !one.matches('[role=radio] ~ [role=radio]'));  // of a radio group the first; arrow keys reach the rest
    return seen.map(window.key);
}"""
LIGHT, DARK = "light", "dark"
LAPTOP, SCREEN, PHONE = (1366, 768), (1920, 1080), (390, 844)
DOUBLED = ((683, 384), (960, 540))
"""A laptop and a large screen with the page zoomed to 200 %."""


class Visitor(NamedTuple):
    """Who looks at which pages, how, and on which screens axe-core checks them."""

    viewer: Viewer
    pages: tuple[str, ...]
    language: str  # translations are longer: if they fit, English fits
    scheme: str
    sizes: tuple[tuple[int, int], ...]
    axe_on: tuple[tuple[int, int], ...]
    has_keyboard: bool = False


@pytest.mark.parametrize(
    "visitor",
    [
        Visitor(MANAGER, PAGES, "es", LIGHT, (SCREEN, PHONE, *DOUBLED, LAPTOP), (LAPTOP, PHONE), has_keyboard=True),
        Visitor(MANAGER, PAGES, "fr", DARK, (LAPTOP, PHONE), (LAPTOP,)),
        Visitor(CLIENT, EVERYBODYS, "fr", LIGHT, (PHONE, *DOUBLED, LAPTOP), (LAPTOP,)),
    ],
    ids=["manager-es", "manager-fr", "client"],
)
def test_every_page_can_be_read_and_used_on_every_screen(site: Site, visitor: Visitor) -> None:
    """No text is cut off or overlaps another, axe-core finds nothing serious, and Tab reaches every control.

    Nor does a page need anything that its content security policy forbids: the browser would log that as an error. One
    visit serves all: loading a page takes longer than the checks.
    """
    floor(site.path)
    page = site.tab(visitor.viewer, color_scheme=visitor.scheme)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if is_our_error(message) else None)
    faults: list[tuple[Any, ...]] = []
    for path in (*visitor.pages, f"sla?campaign=north&day={clock.now():%Y-%m-%d}"):
        site.visit(page, path, visitor.language)
        page.evaluate(AXE)
        for size in visitor.sizes:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            wait_until(page, CHARTS_FIT)
            faults += [(path, size, fault) for fault in cut_off(page)]
            if size in visitor.axe_on:
                faults += [(path, size, *fault) for fault in violations(page, size)]
        if visitor.has_keyboard and "tv=1" not in path:
            page.evaluate(KEY)
            # repeated, since a tick may take the focus away
            wait_for(lambda: not unreached(page), f"every element of {path} to get the focus")
    page.context.close()  # so that its ticks do not slow down the next tests
    assert not faults and not errors


def violations(page: "Page", size: tuple[int, int]) -> Iterator[tuple[str, str, str]]:
    """Yield the serious violations in what is drawn now, on a screen of this size."""
    # axe cannot check contrast in a table that is wider than a phone; the laptop run checks the same colours
    context = "{exclude: ['.vigie-scroll']}" if size == PHONE else "document"
    checked = page.evaluate(f"axe.run({context}, {{resultTypes: ['violations', 'passes']}})")
    contrast = [rule for rule in checked["passes"] if rule["id"] == "color-contrast"]
    assert contrast and len(contrast[0]["nodes"]) > 1, f"axe-core checked no contrast on {page.url}"
    for violation in checked["violations"]:
        for node in violation["nodes"]:
            if violation["impact"] in GRAVE and (violation["id"], node["target"][-1]) not in EXCUSED:
                yield violation["id"], node["target"][-1], node["failureSummary"]


def unreached(page: "Page") -> set[str]:
    """Press Tab more often than there are elements, and return those that have not had the focus so far."""
    reachable = page.evaluate(REACHABLE)
    assert len(reachable) > 5
    for _ in range(len(reachable) + 40):
        page.keyboard.press("Tab")
    return set(reachable) - set(page.evaluate("[...window.reached]"))


def test_smuggled_markup_runs_nothing_and_is_an_error(site: Site) -> None:
    """A page's policy stops scripts in markup that this test adds to a page, whichever way they are written."""
    page = site.tab(MANAGER)
    site.visit(page, "agents")
    for markup in (
        '<img src="data:," onerror="window.isHit = true">',
        '<a class="smuggled" href="javascript:window.isHit = true">go</a>',
        '<iframe srcdoc="<script>parent.isHit = true</script>"></iframe>',
        '<form class="smuggled" action="https://evil.example/"><button>go</button></form>',
    ):
        with page.expect_console_message(is_our_error):
            page.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", markup)
            page.evaluate("[...document.querySelectorAll('a.smuggled, .smuggled button')].at(-1)?.click()")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'isHit = true'}))")
    assert page.evaluate("window.isHit") is None and page.url.startswith(site.address)


def test_axe_finds_a_violation(site: Site) -> None:
    """axe-core reports a violation that this test adds to a page."""
    page = site.tab(MANAGER, bypass_csp=True)
    site.visit(page, "agents")
    fault = '<p style="position: fixed; top: 50%; left: 40%; z-index: 9; color: #ddd; background: #fff">a fault</p>'
    page.evaluate("fault => document.body.insertAdjacentHTML('beforeend', fault)", fault)
    page.evaluate(AXE)
    checked = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [rule["impact"] for rule in checked["violations"] if rule["id"] == "color-contrast"] == ["serious"]


def test_the_navigation_makes_room_for_the_controls_beside_it(site: Site) -> None:
    """They become wider as alerts are counted, and with the name of the account."""
    floor(site.path, alerts=[alert("asa_s", clock.now(), rule=f"rule {n}", campaign="north") for n in range(120)])
    page = site.tab(MANAGER)
    site.visit(page, "agents", "es")
    page.get_by_role("button", name="120 alertas").wait_for()
    for wider in ("0", "9rem"):
        page.evaluate("wider => document.querySelector('.st-key-bell').style.paddingLeft = wider", wider)
        for width in (1600, 1439, 1366, 1240, 1100):
            page.set_viewport_size({"width": width, "height": 768})
            assert (width, cut_off(page)) == (width, [])
            assert page.locator('[data-testid="stTopNavLink"]:visible').count() > 1
    folded = page.get_by_role("button", name="Más", exact=True)
    folded.click()
    entry = page.get_by_role("menuitem", name="Flujo")
    entry.wait_for()
    assert "more" not in page.locator('[data-testid="stTopNav"]').inner_text()
    page.keyboard.press("Escape")
    entry.wait_for(state="hidden")
    folded.focus()
    page.keyboard.press("Enter")
    entry.wait_for()
    entries = page.get_by_role("menuitem")
    focused = set()
    for _ in range(entries.count()):
        focused.add(page.evaluate("document.activeElement.innerText"))
        page.keyboard.press("ArrowDown")
    assert focused == set(entries.all_inner_texts())


def cut_off(page: "Page") -> list[str]:
    """Return the faults that stay. Streamlit folds its navigation a moment after the page has become narrow."""
    for _ in range(20):
        if not (faults := page.evaluate(CUT_OFF)):
            break
        page.wait_for_timeout(100)
    return list(faults)


def is_our_error(message: "ConsoleMessage") -> bool:
    """Whether the page caused this error. Streamlit also requests its root paths relative to a page, and gets 404."""
    return message.type == "error" and "/_stcore/" not in message.location["url"]


def test_cut_off_and_overlapping_texts_are_found(site: Site) -> None:
    """CUT_OFF reports faults that this test adds to a page."""
    page = site.tab(MANAGER)
    site.visit(page, "feed")
    page.locator(".card b").first.wait_for()
    assert page.evaluate(CUT_OFF) == []
    page.evaluate("document.querySelector('.card b').style = 'width: 1px; overflow: hidden'")
    page.evaluate("document.querySelectorAll('.card > span')[1].style = 'position: relative; top: 25px'")
    faults = " ".join(page.evaluate(CUT_OFF))
    assert "cut by" in faults and " over " in faults


@pytest.mark.parametrize("path", ["sla?campaign=north", "campaign?campaign=north"])
def test_a_chart_is_described_in_words(site: Site, path: str) -> None:
    floor(site.path)
    page = site.tab(CLIENT)
    site.visit(page, path)
    page.locator(".js-plotly-plot").first.wait_for()
    charts = page.locator('[data-testid="stPlotlyChart"]')
    assert charts.count() == page.locator(".js-plotly-plot").count() > 0
    named = page.get_by_role("img", name="Chart, ").or_(page.get_by_role("figure", name="Chart, "))
    assert named.locator(".js-plotly-plot").count() == charts.count()


# ticks

WATCH = """() => {
    window.shown = [];
    const told = ['stSpinner', 'stSkeleton', 'stStatusWidget'].map((id) => `[data-testid="${id}"]`);
    const seen = {opacityProperty: true, visibilityProperty: true};
    const look = () => {
        for (const one of document.querySelectorAll(told.map((all) => `${all} :not(:has(*))`))) {
            const box = one.getBoundingClientRect();
            if (one.checkVisibility(seen) && box.width * box.height > 0) window.shown.push(one.parentElement.outerHTML);
        }
        requestAnimationFrame(look);
    };
    look();
}"""
SCROLL = "document.querySelector('[data-testid=stMain]').scrollTop"


def wall_waits(n: int) -> Callable[["Page"], bool]:
    return lambda page: page.locator(".vigie-floor .n.first b").first.inner_text() == str(n)


def campaign_waits(n: int) -> Callable[["Page"], bool]:
    return lambda page: bool(
        page.locator(".vigie-headline .card", has_text="Waiting").locator("b").inner_text() == str(n)
    )


def thirty_agents_are(words: str) -> Callable[["Page"], bool]:
    return lambda page: page.locator(".vigie-agents").get_by_text(words).count() >= 30


TICKS: dict[str, tuple[str, list[tuple[dict[str, Any], Callable[["Page"], bool]]]]] = {
    # page → one of its links, and floors to publish in turn, each with a check that it is drawn
    "wallboard": (".st-key-links a >> nth=2", [({"waiting": n}, wall_waits(n)) for n in (5, 6, 7)]),
    "campaign?campaign=north": (
        ".st-key-headlinks a >> nth=3",
        [({"waiting": n}, campaign_waits(n)) for n in (5, 6, 7)],
    ),
    "agents": (
        ".vigie-agents td.calls a >> nth=9",  # inside what the tick redraws
        [
            ({"state": "wrap_up"}, thirty_agents_are("In wrap-up")),
            ({"state": "available"}, thirty_agents_are("Available")),
            ({"state": "wrap_up"}, thirty_agents_are("In wrap-up")),
        ],
    ),
}


@pytest.mark.parametrize("path", TICKS)
def test_ticks_keep_scroll_focus_and_an_open_menu(site: Site, path: str) -> None:
    link, ticks = TICKS[path]

    def tick() -> None:
        for published, is_drawn in ticks:
            floor(site.path, **published)
            wait_for(lambda: is_drawn(page), f"the tick after {published}")  # noqa: B023 - called at once

    floor(site.path)
    page = site.tab(MANAGER, viewport={"width": 390, "height": 844})
    site.visit(page, path)
    page.locator(link).wait_for(state="attached")
    page.evaluate(WATCH)

    page.locator(".st-key-frame").get_by_role("combobox").click()
    page.get_by_role("option", name="Español").wait_for()
    tick()
    assert page.get_by_role("option", name="Español").is_visible()
    page.keyboard.press("Escape")

    page.locator(link).evaluate("link => link.focus({preventScroll: true})")
    address = page.evaluate("document.activeElement.getAttribute('href')")
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 333)")
    wait_for(lambda: page.evaluate(SCROLL) == 333, "the scroll")
    floor(site.path)
    tick()
    assert page.evaluate(SCROLL) == 333
    assert address and page.evaluate("document.activeElement.getAttribute('href')") == address
    assert page.evaluate("shown") == []


def test_a_tick_keeps_the_scroll_of_a_table(site: Site) -> None:
    floor(site.path)
    page = site.tab(MANAGER)
    site.visit(page, "feed")
    letters = page.locator(".vigie-scroll.letters")
    letters.get_by_text("no such type 3").first.wait_for(state="attached")
    letters.evaluate("table => table.scrollTo(0, 300)")
    floor(site.path, letters=61, later_s=60)  # 60 s later the cached part of the page is read again
    letters.get_by_text("no such type 60").wait_for(state="attached")
    assert letters.evaluate("table => table.scrollTop") == 300


LABEL = """() => {  // what Plotly does to measure a label of a chart
    const drawings = document.querySelectorAll('[data-testid=stPlotlyChart], .vigie-board');
    const label = drawings[0].appendChild(document.createElement('span'));
    label.textContent = 'label';
    label.getBoundingClientRect();
    label.remove();
    return document.querySelectorAll('*').length;
}"""


@pytest.mark.parametrize("path", ["wallboard", "campaign?campaign=north"])
def test_a_label_does_not_make_the_browser_style_the_whole_page_again(site: Site, path: str) -> None:
    """With a selector like `.stApp:not(:has(…))` Chromium does that for each element that is added."""
    floor(site.path)
    page = site.tab(MANAGER)
    site.visit(page, path)
    shares = []
    for _ in range(5):  # a tick may be drawn meanwhile
        site.chromium.start_tracing(
            page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline"]
        )
        elements = page.evaluate(LABEL)
        events = json.loads(site.chromium.stop_tracing())["traceEvents"]
        styled = [event["args"].get("elementCount", 0) for event in events if event["name"] == "UpdateLayoutTree"]
        shares.append(sum(styled) / elements)
    page.context.close()
    assert 0 < min(shares) < 0.4, shares


def test_the_browser_knows_from_the_beginning_that_a_page_draws_charts(site: Site) -> None:
    floor(site.path)
    page = site.tab(CLIENT)
    site.visit(page, "campaign?campaign=north")
    page.locator(".js-plotly-plot .barlayer").first.wait_for(state="attached")
    started = page.evaluate(
        "[/PlotlyChart/, /index[.][^.]+[.]js/].map((name) => performance.getEntriesByType('resource')"
        ".filter((one) => name.test(one.name)).map((one) => one.startTime))"
    )
    ((plotly,), (frontend,)) = started
    assert plotly <= frontend + 50
    site.visit(page, "wallboard")
    assert not page.evaluate("performance.getEntriesByType('resource').some((one) => /PlotlyChart/.test(one.name))")
