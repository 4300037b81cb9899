"""A working day of each role, from sign-in to a server restart: Kafka, the consumer, the dashboard and a browser."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from openpyxl import load_workbook
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from ingest.topic.broker import Broker
from metrics import clock
from tests.support.dashboard.browsing import (
    LOST,
    TITLES,
    WAITING,
    WITHIN_MS,
    Dashboard,
    browser,
    dashboard,
    drawn,
    needs_chromium,
    open_tab,
    wait_until,
)
from tests.support.dashboard.people import PASSWORD, accounts
from tests.support.dashboard.streaming import as_bytes
from tests.support.processes import ROOT, consumer, count_calls, free_port, send, wait_for
from tests.support.statements import read
from tests.support.stories.stream import read_story

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = needs_chromium

_numbers = count(1)


@dataclass(frozen=True)
class Day:
    """The campaigns of this repository on their own topic, with a running consumer."""

    place: Path
    servers: str
    topic: str
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def served(self) -> AbstractContextManager[Dashboard]:
        return dashboard(self.place, port=self.port, VIGIE_CAMPAIGNS=str(self.place / "campaigns.toml"))

    def account(self, *arguments: str) -> str:
        """Run the accounts command and return its output."""
        done = accounts(self.place, *arguments, typed=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tell(self, story: str, at: datetime) -> None:
        """Send the events of a story that begins at this instant, each with a new event_id."""
        send(self.servers, self.topic, [event | {"event_id": f"e{next(_numbers)}"} for event in read_story(story, at)])


@pytest.fixture
def day(tmp_path: Path, broker: Broker, topic: str) -> Iterator[Day]:
    campaigns = shutil.copy(ROOT / "campaigns.toml", tmp_path)
    with consumer(tmp_path, broker.bootstrap_servers, topic, "--campaigns", campaigns):
        yield Day(tmp_path, broker.bootstrap_servers, topic, free_port())


def ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def sign_in(page: "Page", day: Day, name: str) -> None:
    page.goto(day.address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    drawn(page)
    page.evaluate("window.isFirst = true")


def until(element: "Locator", text: str) -> None:
    """Wait until the element exists and has exactly this text."""
    wait_for(lambda: element.count() and element.first.text_content() == text, f"{text!r} in {element}")


def cards(page: "Page") -> dict[str, str]:
    """Return the values of the cards on a page by their labels."""
    values: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.card')].map("
        "card => [card.querySelector('span').textContent, card.querySelector('b').textContent]))"
    )
    return values


def number(within: "Locator", name: str) -> "Locator":
    """The number with this label."""
    return within.locator(".n, .card").filter(has=within.page.get_by_text(name, exact=True)).locator("b")


def switch(page: "Page", language: str) -> None:
    page.locator(".st-key-frame").get_by_role("combobox").click()
    page.get_by_role("option", name=language).click()


def kill(page: "Page", served: Dashboard) -> None:
    """Kill the server and wait until the page says so."""
    served.process.kill()
    wait_until(page, LOST)


def back(page: "Page") -> None:
    """Wait until the page has reconnected on its own."""
    wait_until(page, f"!{LOST}")
    assert page.get_by_role("dialog").count() == 0


def plain(text: str) -> str:
    """Return the text with ordinary spaces instead of no-break spaces."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def taken(page: "Page", name: str) -> tuple[str, bytes]:
    """Click a download button and return name and content of the file."""
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


# a manager


