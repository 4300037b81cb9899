"""The wall on a television: readable from a distance, page by page, calm, and able to recover on its own."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page
from streamlit.testing.v1 import AppTest

from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, board
from pages.assets import ASSETS
from pages.shared import i18n
from pages.wall import television, tiles
from tests.support.dashboard.browsing import (
    LOST,
    TITLES,
    WAITING,
    WITHIN_MS,
    browser,
    dashboard,
    drawn,
    needs_chromium,
    open_tab,
    wait_until,
)
from tests.support.dashboard.drawing import open_page, wall, words
from tests.support.dashboard.people import session_of
from tests.support.dashboard.walls import CUT_OFF, TELEVISION, put, watch
from tests.support.floor_file import MANAGER
from tests.support.processes import free_port, wait_for

pytestmark = pytest.mark.slow

ENGLISH = i18n.text("en")


def shown(html: str) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", html)


# options in the address


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, ("campaign", 15, False), id="nothing: 15 s a page, silent"),
        pytest.param({"by": "client", "every": "20", "sound": "1"}, ("client", 20, True), id="all of it"),
        pytest.param({"every": "5"}, ("campaign", 5, False), id="the shortest"),
        pytest.param({"every": "4"}, ("campaign", 5, False), id="too short"),
        pytest.param({"every": "0"}, ("campaign", 5, False), id="no time at all"),
        pytest.param({"every": "86400"}, ("campaign", 300, False), id="too long"),
        pytest.param({"every": "-3"}, ("campaign", 15, False), id="negative"),
        pytest.param({"every": "soon"}, ("campaign", 15, False), id="no number"),
        pytest.param({"every": "9" * 5000}, ("campaign", 15, False), id="thousands of digits"),
        pytest.param({"every": "²"}, ("campaign", 15, False), id="a superscript digit"),
        pytest.param({"by": "agent", "sound": "yes"}, ("campaign", 15, False), id="unknown values"),
    ],
)
def test_options_in_the_address_are_kept_within_bounds(query: dict[str, str], expected: tuple[str, int, bool]) -> None:
    options = television.options(query)
    assert (options.by, options.every_s, options.sound) == expected


@pytest.mark.parametrize(
    ("many", "by", "sizes"),
    [
        pytest.param(1, "campaign", [1], id="one"),
        pytest.param(8, "campaign", [8], id="eight fit: all are shown"),
        pytest.param(9, "campaign", [5, 4], id="nine do not: two pages of almost equal size"),
        pytest.param(14, "campaign", [7, 7], id="fourteen"),
        pytest.param(17, "campaign", [6, 6, 5], id="seventeen: three"),
        pytest.param(5, "client", [2, 2, 1], id="one client per page"),
        pytest.param(14, "all", [14], id="everything, however small"),
    ],
)
def test_campaigns_are_divided_into_pages(path: Path, many: int, by: television.By, sizes: list[int]) -> None:
    put(path, many)
    now = board(Published(path), TELEVISION)
    assert now is not None
    pages = television.pages(now.campaigns, by)
    assert [len(page) for page in pages] == sizes
    assert [tile for page in pages for tile in page] == list(now.campaigns)


def test_pages_turn_by_the_servers_clock_and_each_is_drawn_once_for_all_screens(path: Path) -> None:
    put(path, 14)
    now = board(Published(path), TELEVISION)
    assert now is not None

    def at(now_s: float, language: str = "en") -> str:
        options = television.Options("campaign", 15, False)
        return television.draw(now, TELEVISION, i18n.text(language), options, now_s, 1.0)

    first, second = shown(at(0)), shown(at(15))
    assert first == [f"Campaign {n:02}" for n in range(7)] and second == [f"Campaign {n:02}" for n in range(7, 14)]
    assert shown(at(14.9)) == shown(at(30)) == first and shown(at(29.9)) == second
    assert "Page 1 of 2" in words(at(0)) and "Page 2 of 2" in words(at(15))
    assert at(0).replace('data-drawn="0"', 'data-drawn="1"') == at(1)  # a tick changes only the time of drawing
    drawn = dict(tiles._drawn)
    at(0), at(15)
    assert all(tiles._drawn[key] is page for key, page in drawn.items())


def test_a_campaign_below_target_on_another_page_is_named(path: Path) -> None:
    put(path, 14, missed=("c00", "c13"))
    now = board(Published(path), TELEVISION)
    assert now is not None
    for now_s in (0, 15):
        html = television.draw(now, TELEVISION, ENGLISH, television.Options("campaign", 15, False), now_s, 1.0)
        assert "2 below target Campaign 00, Campaign 13 Page" in words(html)


# what is on the screen


def links(test: AppTest) -> int:
    return len(test.get("page_link")) + wall(test).count("<a ")


@pytest.mark.parametrize(
    ("viewer", "query"),
    [
        pytest.param(TELEVISION, {}, id="with the token of a television"),
        pytest.param(MANAGER, {"tv": "1"}, id="when a manager asks for it"),
    ],
)
def test_a_television_has_no_menu_no_links_and_no_names_of_agents(
    path: Path, viewer: Viewer, query: dict[str, str]
) -> None:
    put(path)
    test = open_page(viewer=viewer, **query)
    html = wall(test)
    assert 'class="vigie-board television' in html and html.count("<article") == 3
    assert links(test) == 0 and not test.selectbox and not test.get("popover")
    everything = html + "".join(element.proto.body for element in test.get("html"))
    assert "Nadia" not in everything and "Okafor" not in everything
    assert re.search(r"1 Waiting 0:42 Longest wait > 20 s", words(html.split("<article")[1]))


def test_a_wall_that_is_not_on_a_television_keeps_its_links(path: Path) -> None:
    put(path)
    test = open_page(viewer=MANAGER)
    # two for each campaign, the bell, and the one to the television
    assert links(test) == 8 and "television" not in wall(test)
    assert not any("data-wanted" in element.proto.body for element in test.get("html"))


def test_a_television_sees_and_rings_for_its_campaigns_only(path: Path) -> None:
    put(path, missed=("c02",), alerts=("c00", "c02"))
    html = wall(open_page(viewer=Viewer("television", frozenset({"c00"})), tv="1"))
    assert shown(html) == ["Campaign 00"] and "c02" not in html and "Campaign 02" not in html
    assert "Callers waiting above 2 · Campaign 00" in words(html) and "waiting|c00" in html


def test_each_tile_shows_state_target_line_and_age(path: Path) -> None:
    put(path, missed=("c01",))
    articles = wall(open_page(viewer=TELEVISION)).split("<article")[1:]
    for tile, state in zip(articles, ("On target", "Below target", "On target"), strict=True):
        assert state in words(tile) and re.search(r'<span class="state (met|missed)"><i></i>', tile)
        assert '<hr style="bottom:80.0%">' in tile and re.search(r'class="ago">\d+\ss<', tile)
        assert words(tile).index("Waiting") < words(tile).index("Last 30 min")


def test_old_data_is_grey_on_a_television_too(path: Path) -> None:
    put(path, age_s=60)
    assert 'class="vigie-board television large stale"' in wall(open_page(viewer=TELEVISION))


def test_a_television_says_that_it_waits_for_the_first_data(path: Path) -> None:
    test = open_page(viewer=TELEVISION)
    assert any("Waiting for the first data" in element.value for element in test.markdown)


# contrast of the colours in the style sheet

RGB = tuple[float, float, float]


def palette() -> dict[str, tuple[RGB, RGB]]:
    css = (ASSETS / "style.css").read_text()
    colours = re.findall(r"--(\w+): light-dark\(#(\w{6}), #(\w{6})\);", css)
    assert len(colours) == 10
    return {name: (rgb(light), rgb(dark)) for name, light, dark in colours}


def rgb(code: str) -> RGB:
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def mixed(share: float, first: RGB, second: RGB) -> RGB:
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(first, second, strict=True))
    return red, green, blue


def grey(colour: RGB) -> RGB:
    """Return this colour after `filter: grayscale(1)`."""
    luma = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    return luma, luma, luma


def contrast(first: RGB, second: RGB) -> float:
    """Return the contrast ratio of WCAG 2."""

    def luminance(colour: RGB) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
@pytest.mark.parametrize(
    ("colour", "ground"),
    [
        *((text, ground) for text in ("ink", "soft", "met", "near", "missed") for ground in ("paper", "ground")),
        *((text, "missed tile") for text in ("ink", "soft", "met", "near", "missed")),
    ],
)
def test_every_colour_of_the_wall_has_enough_contrast(colour: str, ground: str, theme: int) -> None:
    css = (ASSETS / "style.css").read_text()
    (share,) = re.findall(r"\.tile\.missed \{.*?background: color-mix\(in srgb, var\(--missed\) (\d+)%", css)
    greyed = set(re.findall(r"filter: grayscale\(1\); opacity: ([\d.]+)", css))
    colours = {name: both[theme] for name, both in palette().items()}
    colours["missed tile"] = mixed(int(share) / 100, colours["missed"], colours["paper"])
    assert contrast(colours[colour], colours[ground]) >= 4.5
    for opacity in greyed:  # old data is drawn grey and translucent
        behind = colours["ground"]
        old = [mixed(float(opacity), grey(colours[name]), behind) for name in (colour, ground)]
        assert contrast(*old) >= 4.5


def test_no_rule_of_all_pages_depends_on_what_is_anywhere_in_them() -> None:
    """Such a rule makes a browser match the whole page again at every change: the campaign page took seconds."""
    css = (ASSETS / "style.css").read_text()
    assert not re.findall(r"^\s*(?:html|body|:root)[^{\n]*:has\(.*", css, re.MULTILINE)
    assert not re.findall(r".*:has\([^{\n]*\) \* \{.*", css)


# in a browser, with a real server


DIGITS = """() => [...document.querySelectorAll('.television .big b:not(.nil)')].map(figure => {
    const style = getComputedStyle(figure), canvas = document.createElement('canvas').getContext('2d');
    canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    return canvas.measureText('0').actualBoundingBoxAscent / Math.min(innerHeight, innerWidth);
})"""
AHEAD_S = -60
"""Age of data that stays fresh even if publishing is slow."""


def until(screen: Page, condition: str, path: Path, many: int = 3, **floor: Any) -> None:
    """Publish this floor again and again until the condition holds on the screen."""

    def holds() -> bool:
        put(path, many, **floor)
        try:
            return bool(screen.evaluate(condition))
        except PlaywrightError as error:
            assert "Execution context was destroyed" in str(error), error  # the page is reloading
            return False

    wait_for(holds, condition)


@needs_chromium
def test_figures_are_a_twentieth_of_the_screen_and_nothing_is_cut_off(path: Path, tmp_path: Path) -> None:
    put(path, 14, missed=("c00",))
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        translated = i18n.LANGUAGES.keys() - {i18n.SOURCE}  # longer than English
        for (width, height), language in product(((1920, 1080), (1366, 768), (1080, 1920)), translated):
            screen.set_viewport_size({"width": width, "height": height})
            watch(screen, served.address, f"&lang={language}&every=5")
            drawn(screen)
            screen.evaluate("document.fonts.ready")
            for campaign in ("Campaign 00", "Campaign 13"):  # they are on different pages
                wait_until(screen, f"{TITLES}.includes('{campaign}')")
                heights = screen.evaluate(DIGITS)
                assert len(heights) >= 7 and min(heights) >= 0.05
                cut_off = screen.evaluate(CUT_OFF)
                assert not cut_off, f"{width} × {height}, {language}: {cut_off}"
                assert screen.evaluate("document.documentElement.scrollHeight <= innerHeight")
                menus = screen.locator("a:visible, header.stAppHeader:visible, [data-testid=stHeader]:visible")
                assert not menus.evaluate_all("found => found.map(one => one.outerHTML)")


IN_THE_CLOCKS_WAY = """() => {
    const attention = document.querySelector('.attention'), [mark] = attention.children;
    const verdict = mark.cloneNode(true);
    verdict.className = 'verdict';
    attention.replaceChildren(mark, mark.cloneNode(true), verdict);  // as many as a large floor has
    const clock = document.querySelector('.vigie-clock').getBoundingClientRect();
    return [...attention.children].map((one) => [one.innerText, one.getBoundingClientRect()])
        .filter(([, {width, left, right}]) => width && left < clock.right + 5 && right > clock.left - 5)
        .map(([words]) => words);
}"""


@needs_chromium
def test_the_clock_covers_nothing(path: Path, tmp_path: Path) -> None:
    put(path, missed=("c00",))
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        for (width, height), language in product(((1920, 1080), (1366, 768)), i18n.LANGUAGES):
            screen.set_viewport_size({"width": width, "height": height})
            watch(screen, served.address, f"&lang={language}")
            wait_until(screen, "document.querySelector('.vigie-clock').textContent !== ''")
            assert not screen.evaluate(IN_THE_CLOCKS_WAY), f"{width} × {height}, {language}"


class Wire:
    """A network that can be cut. Open connections stay open, but carry no more data, even after `mend`."""

    def __init__(self, to_port: int) -> None:
        self.to_port, self.port = to_port, free_port()
        self.is_cut, self._cuts = False, 0

    def cut(self) -> None:
        self.is_cut, self._cuts = True, self._cuts + 1

    def mend(self) -> None:
        self.is_cut = False

    async def serve(self) -> None:
        async with await asyncio.start_server(self._joined, "127.0.0.1", self.port) as server:
            await server.serve_forever()

    async def _joined(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        there, forth = await asyncio.open_connection("127.0.0.1", self.to_port)
        began = -1 if self.is_cut else self._cuts
        await asyncio.gather(self._carry(here, forth, began), self._carry(there, back, began), return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, began: int) -> None:
        while data := await source.read(65_536):
            if began == self._cuts:
                to.write(data)
                await to.drain()
        to.close()


@contextmanager
def wire(to_port: int) -> Iterator[Wire]:
    between, loop = Wire(to_port), asyncio.new_event_loop()
    serving = loop.create_task(between.serve())
    thread = threading.Thread(target=lambda: loop.run_until_complete(_ended(serving)))
    thread.start()
    try:
        yield between
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


async def _ended(serving: "asyncio.Task[None]") -> None:
    await asyncio.wait({serving})
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@needs_chromium
def test_a_television_recovers_from_a_lost_network(path: Path, tmp_path: Path) -> None:
    """Nothing tells the browser that its connection is dead. Streamlit alone would wait for ever."""
    put(path, waiting=1)
    port = free_port()
    with dashboard(tmp_path, port=port), wire(port) as between, browser() as chromium:
        address = f"http://127.0.0.1:{between.port}"
        screen = open_tab(chromium, address, session_of(TELEVISION))
        watch(screen, address)
        wait_until(screen, f"{WAITING} === '1'")
        between.cut()
        wait_until(screen, LOST)
        between.mend()
        until(screen, f"{WAITING} === '4' && !{LOST}", path, waiting=4)


@needs_chromium
def test_a_television_recovers_from_a_killed_server(path: Path, tmp_path: Path) -> None:
    """It needs no touch and no token, and returns to the same address."""
    put(path, waiting=1)
    port = free_port()
    with browser() as chromium:
        with dashboard(tmp_path, port=port) as served:
            screen = open_tab(chromium, served.address, session_of(TELEVISION))
            watch(screen, served.address, "&by=client&every=5&lang=fr")
            wait_until(screen, f"{WAITING} === '1'")
            address = screen.url
            served.process.kill()
            wait_until(screen, LOST)
            assert screen.evaluate(f"{WAITING}") == "1"  # grey, not blank
        with dashboard(tmp_path, port=port):
            until(screen, f"{WAITING} === '4' && !{LOST}", path, waiting=4)
            assert screen.url == address


@needs_chromium
def test_it_rings_once_for_an_alert_and_never_on_old_data(path: Path, tmp_path: Path) -> None:
    rung = "window.tones / 3"
    firing = "JSON.parse(document.querySelector('.television').dataset.rings).join()"
    calm = "document.querySelector('.television.fresh') !== null"
    # the page logs its state: a question from Playwright would count as a touch
    counted = """setInterval(() => {
            const state = document.querySelector('.vigie-sound')?.dataset.state;
            if (state && state !== window.sound) console.log(`sound ${window.sound = state}`);
        }, 100);
        window.tones = 0; const start = AudioScheduledSourceNode.prototype.start;
        AudioScheduledSourceNode.prototype.start = function (...at) { window.tones++; start.apply(this, at); };"""
    put(path, alerts=("c00",))

    def ticks(screen: Page, seconds: int = 3, **floor: Any) -> None:
        """Show this floor on the screen for some more seconds."""
        drawn = screen.evaluate("Number(document.querySelector('.television').dataset.drawn)")
        until(
            screen, f"Number(document.querySelector('.television').dataset.drawn) >= {drawn + seconds}", path, **floor
        )

    with dashboard(tmp_path) as served, browser("--autoplay-policy=document-user-activation-required") as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        screen.add_init_script(counted)
        screen.set_default_timeout(WITHIN_MS)
        with screen.expect_console_message(lambda message: message.text == "sound ask"):
            screen.goto(f"{served.address}/wallboard?tv=1&sound=1")
        with screen.expect_console_message(lambda message: message.text == "sound on"):
            screen.mouse.click(300, 300)
        ticks(screen, alerts=("c00",))
        assert screen.evaluate(rung) == 0  # it fired already when sound was switched on
        until(screen, f"{rung} === 1", path, alerts=("c00", "c01"))
        ticks(screen, alerts=("c00", "c01"))
        until(screen, f"{calm} && {firing} === 'waiting|c00'", path, alerts=("c00",))
        ticks(screen, alerts=("c00",))
        ticks(screen, alerts=("c00", "c01"))
        assert screen.evaluate(rung) == 1  # once: not at every tick, nor when it comes and goes
        until(
            screen,
            f"!({calm}) && {firing} === 'waiting|c00,waiting|c01,waiting|c02'",
            path,
            alerts=("c00", "c01", "c02"),
            age_s=600,
        )
        ticks(screen, alerts=("c00", "c01", "c02"), age_s=600)
        assert screen.evaluate(rung) == 1
        until(screen, f"{rung} === 2", path, alerts=("c00", "c01", "c02"))
        screen.mouse.move(400, 300)
        screen.locator(".vigie-sound").click()
        screen.wait_for_selector('.vigie-sound[data-state="off"]')
        edges = "['.vigie-sound', 'bottom'], ['.vigie-grid', 'top']"
        button_bottom, grid_top = screen.evaluate(
            f"[{edges}].map(([of, edge]) => document.querySelector(of).getBoundingClientRect()[edge])"
        )
        assert button_bottom < grid_top  # in the header, not over a tile


@needs_chromium
@pytest.mark.parametrize(
    ("viewer", "query"),
    [pytest.param(TELEVISION, "?tv=1", id="on a television"), pytest.param(MANAGER, "", id="on anybody's screen")],
)
def test_performance_entries_of_ticks_do_not_pile_up(path: Path, tmp_path: Path, viewer: Viewer, query: str) -> None:
    noted = """window.noted = 0; const mark = performance.mark;
        performance.mark = function (...said) { window.noted++; return mark.apply(this, said); };"""
    put(path)
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(viewer))
        screen.add_init_script(noted)
        screen.set_default_timeout(WITHIN_MS)
        screen.goto(f"{served.address}/wallboard{query}")
        wait_until(screen, "window.noted > 40 && performance.getEntriesByType('mark').length === 0")
        wait_until(screen, "performance.getEntriesByType('measure').length === 0")


@needs_chromium
def test_after_hours_it_reloads_when_no_caller_waits(path: Path, tmp_path: Path) -> None:
    drawn = "Number(document.querySelector('.television').dataset.drawn)"
    put(path, waiting=1, age_s=AHEAD_S)
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        screen.clock.install()
        watch(screen, served.address)
        until(screen, f"{WAITING} === '1'", path, waiting=1, age_s=AHEAD_S)
        screen.evaluate("window.isFirst = true")
        screen.clock.fast_forward("07:00:00")
        ticked = screen.evaluate(drawn)
        until(screen, f"{drawn} > {ticked + 5} && !{LOST}", path, waiting=1, age_s=AHEAD_S)
        assert screen.evaluate("window.isFirst")  # a caller waits, so it does not reload now
        until(screen, f"!window.isFirst && {WAITING} === '0'", path, waiting=0, age_s=AHEAD_S)
