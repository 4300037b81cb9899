"""The wall on a television: readable from afar, in turns, calm, and back by itself when everything else was gone."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page
from streamlit.testing.v1 import AppTest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, board
from pages.assets import ASSETS
from pages.shared import i18n
from pages.wall import television, tiles
from tests.support.browsing import LOST, TITLES, WAITING, WITHIN_MS, browser, dashboard, drawn, needs_chromium, open_tab
from tests.support.drawing import open_page, wall, words
from tests.support.floor_file import MANAGER, publish
from tests.support.people import session_of
from tests.support.processes import free_port, wait_for

pytestmark = pytest.mark.slow

TELEVISION = Viewer("television", None)
ENGLISH = i18n.text("en")


def floor(many: int, of: int = 2) -> dict[str, tuple[str, str, str]]:
    """Campaigns, `of` a client: c00 and c01 are Client 0's."""
    return {f"c{n:02}": (f"Client {n // of}", f"Campaign {n:02}", "Europe/Paris") for n in range(many)}


def put(path: Path, many: int = 3, *, missed: tuple[str, ...] = (), waiting: int = 1, age_s: float = 0) -> None:
    """Publish a floor as it is now: every campaign on target, save those `missed`; `waiting` calls in the first."""
    calls = [
        {"campaign": campaign, "wait_s": 60.0 if campaign in missed else 5.0}
        for campaign in floor(many)
        for _ in range(4)
    ]
    calls += [{"campaign": "c00", "outcome": "open", "wait_s": 42.0}] * waiting
    agents = {"Nadia Benali": ("c00", "busy"), "Tom Okafor": ("c00", "paused")}
    at = clock.now() - timedelta(seconds=age_s)
    publish(path, campaigns=floor(many), calls=calls, agents=agents, as_of=at)


def shown(html: str) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", html)


# what the address asks


@pytest.mark.parametrize(
    ("said", "expected"),
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
        pytest.param({"every": "²"}, ("campaign", 15, False), id="a digit that is no number"),
        pytest.param({"by": "agent", "sound": "yes"}, ("campaign", 15, False), id="what does not exist"),
    ],
)
def test_what_the_address_asks_is_kept_within_bounds(said: dict[str, str], expected: tuple[str, int, bool]) -> None:
    asked = television.options(said)
    assert (asked.by, asked.every_s, asked.sound) == expected


@pytest.mark.parametrize(
    ("many", "by", "sizes"),
    [
        pytest.param(1, "campaign", [1], id="one"),
        pytest.param(8, "campaign", [8], id="eight fit: all are shown"),
        pytest.param(9, "campaign", [5, 4], id="nine do not: two pages, as equal as can be"),
        pytest.param(14, "campaign", [7, 7], id="fourteen"),
        pytest.param(17, "campaign", [6, 6, 5], id="seventeen: three"),
        pytest.param(5, "client", [2, 2, 1], id="a client after the other"),
        pytest.param(14, "all", [14], id="everything, however small"),
    ],
)
def test_campaigns_are_shown_a_page_at_a_time(path: Path, many: int, by: television.By, sizes: list[int]) -> None:
    put(path, many)
    now = board(Published(path), TELEVISION)
    assert now is not None
    pages = television.pages(now.campaigns, by)
    assert [len(page) for page in pages] == sizes
    assert [one for page in pages for one in page] == list(now.campaigns)


def test_pages_turn_by_the_servers_clock_and_each_is_drawn_once_for_all(path: Path) -> None:
    put(path, 14)
    now = board(Published(path), TELEVISION)
    assert now is not None

    def at(now_s: float, language: str = "en") -> str:
        asked = television.Options("campaign", 15, False)
        return television.draw(now, TELEVISION, i18n.text(language), asked, now_s, 1.0)

    first, second = shown(at(0)), shown(at(15))
    assert first == [f"Campaign {n:02}" for n in range(7)] and second == [f"Campaign {n:02}" for n in range(7, 14)]
    assert shown(at(14.9)) == shown(at(30)) == first and shown(at(29.9)) == second
    assert "Page 1 of 2" in words(at(0)) and "Page 2 of 2" in words(at(15))
    assert at(0).replace('data-drawn="0"', 'data-drawn="1"') == at(1)  # a tick changes when it was, and no more
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
        assert json.loads(unescape(re.findall(r'data-missed="(.*?)"', html)[0])) == ["c00", "c13"]