def test_a_managers_day(day: Day) -> None:
    day.account("add", "mona", "--role", "manager")
    at = ago(20)
    day.tell("00:00:00 profile agent=nadia name=Nadia\n00:00:01 state agent=nadia state=available", at)
    with day.served() as first, browser() as chromium:
        page = open_tab(chromium, day.address, None)
        sign_in(page, day, "mona")
        tile = page.locator(".vigie-grid .tile", has_text="Oréa Sinistres")
        until(number(tile, "Waiting"), "0")
        call = "call_id=a campaign=orea-sinistres"
        day.tell(f"00:00:05 queued {call} queue=urgent caller=+33612345678", at)
        until(number(tile, "Waiting"), "1")
        day.tell(f"00:00:10 answered {call} agent=nadia\n00:00:10 state agent=nadia state=busy", at)
        until(number(tile, "Waiting"), "0")
        until(tile.locator(".level b"), "100.0%")
        until(number(tile, "Answered"), "1")
        assert page.evaluate("window.isFirst")

        page.get_by_role("link", name="Open Oréa Sinistres").click()
        page.wait_for_url("**/campaign?campaign=orea-sinistres")
        until(number(page.locator(".vigie-headline"), "Offered"), "1")
        bar = page.locator(".js-plotly-plot .barlayer .trace").first.locator(".point path").first
        bar.wait_for(state="attached")
        drawn(page)
        box = bar.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url("**/calls?**order=wait**")
        row = page.locator(".vigie-table.calls tbody tr")
        row.wait_for()
        text = row.inner_text()
        assert row.count() == 1 and "urgent" in text and "0:05" in text and "Nadia" in text
        assert "345678" not in page.content()
        page.go_back()
        page.locator(".vigie-table.numbers tbody th a").first.click()
        page.wait_for_url("**/calls?**from=**")
        row.get_by_text("urgent").wait_for()
        page.go_back()
        page.get_by_role("link", name="Where this figure comes from: Service level").click()
        page.wait_for_url("**/kpi?**")
        until(page.locator(".vigie-figure b"), "100.0%")
        page.locator(".vigie-formula").get_by_role("link", name="1 Answered in time").first.wait_for()

        place = page.url
        for language, figure in (("Français", "Niveau de service"), ("Español", "Nivel de servicio")):
            switch(page, language)
            page.locator(".vigie-figure h2", has_text=figure).wait_for()
            assert page.url == place
        page.get_by_role("link", name="Agentes").first.click()
        page.locator(".vigie-agents tr", has_text="Nadia").get_by_text("En llamada").wait_for()
        day.tell("00:00:15 state agent=nadia state=paused reason=lunch", at)
        page.locator(".vigie-agents tr", has_text="Nadia").get_by_text("comida").wait_for()

        page.get_by_role("link", name="Panel").first.click()
        until(number(tile, "En espera"), "0")
        page.evaluate("window.isFirst = true")
        kill(page, first)
        lost = page.get_by_text("Sin contacto con el servidor.")
        lost.wait_for()
        day.tell("00:00:00 queued call_id=b campaign=orea-sinistres", ago(0))
        with day.served():
            until(number(tile, "En espera"), "1")
            lost.wait_for(state="hidden")
            back(page)
            assert page.evaluate("window.isFirst")


# a client


OTHERS = "zqotherqz"
STORY = f"""
    00:00:00 queued call_id=a campaign=orea-sinistres caller=+33612345678
    00:00:05 answered call_id=a agent=nadia
    00:00:10 queued call_id=b campaign=orea-sinistres queue=urgent
    00:01:10 answered call_id=b agent=nadia
    00:01:20 queued call_id=c campaign=orea-sinistres
    00:01:22 answered call_id=c agent=nadia
    00:01:30 queued call_id=d campaign=orea-sinistres
    00:02:00 abandoned call_id=d
    00:00:00 profile agent={OTHERS} name={OTHERS}
    00:00:01 state agent={OTHERS} state=available campaign=brightcart-orders
    00:00:02 queued call_id={OTHERS} campaign=brightcart-orders queue={OTHERS} source={OTHERS}
    00:00:03 answered call_id={OTHERS} agent={OTHERS}
"""
BEFORE = {"Offered": "4", "Answered": "3", "In time": "2", "Late": "2", "Abandon rate": "25.0%", "ASA": "0:22"}
AFTER = BEFORE | {"Offered": "5", "Answered": "4", "In time": "3", "Abandon rate": "20.0%", "ASA": "0:17"}


KINDS = ("csv", "xlsx", "pdf")


