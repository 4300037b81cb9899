"""The wall on a personal computer and the pages around it: paused, without a server, on a phone, by a deep link."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metrics import clock
from pages.shared import i18n
from pages.wall import pause, television
from tests.support.dashboard.browsing import (
    LOST,
    TITLES,
    browser,
    dashboard,
    drawn,
    needs_chromium,
    open_tab,
    wait_until,
)
from tests.support.dashboard.drawing import open_page, wall, words
from tests.support.dashboard.people import session_of
from tests.support.dashboard.served import served
from tests.support.dashboard.walls import CUT_OFF, TELEVISION, put, watch
from tests.support.floor_file import MANAGER, alert
from tests.support.processes import free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


# paused


def test_a_paused_wall_stands_still_and_goes_on_by_itself(path: Path) -> None:
    put(path, waiting=1, age_s=5)
    test = open_page("wallboard.py")
    assert "paused" not in wall(test).partition(">")[0] and words(wall(test)).startswith("1 Waiting")
    test.button(key="pause").click().run()
    put(path, waiting=4)
    test.run()
    picture = words(wall(test))
    assert 'class="vigie-board paused"' in wall(test) and picture.startswith("1 Waiting")
    assert re.search(r"Paused: this is how the floor was \d+ (s|min) ago\. It resumes in \d+ (s|min)\.", plain(picture))
    assert test.button(key="pause").label == "Resume"
    test.session_state[pause.KEY] = replace(test.session_state[pause.KEY], until_s=clock.now_s() - 0.1)
    test.run()
    assert words(wall(test)).startswith("4 Waiting") and "paused" not in wall(test).partition(">")[0]
    assert test.button(key="pause").label == "Pause"


def test_a_paused_wall_goes_on_at_a_click_and_nobody_elses_is_paused(path: Path) -> None:
    put(path, waiting=1)
    test, other = open_page("wallboard.py"), open_page("wallboard.py")
    test.button(key="pause").click().run()
    put(path, waiting=4)
    assert words(wall(other.run())).startswith("4 Waiting")
    test.button(key="pause").click().run()
    assert words(wall(test)).startswith("4 Waiting")


def test_televisions_have_no_button_and_other_pages_neither(path: Path) -> None:
    put(path)
    assert not open_page(viewer=TELEVISION).button
    assert "pause" not in [button.key for button in open_page("feed.py").button]


def plain(words: str) -> str:
    return words.replace("\N{NO-BREAK SPACE}", " ")


# any number of tiles fills a television


@pytest.mark.parametrize(
    ("many", "rows", "tracks", "spans"),
    [
        pytest.param(8, 2, 4, [1] * 8, id="eight: 4 + 4"),
        pytest.param(5, 2, 6, [2, 2, 2, 3, 3], id="five: 3 + 2"),
        pytest.param(4, 2, 2, [1] * 4, id="four: 2 + 2"),
        pytest.param(7, 2, 12, [3] * 4 + [4] * 3, id="seven: 4 + 3"),
        pytest.param(1, 1, 1, [1], id="one"),
        pytest.param(1, 2, 1, [1], id="one, beside fuller pages"),
    ],
)
def test_the_tiles_of_a_row_fill_its_width(many: int, rows: int, tracks: int, spans: list[int]) -> None:
    assert television._spans(many, rows) == (tracks, spans)


HOLES = """() => {
    const grid = document.querySelector('.television .vigie-grid').getBoundingClientRect();
    const tiles = [...document.querySelectorAll('.television .tile')].map((tile) => tile.getBoundingClientRect());
    const covered = tiles.reduce((sum, tile) => sum + tile.width * tile.height, 0);
    return 1 - covered / (grid.width * grid.height);
}"""


@needs_chromium
@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920)])
def test_nine_campaigns_fill_a_television_which_shows_the_time(
    path: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    put(path, 9)
    with dashboard(tmp_path) as running, browser() as chromium:
        width, height = size
        screen = open_tab(chromium, running.address, session_of(TELEVISION), timezone_id="Asia/Tokyo")
        screen.set_viewport_size({"width": width, "height": height})
        watch(screen, running.address, "&every=5")
        for campaign in ("Campaign 00", "Campaign 08"):
            wait_until(screen, f"{TITLES}.includes('{campaign}')")
            assert screen.evaluate(HOLES) < 0.08  # the gaps
            assert not screen.evaluate(CUT_OFF)
        written = wait_until(screen, "document.querySelector('.vigie-clock').textContent")
        hour, minute = map(int, written.split(":"))
        now = clock.now() + timedelta(hours=9)
        assert (now.hour * 60 + now.minute - hour * 60 - minute) % 1440 in (0, 1)


# without a server

LATE = "const every = setInterval; setInterval = (look, ms) => setTimeout(() => every(look, ms), 3000);"
"""The page's own timers begin late, as on a busy machine."""