# what is on the screen


def links(test: AppTest) -> int:
    return len(test.get("page_link")) + wall(test).count("<a ")


@pytest.mark.parametrize(
    ("viewer", "asked"),
    [
        pytest.param(TELEVISION, {}, id="a television's token is enough"),
        pytest.param(MANAGER, {"tv": "1"}, id="or who looks asks for it"),
    ],
)
def test_a_television_has_no_menu_no_link_and_names_nobody(path: Path, viewer: Viewer, asked: dict[str, str]) -> None:
    put(path)
    test = open_page(viewer=viewer, **asked)
    html = wall(test)
    assert 'class="vigie-board television' in html and html.count("<article") == 3
    assert links(test) == 0 and not test.selectbox and not test.get("popover")
    everything = html + "".join(element.proto.body for element in test.get("html"))
    assert "Nadia" not in everything and "Okafor" not in everything
    assert re.search(r"1 Waiting 0:42 Longest wait > 20 s", words(html.split("<article")[1]))


def test_the_wall_of_somebody_who_asks_for_no_television_keeps_its_links(path: Path) -> None:
    put(path)
    test = open_page(viewer=MANAGER)
    assert links(test) == 6 and "television" not in wall(test)
    assert not any("data-wanted" in element.proto.body for element in test.get("html"))


def test_a_television_sees_its_campaigns_only_also_in_what_rings(path: Path) -> None:
    put(path, missed=("c02",))
    html = wall(open_page(viewer=Viewer("television", frozenset({"c00"})), tv="1"))
    assert shown(html) == ["Campaign 00"] and "c02" not in html and "Campaign 02" not in html


def test_each_tile_has_its_state_as_a_shape_and_a_word_its_target_line_and_its_age(path: Path) -> None:
    put(path, missed=("c01",))
    articles = wall(open_page(viewer=TELEVISION)).split("<article")[1:]
    for tile, state in zip(articles, ("On target", "Below target", "On target"), strict=True):
        assert state in words(tile) and re.search(r'<span class="state (met|missed)"><i></i>', tile)
        assert '<hr style="bottom:80.0%">' in tile and re.search(r'class="ago">\d+\ss<', tile)
        assert words(tile).index("Waiting") < words(tile).index("Service level")


def test_old_data_is_grey_on_a_television_too(path: Path) -> None:
    put(path, age_s=60)
    assert 'class="vigie-board television large stale"' in wall(open_page(viewer=TELEVISION))


def test_a_television_waits_for_the_first_data_in_words(path: Path) -> None:
    test = open_page(viewer=TELEVISION)
    assert any("Waiting for the first data" in element.value for element in test.markdown)


# contrast, by the colours of the style sheet

RGB = tuple[float, float, float]


def palette() -> dict[str, tuple[RGB, RGB]]:
    css = (ASSETS / "style.css").read_text()
    found = re.findall(r"--(\w+): light-dark\(#(\w{6}), #(\w{6})\);", css)
    assert len(found) == 10
    return {name: (rgb(light), rgb(dark)) for name, light, dark in found}


def rgb(code: str) -> RGB:
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def mixed(share: float, one: RGB, other: RGB) -> RGB:
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(one, other, strict=True))
    return red, green, blue


def grey(colour: RGB) -> RGB:
    """Return what `filter: grayscale(1)` makes of it."""
    luma = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    return luma, luma, luma


def contrast(one: RGB, other: RGB) -> float:
    """Return the ratio that WCAG 2 defines."""

    def luminance(colour: RGB) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
@pytest.mark.parametrize(
    ("colour", "ground"),
    [
        *((text, ground) for text in ("ink", "soft", "met", "near", "missed") for ground in ("paper", "ground")),
        *((text, "missed tile") for text in ("ink", "soft", "missed")),
    ],
)
def test_every_colour_of_the_wall_is_read_on_its_ground(colour: str, ground: str, theme: int) -> None:
    css = (ASSETS / "style.css").read_text()
    (share,) = re.findall(r"\.tile\.missed \{.*?background: color-mix\(in srgb, var\(--missed\) (\d+)%", css)
    greyed = set(re.findall(r"filter: grayscale\(1\); opacity: ([\d.]+)", css))
    known = {name: both[theme] for name, both in palette().items()}
    known["missed tile"] = mixed(int(share) / 100, known["missed"], known["paper"])
    assert contrast(known[colour], known[ground]) >= 4.5
    for opacity in greyed:  # too old: grey, and shining through to the page
        behind = known["ground"]
        old = [mixed(float(opacity), grey(known[one]), behind) for one in (colour, ground)]
        assert contrast(*old) >= 4.5