def test_a_clients_day(day: Day) -> None:
    day.account("add", "cleo", "--role", "client", "--client", "orea")
    at = ago(150)
    day.tell(STORY, at)
    with day.served() as first, browser() as chromium:
        page = open_tab(chromium, day.address, None)
        received: list[bytes] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(as_bytes(data))))
        sign_in(page, day, "cleo")
        page.wait_for_url("**/campaign")
        offered = number(page.locator(".vigie-headline"), "Offered")
        until(offered, "4")
        page.get_by_role("combobox", name="Campaign").click()
        page.get_by_role("option").first.wait_for()
        own = ["Oréa Sinistres · Mutuelle Oréa", "Oréa Ventes · Mutuelle Oréa"]
        assert page.get_by_role("option").all_inner_texts() == own
        page.keyboard.press("Escape")

        page.get_by_role("link", name="Contract").first.click()
        month = page.locator(".vigie-sla")
        until(number(month, "Offered"), "4")
        assert cards(page) == BEFORE
        until(month.locator(".vigie-figure > b"), "50.0%")
        compare_files(page, ",", ".", "Service level statement")
        switch(page, "Français")
        until(number(month, "Présentés"), "4")
        compare_files(page, ";", ",", "Relevé de niveau de service")
        page.goto(f"{day.address}/sla?campaign=brightcart-orders")
        page.get_by_text("Cette campagne n’existe pas ici").wait_for()
        assert page.get_by_test_id("stDownloadButton").count() == 0
        page.goto(f"{day.address}/sla?campaign=orea-sinistres")
        switch(page, "English")

        until(number(month, "Offered"), "4")
        page.evaluate("window.isFirst = true")
        kill(page, first)
        day.tell("00:02:10 queued call_id=e campaign=orea-sinistres\n00:02:11 answered call_id=e agent=nadia", at)
        with day.served():
            until(number(month, "Offered"), "5")
            back(page)
            assert cards(page) == AFTER and page.evaluate("window.isFirst")
            page.get_by_role("link", name="Campaign").first.click()
            until(offered, "5")
            day.tell("00:02:20 queued call_id=f campaign=orea-sinistres", at)
            until(offered, "6")
        frames = b"".join(received)
        assert b"urgent" in frames and OTHERS.encode() not in frames and b"Brightcart" not in frames


def compare_files(page: "Page", separator: str, decimal: str, title: str) -> None:
    """Download the files of the contract page and find the page's values in them, in its language."""
    shown = cards(page)
    figure = page.locator(".vigie-sla .vigie-figure")
    level, name = figure.locator("> b").inner_text(), figure.locator("h2").inner_text().partition(" · ")[0]
    ratio = float(plain(level).rstrip("% ").replace(",", ".")) / 100
    counts = dict([*shown.items()][:4])

    files = dict(taken(page, name) for name in ("CSV", "Excel", "PDF"))
    assert [re.sub(r"-\d{4}-\d\d\.", " ", name) for name in files] == [f"orea-sinistres {kind}" for kind in KINDS]
    sheet, book, statement = files.values()

    total = next(csv.DictReader(io.StringIO(sheet.decode("utf-8-sig")), delimiter=separator))
    assert {name: total[name] for name in counts} == counts
    assert total[name] == f"{ratio:g}".replace(".", decimal)

    head, row = list(load_workbook(io.BytesIO(book)).worksheets[1].iter_rows(values_only=True))[:2]
    cells = dict(zip(head, row, strict=True))
    assert {name: str(cells[name]) for name in counts} == counts and cells[name] == ratio

    text = plain(read(statement))
    identity = page.get_by_test_id("stCaptionContainer").get_by_text(re.compile(r" = .+ \+ .+ · ")).inner_text()
    assert title in text and plain(level) in text
    assert plain(identity[identity.index(next(iter(counts))) :]).split(" · ")[0] in text


# an analyst


def choose_first(page: "Page", label: str) -> bool:
    """Open a list and choose its first option. Return False if the list closed, as it does when the page is drawn."""
    box = page.get_by_role("combobox", name=label)
    box.scroll_into_view_if_needed()
    page.evaluate("new Promise(requestAnimationFrame)")  # an open list closes when the page scrolls
    box.click()
    try:
        page.get_by_role("option").first.click(timeout=5_000)
    except PlaywrightTimeout:
        return False
    page.wait_for_timeout(1_000)
    return True