@needs_chromium
@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("wallboard", "Pas de contact avec le serveur. Voici le plateau tel qu’il était alors."),
        ("campaign?campaign=c00", "Pas de contact avec le serveur depuis"),
    ],
)
def test_a_page_without_a_server_says_so_in_its_readers_language(
    path: Path, tmp_path: Path, page: str, says: str
) -> None:
    put(path, age_s=-60)
    port = free_port()
    with browser() as chromium:
        with dashboard(tmp_path, port=port) as running:
            screen = open_tab(chromium, running.address, session_of(MANAGER))
            screen.add_init_script(LATE)
            screen.goto(f"{running.address}/{page}{'&' if '?' in page else '?'}lang=fr")
            drawn(screen)
            assert not screen.evaluate(LOST)
            running.process.kill()  # at once, as if the page's own script had not looked at the contact yet
        wait_until(screen, LOST)
        seen = ".vigie-board .banner.lost" if page == "wallboard" else ".vigie-away"
        assert plain(screen.locator(seen).inner_text()).startswith(plain(says))
        grey = (
            ".vigie-board .vigie-grid" if page == "wallboard" else '[data-testid="stElementContainer"]:has(.vigie-now)'
        )
        assert "grayscale" in screen.locator(grey).first.evaluate(
            "one => { for (let at = one; at; at = at.parentElement)"
            " if (getComputedStyle(at).filter !== 'none') return getComputedStyle(at).filter; return ''; }"
        )
        ages = set()
        wait_for(lambda: ages.add(screen.locator(".ago:visible").first.inner_text()) or len(ages) > 2, "the age counts")
        english = re.compile("connect|retry|server", re.I)
        assert not english.search(screen.locator("body").inner_text().replace(says, ""))
        with dashboard(tmp_path, port=port):
            wait_until(screen, f"!{LOST}")  # it goes on by itself


# deep links, and a phone


@needs_chromium
def test_a_deep_link_asks_for_nothing_that_is_not_there(tmp_path: Path) -> None:
    with served(tmp_path) as site:
        page = site.tab(MANAGER)
        missing: list[str] = []
        page.on("response", lambda response: missing.append(response.url) if response.status == 404 else None)
        for name in ("campaign?campaign=north", "kpi?campaign=north&kpi=asa_s", "wallboard"):
            site.visit(page, name)
        assert missing == []


@needs_chromium
def test_on_a_phone_the_figures_come_before_the_choices(tmp_path: Path) -> None:
    top = "(of) => document.querySelector(of).getBoundingClientRect().top"
    figures = {
        "campaign?campaign=north": ".st-key-headline",
        "kpi?campaign=north&kpi=asa_s": ".vigie-figure",
        "sla?campaign=north": ".vigie-figure",
    }
    with served(tmp_path) as site:
        for (width, height), (address, figure) in product(((390, 844), (1366, 768)), figures.items()):
            page = site.tab(MANAGER, viewport={"width": width, "height": height})
            site.visit(page, address)
            page.wait_for_selector(figure)
            bar, first = page.evaluate(top, ".st-key-bar"), page.evaluate(top, figure)
            heading = page.locator(".vigie-of")
            if width < 641:
                assert page.evaluate(top, ".vigie-of") < first < bar, address
                assert heading.inner_text() == "Customer care"
            else:
                assert bar < first and not heading.is_visible(), address


BOXES = """(names) => names.map((name) => [...document.querySelectorAll(name)]
    .map((of) => of.getBoundingClientRect()).filter((box) => box.width && box.height)
    .map((box) => [name, box.left, box.top, box.right, box.bottom])).flat()"""


def overlapping(page: "Page", *names: str) -> list[tuple[str, str]]:
    """Return the pairs of visible elements, named by their selectors, of which one covers a part of the other."""
    boxes = page.evaluate(BOXES, names)
    assert {name for name, *_ in boxes} == set(names)
    return [
        (one, other)
        for (one, *a), (other, *b) in combinations(boxes, 2)
        if one != other and a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1
    ]


@needs_chromium
@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_on_a_phone_the_frame_covers_nothing_and_nothing_covers_it(tmp_path: Path, language: str) -> None:
    frame = (".st-key-frame [data-testid='stPopover']", ".st-key-pause button", ".st-key-language_choice")
    with served(tmp_path) as site:
        page = site.tab(MANAGER, viewport={"width": 390, "height": 844})
        site.visit(page, "wallboard", language)
        page.wait_for_selector(".vigie-board")
        assert overlapping(page, *frame, "[data-testid='stHeaderLogo']", "[data-testid='stExpandSidebarButton']") == []
        assert all(box[1] >= 0 and box[3] <= 390 for box in page.evaluate(BOXES, frame))


@needs_chromium
def test_the_words_about_old_data_cover_no_alert(tmp_path: Path) -> None:
    with served(tmp_path, later_s=-90, alerts=[alert("asa_s", clock.now(), campaign="north")]) as site:
        page = site.tab(MANAGER)
        for width in (1400, 1000):
            page.set_viewport_size({"width": width, "height": 800})
            site.visit(page, "wallboard", "es")
            page.wait_for_selector(".vigie-board.stale")
            assert overlapping(page, ".banner.old", ".ringing", ".numbers .first", ".vigie-floor .age") == []