# in a browser, before a real server


DIGITS = """() => [...document.querySelectorAll('.television .big b:not(.nil)')].map(figure => {
    const style = getComputedStyle(figure), canvas = document.createElement('canvas').getContext('2d');
    canvas.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    return canvas.measureText('0').actualBoundingBoxAscent / Math.min(innerHeight, innerWidth);
})"""
AHEAD_S = -60
"""The age of data that stays fresh also where publishing takes a while."""
CUT_OFF = """() => [...document.querySelectorAll('.television .tile .in, .television .n')].filter(
    one => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1
).map(one => one.innerText)"""


def watch(screen: Page, address: str, asked: str = "") -> None:
    screen.set_default_timeout(WITHIN_MS)
    screen.goto(f"{address}/wallboard?tv=1{asked}")
    screen.wait_for_selector(".vigie-board.television")


def until(screen: Page, condition: str, path: Path, many: int = 3, **said: Any) -> None:
    """Go on publishing this floor until the screen shows it so."""

    def holds() -> bool:
        put(path, many, **said)
        try:
            return bool(screen.evaluate(condition))
        except PlaywrightError as error:
            assert "Execution context was destroyed" in str(error), error  # it is just being loaded anew
            return False

    wait_for(holds, condition)


@needs_chromium
def test_figures_are_a_twentieth_of_the_screen_and_nothing_is_cut_off(path: Path, tmp_path: Path) -> None:
    put(path, 14, missed=("c00",))
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        for (width, height), language in product(((1920, 1080), (1366, 768), (1080, 1920)), ("fr", "es")):  # the longer
            screen.set_viewport_size({"width": width, "height": height})
            watch(screen, served.address, f"&lang={language}&every=5")
            drawn(screen)
            screen.evaluate("document.fonts.ready")
            for campaign in ("Campaign 00", "Campaign 13"):  # on one page each
                screen.wait_for_function(f"{TITLES}.includes('{campaign}')")
                heights = screen.evaluate(DIGITS)
                assert len(heights) >= 7 and min(heights) >= 0.05
                cut_off = screen.evaluate(CUT_OFF)
                assert not cut_off, f"{width} × {height}, {language}: {cut_off}"
                assert screen.evaluate("document.documentElement.scrollHeight <= innerHeight")
                menus = screen.locator("a:visible, header.stAppHeader:visible, [data-testid=stHeader]:visible")
                assert not menus.evaluate_all("found => found.map(one => one.outerHTML)")


class Wire:
    """A network that can be cut: what is open stays open, and nothing comes through it ever again."""

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
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@needs_chromium
def test_a_television_comes_back_from_a_network_that_was_lost(path: Path, tmp_path: Path) -> None:
    """Nothing tells the browser that its connection is dead, and Streamlit alone waits on it."""
    put(path, waiting=1)
    port = free_port()
    with dashboard(tmp_path, port=port), wire(port) as between, browser() as chromium:
        address = f"http://127.0.0.1:{between.port}"
        screen = open_tab(chromium, address, session_of(TELEVISION))
        watch(screen, address)
        screen.wait_for_function(f"{WAITING} === '1'")
        between.cut()
        screen.wait_for_function(LOST)
        between.mend()
        until(screen, f"{WAITING} === '4' && !{LOST}", path, waiting=4)


@needs_chromium
def test_a_television_comes_back_from_a_server_that_was_killed(path: Path, tmp_path: Path) -> None:
    """Without a touch, without its token, and on the same page of the same wall."""
    put(path, waiting=1)
    port = free_port()
    with browser() as chromium:
        with dashboard(tmp_path, port=port) as served:
            screen = open_tab(chromium, served.address, session_of(TELEVISION))
            watch(screen, served.address, "&by=client&every=5&lang=fr")
            screen.wait_for_function(f"{WAITING} === '1'")
            asked = screen.url
            served.process.kill()
            screen.wait_for_function(LOST)
            assert screen.evaluate(f"{WAITING}") == "1"  # grey, and not blank
        with dashboard(tmp_path, port=port):
            until(screen, f"{WAITING} === '4' && !{LOST}", path, waiting=4)
            assert screen.url == asked