def test_an_analysts_day(day: Day) -> None:
    day.account("add", "ana", "--role", "analyst")
    at = ago(150)
    day.tell(STORY, at)
    with day.served() as first, browser() as chromium:
        page = open_tab(chromium, day.address, None)
        sign_in(page, day, "ana")
        page.get_by_role("link", name="Data", exact=True).first.click()
        page.get_by_role("combobox", name="Examples").click()
        page.get_by_role("option", name="What would the other formulas of service level say?").click()
        box, answer = page.get_by_role("textbox", name="SQL"), page.locator(".st-key-answer")
        wait_for(lambda: "kpi_formulas" in box.input_value(), "the example")
        page.get_by_role("button", name="Run").click()
        answered(page, answer.locator("td", has_text="orea-sinistres").first)
        own = "SELECT campaign, outcome, count(*) AS n FROM calls GROUP BY ALL ORDER BY ALL"
        ask(box, own)
        answered(page, answer.get_by_text("3 rows"))
        rows = [("brightcart-orders", "answered", 1), ("orea-sinistres", "abandoned", 1)]
        rows += [("orea-sinistres", "answered", 3)]
        cells, values = answer.locator("td"), [str(value) for row in rows for value in row]
        wait_for(lambda: cells.all_text_contents() == values, "the rows")
        for name, reads in (("CSV", "read_csv"), ("Parquet", "read_parquet")):
            file, data = taken(page, name)
            (day.place / file).write_bytes(data)
            assert duckdb.sql(f"FROM {reads}('{day.place / file}')").fetchall() == rows
        day.tell("00:02:10 queued call_id=e campaign=orea-sinistres", at)
        wait_for(lambda: count_calls(day.place) == 6, "the published call")
        ask(box, own)
        answered(page, answer.get_by_text("4 rows"))

        ask(box, f"COPY calls TO '{day.place}/copy.csv'")
        answer.get_by_text("Only a single read-only statement is run here").wait_for()
        assert not (day.place / "copy.csv").exists()

        page.get_by_role("link", name="Feed").first.click()
        rejected = number(page.locator("body"), "Dead letters")
        until(rejected, "0")
        page.evaluate("window.isFirst = true")
        bad = {"event_id": "bad", "type": "call.queued", "ts": at.isoformat(), "call_id": "g", "caller": "+33612345678"}
        send(day.servers, day.topic, [bad])
        until(rejected, "1")
        page.locator(".vigie-scroll.letters tbody tr").get_by_text("campaign").wait_for()
        payload, show = page.get_by_test_id("stCode"), page.get_by_role("button", name="Show its content")
        wait_for(lambda: choose_first(page, "Look at one") and show.count(), "the button of a dead letter")
        assert not payload.count()
        show.click()
        payload.get_by_text("•••").wait_for()
        assert '"call_id": "g"' in payload.inner_text() and "345678" not in page.content()
        kill(page, first)
        send(day.servers, day.topic, [bad | {"event_id": "worse", "campaign": 7}])
        with day.served():
            until(rejected, "2")
            back(page)
            assert page.evaluate("window.isFirst")


def ask(box: "Locator", sql: str) -> None:
    box.fill(sql)
    box.press("Control+Enter")


def answered(page: "Page", shown: "Locator") -> None:
    """Wait for an answer. Run the query again if it reaches its time limit, as it may beside many other tests."""
    interrupted = page.get_by_text("The query was interrupted because it ran for")
    while not shown.count():
        shown.or_(interrupted).first.wait_for(state="attached")
        if interrupted.count():
            page.get_by_role("button", name="Run").click()
            interrupted.wait_for(state="detached")


# a television


AGES = "[...document.querySelectorAll('.television .tile .ago')].map(one => one.textContent)"


def test_a_televisions_day(day: Day) -> None:
    *_, address = day.account("tv", "add", "hall").splitlines()
    path, token = address.split("#")
    with browser() as chromium:
        with day.served() as first:
            screen = open_tab(chromium, day.address, None)
            screen.set_default_timeout(WITHIN_MS)
            screen.goto(f"{day.address}{path}?by=client&every=5#{token}")
            wait_until(screen, f"{WAITING} === '0'")
            screen.evaluate("window.isFirst = true")
            titles = screen.evaluate(TITLES)
            wait_until(screen, f"titles => {TITLES}.join() !== titles.join()", titles)
            day.tell("00:00:00 queued call_id=a campaign=orea-sinistres", ago(0))
            wait_until(screen, f"{WAITING} === '1'")
            assert screen.locator("a:visible, header.stAppHeader:visible, [data-testid=stHeader]:visible").count() == 0
            first.process.kill()
            wait_until(screen, LOST)
        assert screen.locator(".banner.lost").is_visible()
        before = screen.evaluate(AGES)
        wait_until(screen, f"before => {AGES}.every((age, at) => age !== before[at])", before)
        assert screen.evaluate(WAITING) == "1"  # the last known value, grey
        grey = "getComputedStyle(document.querySelector('.television .vigie-grid')).filter"
        assert screen.evaluate(grey) == "grayscale(1)"
        day.tell("00:00:00 queued call_id=b campaign=orea-ventes", ago(0))
        with day.served():
            wait_until(screen, f"{WAITING} === '2' && !{LOST}")
            day.tell("00:00:00 queued call_id=c campaign=orea-ventes", ago(0))
            wait_until(screen, f"{WAITING} === '3' && !{LOST}")
            assert not screen.locator(".banner.lost").is_visible()
            assert screen.locator("[role=dialog]:visible").count() == 0
            day.account("tv", "revoke", "hall")
            screen.get_by_role("heading", name="Sign in").wait_for()
            screen.goto(f"{day.address}{address}")
            screen.get_by_role("alert").get_by_text("This token is not known, or was revoked.").wait_for()
