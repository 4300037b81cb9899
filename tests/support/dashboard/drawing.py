"""Runs pages in Streamlit without a browser, and reads the text that they show."""

import re
from functools import cache
from html.parser import HTMLParser

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.people import user_of
from tests.support.floor_file import MANAGER
from tests.support.processes import ROOT, WITHIN_S

PAGES = ROOT / "pages"
PAGE_NAMES = sorted({file.stem for file in PAGES.glob("*.py")} - {"__init__", "app"})
"""Every page, by the name in its address."""

# each AppTest reads the metadata of every installed package, to find components: half the time of a page
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

HOSTILE = '<script>alert("1")</script> & **bold** :red[x]'


def open_page(page: str | None = None, /, viewer: Viewer = MANAGER, **parameters: str) -> AppTest:
    """Run the app; then switch to `page`, if it is not the first one. `parameters` are those of the URL."""
    test = AppTest.from_file(str(PAGES / "app.py"), default_timeout=WITHIN_S)
    test.user = user_of(viewer)
    for name, value in parameters.items():
        test.query_params[name] = value
    test.run()
    if page is not None:
        test.switch_page(page).run()
    assert not test.exception
    return test


def wall(test: AppTest) -> str:
    """Return the HTML of the board, the one element that a tick redraws."""
    boards = [html.proto.body for html in test.get("html") if html.proto.body.startswith('<div class="vigie-board')]
    assert len(boards) == 1
    return boards[0]


def headline(test: AppTest) -> dict[str, str]:
    """Return the campaign page's KPIs by label."""
    drawn = [html.proto.body for html in test.get("html") if "vigie-headline" in html.proto.body]
    return dict(re.findall(r'<div class="card"><span>(.*?)</span><b[^>]*>(.*?)</b>', "".join(drawn)))


def words(html: str) -> str:
    """Return the visible text of a piece of HTML."""
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(texts).split())


def section(test: AppTest, name: str) -> str:
    return " ".join(words(html.proto.body) for html in test.get("html") if name in html.proto.body)