@needs_chromium
def test_it_rings_once_when_a_campaign_falls_below_target_and_never_on_old_data(path: Path, tmp_path: Path) -> None:
    rung = "window.tones / 3"
    heard = "JSON.parse(document.querySelector('.television').dataset.missed).join()"
    calm = "document.querySelector('.television.fresh') !== null"
    # told by the page itself: what Playwright asks of a page counts as somebody's touch
    counted = """setInterval(() => {
            const state = document.querySelector('.vigie-sound')?.dataset.state;
            if (state && state !== window.sound) console.log(`sound ${window.sound = state}`);
        }, 100);
        window.tones = 0; const start = AudioScheduledSourceNode.prototype.start;
        AudioScheduledSourceNode.prototype.start = function (...at) { window.tones++; start.apply(this, at); };"""
    put(path, missed=("c00",))

    def ticks(screen: Page, seconds: int = 3, **said: Any) -> None:
        """Let the screen see this floor for some seconds more."""
        drawn = screen.evaluate("Number(document.querySelector('.television').dataset.drawn)")
        until(screen, f"Number(document.querySelector('.television').dataset.drawn) >= {drawn + seconds}", path, **said)

    with dashboard(tmp_path) as served, browser("--autoplay-policy=document-user-activation-required") as chromium:
        screen = open_tab(chromium, served.address, session_of(TELEVISION))
        screen.add_init_script(counted)
        screen.set_default_timeout(WITHIN_MS)
        with screen.expect_console_message(lambda said: said.text == "sound ask"):
            screen.goto(f"{served.address}/wallboard?tv=1&sound=1")
        with screen.expect_console_message(lambda said: said.text == "sound on"):
            screen.mouse.click(300, 300)
        ticks(screen, missed=("c00",))
        assert screen.evaluate(rung) == 0  # red when it was switched on
        until(screen, f"{rung} === 1", path, missed=("c00", "c01"))
        ticks(screen, missed=("c00", "c01"))
        until(screen, f"{calm} && {heard} === 'c00'", path, missed=("c00",))
        ticks(screen, missed=("c00",))
        ticks(screen, missed=("c00", "c01"))
        assert screen.evaluate(rung) == 1  # once a fall, not a tick, nor when it goes to and fro
        until(screen, f"!({calm}) && {heard} === 'c00,c01,c02'", path, missed=("c00", "c01", "c02"), age_s=600)
        ticks(screen, missed=("c00", "c01", "c02"), age_s=600)
        assert screen.evaluate(rung) == 1
        until(screen, f"{rung} === 2", path, missed=("c00", "c01", "c02"))
        screen.mouse.move(400, 300)
        screen.locator(".vigie-sound").click()
        screen.wait_for_selector('.vigie-sound[data-state="off"]')
        edges = "['.vigie-sound', 'bottom'], ['.vigie-grid', 'top']"
        said, tiles = screen.evaluate(
            f"[{edges}].map(([of, edge]) => document.querySelector(of).getBoundingClientRect()[edge])"
        )
        assert said < tiles  # in the header, over no tile


@needs_chromium
@pytest.mark.parametrize(
    ("viewer", "asked"),
    [pytest.param(TELEVISION, "?tv=1", id="on a television"), pytest.param(MANAGER, "", id="on anybody's screen")],
)
def test_what_streamlit_notes_of_every_tick_does_not_pile_up(
    path: Path, tmp_path: Path, viewer: Viewer, asked: str
) -> None:
    noted = """window.noted = 0; const mark = performance.mark;
        performance.mark = function (...said) { window.noted++; return mark.apply(this, said); };"""
    put(path)
    with dashboard(tmp_path) as served, browser() as chromium:
        screen = open_tab(chromium, served.address, session_of(viewer))
        screen.add_init_script(noted)
        screen.set_default_timeout(WITHIN_MS)
        screen.goto(f"{served.address}/wallboard{asked}")
        screen.wait_for_function("window.noted > 40 && performance.getEntriesByType('mark').length === 0")
        screen.wait_for_function("performance.getEntriesByType('measure').length === 0")


@needs_chromium
def test_after_hours_it_is_loaded_anew_at_a_quiet_moment(path: Path, tmp_path: Path) -> None:
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
        assert screen.evaluate("window.isFirst")  # somebody waits: this is no moment to look away
        until(screen, f"!window.isFirst && {WAITING} === '0'", path, waiting=0, age_s=AHEAD_S)
