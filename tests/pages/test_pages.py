"""The pages as users see them: drawn by Streamlit from real published files, in three languages."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po

from ingest.publishing.publish import Moment, Publisher
from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.clock import now
from metrics.composition.figures import KPIS
from metrics.errors import ConfigurationError
from metrics.kpis.distance import Outlook
from metrics.language.text import LOCALE
from metrics.published.alarms import KINDS
from metrics.readers import FIGURES, Call, CallFilters, Published
from metrics.readers.campaigns import NAMES
from pages.accounts import start
from pages.day import timeline
from pages.figure import call_list, explanation
from pages.operations import feed_tables
from pages.operations.alarm_list import WORDINGS
from pages.shared import i18n, marks, verdicts
from pages.wall import tiles
from tests.support.dashboard.browsing import browser, dashboard, needs_chromium, open_tab
from tests.support.dashboard.drawing import HOSTILE, ROOT, headline, open_page, section, wall, words
from tests.support.dashboard.people import session_of
from tests.support.floor_file import ALARMS, FLOOR, MANAGER, MIXED, NOON, alarm, publish, today
from tests.support.processes import wait_for
from tests.support.stories.stream import DEFAULTS, Desk, at, read_story

pytestmark = pytest.mark.slow


# the wallboard


def test_numbers_and_dates_follow_the_language() -> None:
    french, spanish, english = (i18n.text(language) for language in ("fr", "es", "en"))
    first = date(2026, 7, 1)
    assert (
        french.day(first) == "mercredi 1er juillet 2026" and french.day(date(2026, 7, 11)) == "samedi 11 juillet 2026"
    )
    assert french.dates([date(2026, 6, 1), date(2026, 6, 21)]) == "1er juin, 21 juin"
    assert (
        french.moment(datetime.fromisoformat("2026-06-01")) == "1er juin 2026"
        and english.moment(datetime.fromisoformat("2026-06-01")) == "1 Jun 2026"
    )
    assert spanish.day(first) == "miércoles, 1 de julio de 2026"
    assert [language.separators() for language in (french, spanish, english)] == [
        ",\N{NARROW NO-BREAK SPACE}",
        ",.",
        ".,",
    ]
    for seconds in (4, 720, 7300, 7200, 3 * 86_400):  # a line must not break between a number and its unit
        assert not any(
            " " in language.age(seconds) or len(language.age(seconds).split()) < 2
            for language in (french, spanish, english)
        )
    assert spanish.size(11e6) == "11\N{NO-BREAK SPACE}MB"


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_units_and_french_punctuation_follow_a_no_break_space(language: str) -> None:
    text = i18n.text(language)
    with (LOCALE / "fr" / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        ids = [message.id for message in read_po(source, locale="fr") if message.id]
    texts = [text.gettext(msgid) if isinstance(msgid, str) else text.ngettext(*msgid, 2) for msgid in ids]
    apart = r"|« | [:;!?»%](?!\w)" if language == "fr" else ""
    assert len(texts) > 500 and not [
        sentence for sentence in texts if re.search(rf"[\d}}] (s|min|h|pts|pp)\b{apart}", sentence)
    ]


def test_french_punctuation_follows_the_right_space() -> None:
    french, english = i18n.text("fr"), i18n.text("en")
    assert french.gettext("past {seconds} s") == "au-delà de {seconds}\N{NO-BREAK SPACE}s"
    where = "Where this figure comes from: {figure}"
    assert french.gettext(where) == "D’où vient cet indicateur\N{NO-BREAK SPACE}: {figure}"
    assert english.gettext(where) == where


def test_pages_without_a_published_file_say_what_to_do(path: Path) -> None:
    for page in (None, "campaign.py"):
        test = open_page(page)
        assert any("Waiting for the first data" in element.value for element in test.markdown)
        assert not test.error


def test_pages_with_an_unreadable_file_say_so(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 1000)
    for page in (None, "campaign.py"):
        test = open_page(page)
        assert any("The published data cannot be read" in element.value for element in test.markdown)


def test_each_campaign_has_a_tile_with_its_state_in_words(path: Path) -> None:
    calls = [{"campaign": "sud", "wait_s": 42.0, "outcome": "open"}, {"campaign": "sud", "wait_s": 2.0}]
    calls += [{"campaign": "sud", "wait_s": wait} for wait in (2.0, 30.0) for _ in range(10)]
    calls += [{"campaign": "este", "wait_s": 2.0}] * 12
    agents = {"a": ("sud", "busy"), "b": ("sud", "paused")}
    publish(path, campaigns=FLOOR, calls=calls, agents=agents, as_of=now() - timedelta(seconds=2))
    html = wall(open_page())
    assert html.count("<article") == 3
    text = words(html)
    assert re.search(r"Oréa Sinistres Mutuelle Oréa Below target \d+ s 1 Waiting 0:42 Longest wait > 20 s 50\.0%", text)
    assert re.search(r"Almena Siniestros Almena On target \d+ s 0 Waiting – Longest wait 100\.0%", text)
    assert "1 below target" in text
    late = '<em class="state missed" title="past 20\xa0s"><i></i>&gt; 20 s</em>'
    assert html.count(late) == 1 and 'Longest wait <em class="state missed" title="not in time"><i></i></em>' in html


def test_a_wait_past_the_threshold_has_the_same_mark_everywhere(path: Path) -> None:
    calls = [{"campaign": "north", "outcome": "open", "wait_s": wait} for wait in (42.0, 21.0, 20.0, 3.0)]
    publish(path, campaigns={"north": FLOOR["north"]}, calls=calls, as_of=now())
    shown = "".join(html.proto.body for html in open_page("campaign.py", campaign="north").get("html"))
    shown += wall(open_page())
    marks = re.findall(r'<em class="state (\w+)" title="(?:past 20\xa0s|not in time)"><i></i>([^<]*)</em>', shown)
    assert marks == [("missed", text) for text in ("past 20\xa0s", "0:42", "0:21", "", "&gt; 20 s")]


def test_an_undefined_value_is_a_dash_and_never_zero(path: Path) -> None:
    publish(path, campaigns={"north": FLOOR["north"]}, as_of=now())
    text = words(wall(open_page()).split("<article")[1])
    assert "No calls yet" in text
    assert "– Last 30 min target 80% in 20 s" in text and "Today –" in text
    assert "– Answered – Abandoned – AHT – Occupancy" in text
    assert "– Available – Busy – Wrap-up – Paused" in text
    shown = headline(open_page("campaign.py", campaign="north"))
    assert shown["Service level"] == shown["AHT"] == shown["Answered"] == shown["Occupancy"] == "–"
    assert shown["Waiting"] == "0"  # a measured zero


APART = """() => [...document.querySelectorAll('.vigie-grid .tile')].flatMap((tile, n) => {
    const of = document.querySelectorAll('.st-key-links .tile')[n];
    const figures = tile.querySelectorAll('.queue .n, .facts .n'), links = of.querySelectorAll('a.n');
    if (links.length !== figures.length) return [NaN];
    return [...figures].flatMap((one, i) => {
        const [figure, link] = [one, links[i]].map((it) => it.querySelector('span').getBoundingClientRect());
        return [Math.abs(figure.left - link.left), Math.abs(figure.top - link.top)];
    });
})"""
STOPS = "[...document.querySelectorAll('.st-key-links a')].filter((one) => one.tabIndex >= 0).length"


@needs_chromium
@pytest.mark.parametrize("width", [1366, 390])
def test_each_figure_of_a_tile_links_to_its_explanation(path: Path, width: int) -> None:
    calls = [{"campaign": "north", "wait_s": 90.0, "outcome": "open"}, *[{"campaign": "north"}] * 7]
    publish(path, campaigns=FLOOR, calls=calls, as_of=now())
    with dashboard(path.parent.parent) as running, browser() as chromium:
        page = open_tab(chromium, running.address, session_of(MANAGER), viewport={"width": width, "height": 844})
        for label, kpi in (("Waiting", "longest_wait_s"), ("Answered", "offered"), ("AHT", "aht_s")):
            page.goto(running.address)
            wait_for(lambda: page.evaluate(STOPS) == 2 * len(FLOOR), "exactly two links a tile for the keyboard")
            wait_for(lambda: max(page.evaluate(APART), default=9) < 1, "links over the figures")
            over = page.locator(".st-key-links .tile", has_text="Customer care")
            over.locator("a.n", has_text=label).click()  # fails if anything covers it
            page.wait_for_url(f"**/kpi?campaign=north&kpi={kpi}")
        page.goto(running.address)
        page.get_by_role("link", name="Open Customer care").click()
        page.wait_for_url("**/campaign?campaign=north")


@pytest.mark.parametrize(
    ("age_s", "stale"),
    [pytest.param(3, False, id="3 s: fresh"), pytest.param(60, True, id="60 s: grey, with a banner")],
)
def test_old_data_is_shown_with_its_age(path: Path, age_s: int, stale: bool) -> None:
    at = now() - timedelta(seconds=age_s)
    publish(path, campaigns=FLOOR, as_of=at)
    html = wall(open_page())
    assert ('class="vigie-board stale"' in html) is stale
    shown = re.search(r"No new data for (\d+) s", words(html))
    assert (
        shown and age_s <= int(shown[1]) < age_s + 30
    )  # the banner is always in the page; the class shows or hides it
    test = open_page("campaign.py", campaign="north")
    assert any(
        ("No new data for" in element.value) is stale for element in test.caption if "old" in element.value or stale
    )


def test_names_are_text_and_never_html(path: Path) -> None:
    publish(path, campaigns={"x": (HOSTILE, HOSTILE, "Europe/Paris")}, calls=[{"campaign": "x", "outcome": "open"}])
    html = wall(open_page())
    assert "<script" not in html and "&lt;script&gt;" in html
    queue = [{"campaign": "x", "outcome": "open", "queue": HOSTILE, "caller": HOSTILE}]
    publish(path, campaigns={"x": (HOSTILE, HOSTILE, "Europe/Paris")}, calls=queue)
    test = open_page("campaign.py", campaign="x")
    drawn = [html.proto.body for html in test.get("html") if "vigie-table" in html.proto.body]
    assert drawn and not any("<script" in html for html in drawn)


def test_a_viewer_sees_only_own_campaigns(path: Path) -> None:
    calls = [{"campaign": campaign, "outcome": "open"} for campaign in FLOOR]
    publish(path, campaigns=FLOOR, calls=calls, as_of=now())
    everything = words(wall(open_page(viewer=MANAGER)))
    assert all(name in everything for _, name, _ in FLOOR.values())
    text = words(wall(open_page(viewer=Viewer("television", frozenset({"north"})))))
    assert "Customer care" in text and "Oréa" not in text and "Almena" not in text
    assert text.startswith("1 Waiting")  # totals count only what the viewer sees

    client = Viewer("client", frozenset({"north"}))
    foreign = open_page("campaign.py", viewer=client, campaign="sud")
    unknown = open_page("campaign.py", viewer=client, campaign="no-such")
    for test in (foreign, unknown):  # another client's campaign looks like an unknown one
        assert not headline(test)
        assert any("There is no such campaign here" in element.value for element in test.markdown)
        assert test.selectbox(key="campaign_choice").options == ["Customer care · Brightcart"]

    nobody = open_page(viewer=Viewer("client", frozenset()))
    assert any("No campaign to show" in element.value for element in nobody.markdown)


def test_a_board_is_drawn_once_per_snapshot_and_access(path: Path) -> None:
    publish(path, campaigns=FLOOR, as_of=NOON)
    board = readers.board(Published(path), MANAGER)
    assert board is not None
    english = i18n.text("en")
    first = tiles.draw(board, MANAGER, english, 0.0, 1.0)
    assert tiles.draw(board, MANAGER, english, 0.4, 1.4) == first
    assert tiles.draw(board, MANAGER, english, 1.0, 2.0) != first  # its age has changed
    assert tiles.draw(board, MANAGER, i18n.text("fr"), 0.0, 1.0) != first
    client = Viewer("client", frozenset({"north"}))
    own = readers.board(Published(path), client)
    assert own is not None and "Oréa" not in tiles.draw(own, client, english, 0.0, 1.0)


@pytest.mark.parametrize(
    ("count", "columns_and_rows"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (6, (3, 2)), (8, (4, 2)), (12, (4, 3))]
)
def test_tiles_fill_a_wide_screen(count: int, columns_and_rows: tuple[int, int]) -> None:
    assert tiles.grid(count) == columns_and_rows


NOW = readers.Now(
    NOON - timedelta(minutes=30), NOON, True, None, 0, None, False,
    0.9, 0.9, 0.0, 5.0, 100.0, 0.5, 40, 40, 0, 0.8, 20.0,
)  # fmt: skip


def live(today_level: float | None = 0.9, outlook: Outlook | None = None, **now: Any) -> readers.CampaignNow:
    """Return a campaign with this window and queue; its day has a service level of its own."""
    own = readers.Campaign("c", "Client", "Shop", "en", "Europe/Paris", NOON.date(), NOON, NOON)
    counts = dict.fromkeys(("offered", "answered", "handled"), 100)
    day = {name: counts.get(name, 0) for name in NAMES} | {"service_level": today_level, "target": 0.8}
    return readers.CampaignNow(own, replace(NOW, **now), readers.Kpis(**day), None, (), outlook)


LATE = {"waiting": 1, "longest_wait_s": 21.0}
LONG = {"waiting": 1, "longest_wait_s": 101.0}
FEW = {"too_few_calls": True, "service_level": 0.5, "offered": 4}
BAD = {"service_level": 0.5}
SHUT = {"is_open": False, "opens_at": NOON + timedelta(hours=2)}
STATES = {  # → the state and its words
    "the window is on target, whatever the day was": ({"today_level": 0.2}, "met", "On target"),
    "the window is below target, whatever the day was": (BAD | {"today_level": 1.0}, "missed", "Below target"),
    "close to target": ({"service_level": 0.78}, "near", "Close to target"),
    "a late caller is already counted in the window": (LATE, "met", "On target"),
    "those who wait can bring it below": ({"service_level_worst": 0.79}, "near", "Close to target"),
    "one waits for more than five thresholds": (LONG, "near", "Waiting too long"),
    "too few calls: no verdict": (FEW, "none", "Too few calls"),
    "too few, and a late caller": (FEW | LATE, "near", "Waiting too long"),
    "too few, and a caller who waits very long": (FEW | LONG, "missed", "Waiting too long"),
    "a wait of exactly the threshold is not late": (FEW | LATE | {"longest_wait_s": 20.0}, "none", "Too few calls"),
    "no call at all in the window": (FEW | {"service_level": None, "offered": 0}, "none", "No calls"),
    "closed, whatever the window was": (BAD | SHUT, "closed", "Closed"),
    "closed, but somebody waits": (BAD | SHUT | LATE, "missed", "Below target"),
}


@pytest.mark.parametrize(("given", "state", "word"), STATES.values(), ids=STATES)
def test_the_state_of_a_campaign_follows_its_last_minutes_and_its_queue(
    given: dict[str, Any], state: str, word: str
) -> None:
    campaign, english = live(**given), i18n.text("en")
    assert (verdicts.state_of(campaign), verdicts.now_word(campaign, english)) == (state, word)
    drawn = tiles.tile(campaign, english)
    assert f'<article class="tile {state}">' in drawn and f'<span class="state {state}"><i></i>{word}</span>' in drawn


VERDICTS = {  # calls to come, how many may be late, the day's level so far → its words
    "kept": (10, 10, 0.9, "kept", "Kept"),
    "lost": (10, None, 0.5, "lost", "Lost"),
    "on target so far": (10, 4, 0.9, "safe", "On course · 4 of 10 may be late"),
    "below target so far": (10, 1, 0.7, "save", "To be saved · 1 of 10 may be late"),
    "no call so far": (10, 2, None, "safe", "On course · 2 of 10 may be late"),
}


@pytest.mark.parametrize(("calls", "late", "level", "verdict", "shown"), VERDICTS.values(), ids=VERDICTS)
def test_a_tile_says_where_the_day_stands_beside_how_it_is_now(
    calls: int, late: int | None, level: float | None, verdict: str, shown: str
) -> None:
    campaign, english = live(level, Outlook(calls, late, 1.0, 0.9, 0.8), service_level=0.5), i18n.text("en")
    drawn = tiles.tile(campaign, english)
    day = "–" if level is None else f"{level:.1%}"
    assert "50.0% Last 30 min −30.0 pts target 80% in 20 s" in words(drawn)
    assert f"Today {day} {shown.split(' · ')[0]} –" in words(drawn)  # a wall has no room for counts
    assert re.findall(r'class="(state|verdict) (\w+)"', drawn) == [("state", "missed"), ("verdict", verdict)]
    now = words(timeline.now_line(campaign, MANAGER, english))
    assert now.startswith("Below target Last 30 min · Service level 50.0%") and now.endswith(f"Today {shown}")


def test_without_a_verdict_a_tile_shows_the_level_of_the_day_alone() -> None:
    drawn = tiles.tile(live(0.9), i18n.text("en"))
    assert "Today 90.0%" in words(drawn) and "verdict" not in drawn


def test_the_page_of_a_figure_shows_it_for_the_last_minutes_too(path: Path) -> None:
    calls = [{"campaign": "north", "wait_s": wait} for wait in (5.0, 30.0) for _ in range(6)]
    earlier = now() - timedelta(hours=2)
    calls += [{"campaign": "north", "wait_s": 5.0, "queued_at": earlier}] * 12
    publish(path, campaigns=FLOOR, calls=calls, as_of=now())
    shown = section(open_page("kpi.py", campaign="north", kpi="service_level"), 'class="vigie-now"')
    assert shown == "Last 30 min 50.0%"
    assert section(open_page("kpi.py", campaign="north", kpi="offered"), 'class="vigie-now"') == "Last 30 min 12"
    assert section(open_page("kpi.py", campaign="north", kpi="conversion"), 'class="vigie-now"') == ""


OPENS = {
    "today": (timedelta(hours=2), "opens at 15:00"),
    "on another day": (timedelta(hours=20), "opens on Tuesday at 09:00"),
    "never": (None, ""),
}


@pytest.mark.parametrize(("after", "shown"), OPENS.values(), ids=OPENS)
def test_a_closed_campaign_says_when_it_opens(after: timedelta | None, shown: str) -> None:
    shut, english = live(is_open=False, opens_at=after and NOON + after), i18n.text("en")
    assert verdicts.opens_words(shut, english) == shown
    assert f"90.0% Last 30 min +10.0 pts {shown}".strip() in words(tiles.tile(shut, english))
    assert "target" not in words(tiles.tile(shut, english))
    board = readers.Board(readers.Freshness((1, 1), NOON, NOON, NOON), (shut, shut))
    assert words(tiles.attention(board, english)) == "All closed"


def test_the_header_counts_days_that_are_lost_or_to_be_saved() -> None:
    lost, save = Outlook(10, None, 0.7, 0.6, 0.8), Outlook(10, 3, 0.9, 0.8, 0.8)
    board = readers.Board(
        readers.Freshness((1, 1), NOON, NOON, NOON), (live(0.5, lost), live(0.5, save), live(0.5, save), live())
    )
    assert words(tiles.attention(board, i18n.text("en"))) == "All on target 1 lost today 2 to be saved today"


@pytest.mark.parametrize(
    ("level", "target", "state"),
    [
        pytest.param(0.80, 0.80, "met", id="at the target is met"),
        pytest.param(0.7999, 0.80, "near", id="just below is close"),
        pytest.param(0.7501, 0.80, "near", id="4.99 points below is close"),
        pytest.param(0.75, 0.80, "missed", id="5 points below is below"),
        pytest.param(None, 0.80, "none", id="undefined has no state"),
        pytest.param(0.80, None, "none", id="no target, no state"),
    ],
)
def test_state_of_a_service_level(level: float | None, target: float | None, state: str) -> None:
    assert marks.level_state(level, target) == state


# the campaign page


def test_the_day_of_a_campaign(path: Path) -> None:
    at = now().replace(minute=20, second=0, microsecond=0)
    calls = [{"campaign": "north", "queued_at": at - timedelta(minutes=2)}] * 3
    calls += [{"campaign": "north", "queued_at": at - timedelta(minutes=2), "outcome": "abandoned", "wait_s": 50.0}]
    calls += [{"campaign": "north", "outcome": "open", "wait_s": 42.0, "caller": "07••••••12", "language": "en"}]
    publish(path, campaigns=FLOOR, calls=calls, as_of=at)
    test = open_page("campaign.py", campaign="north", lang="es")
    shown = headline(test)
    assert (shown["Ofrecidas"], shown["Atendidas"], shown["Abandonadas"]) == ("5", "3", "1")
    assert shown["Nivel de servicio"] == "60,0\xa0%"
    assert "0:42" in section(test, ">Espera</th>") and "q inglés 07••••••12" in section(test, ">Espera</th>")
    assert "Nivel de servicio" in section(test, "vigie-table numbers")
    day = readers.day(Published(path), MANAGER, "north")
    assert day is not None
    chart = timeline.figure(day, None, None, i18n.text("es"))
    assert [sum(n or 0 for n in bar.y) for bar in chart.data if bar.type == "bar"] == [3, 1, 1]
    assert day.total is not None and timeline.other(day.total) == 1


def test_a_past_day_shows_what_is_known_now(path: Path) -> None:
    at = now()
    calls = [{"campaign": "north", "queued_at": at - timedelta(days=2)}] * 4 + [
        {"campaign": "north", "outcome": "open"}
    ]
    publish(path, campaigns=FLOOR, calls=calls, as_of=at)
    test = open_page("campaign.py", campaign="north", day=(at - timedelta(days=2)).date().isoformat())
    shown = headline(test)
    assert shown["Offered"] == "4" and "Waiting" not in shown
    assert any("as known now" in element.value for element in test.caption)
    for wrong in ("yesterday", ""):
        assert headline(open_page("campaign.py", campaign="north", day=wrong))["Waiting"] == "1"


@pytest.mark.parametrize("page", ["campaign.py", "kpi.py", "calls.py"])
def test_a_day_without_data_says_so_and_shows_no_other_day(path: Path, page: str) -> None:
    at = now()
    publish(path, campaigns=FLOOR, calls=[{"campaign": "north", "queued_at": at - timedelta(days=2)}, *MIXED], as_of=at)
    with_data = open_page(page, campaign="north", day=(at - timedelta(days=2)).date().isoformat())
    assert not any("No calls are known" in element.value for element in with_data.markdown)
    for day in ((at + timedelta(days=2)).date().isoformat(), "2020-01-31", "0001-01-01"):
        test = open_page(page, campaign="north", day=day)
        assert any("No calls are known for this period" in element.value for element in test.markdown)
        assert not headline(test) and not test.get("plotly_chart")
        assert not section(test, "<section class=") and not section(test, "<table class=")
        assert test.date_input(key="day_choice").value is None
    test.date_input(key="day_choice").set_value(at.date()).run()
    assert not test.exception and not any("No calls are known" in element.value for element in test.markdown)


# figures explained


def test_a_figure_shows_its_formula_with_its_numbers(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, as_of=now().replace(hour=12))
    test = open_page("kpi.py", campaign="north", kpi="service_level")
    formula = section(test, "vigie-formula")
    assert "= Answered in time Offered − Short abandons − Waiting, still in time = 2 8 − 1 − 1 = 2 6 = 33.3%" in formula
    assert "33.3% Below target, −46.7 pts Between 28.6% and 42.9%" in formula and "Provisional" in formula
    assert "always answered in time / (offered − short abandons) wait ≤ 20 s 80% wait < 5 s 6" in section(
        test, '<th scope="row">always'
    )
    systems = section(test, "vigie-systems")
    assert "Wazo answered ≤ T / answered answered ≤ T / answered 66.7% +33.3 pts" in systems
    for maker in ("Amazon Connect", "Genesys Cloud", "Cisco", "Talkdesk"):
        assert maker in systems
    assert any(re.fullmatch("Contract, version [0-9a-f]{8}", element.value) for element in test.caption)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_figure_is_explained_in_every_language(path: Path, language: str) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, agents={"a": ("north", "busy")})
    reader, text = Published(path), i18n.text(language)
    day = today(reader)
    for kpi in FIGURES:
        explained = readers.explain(reader, MANAGER, "north", kpi, day.t0, day.t1)
        assert explained is not None
        assert words(explanation.figure(explained, text)) and (
            not explanation.is_compared(explained) or words(explanation.comparison(explained, text))
        )
        above, below = explanation.fraction(explained).sums(explained)
        if kpi == "longest_wait_s":
            assert above is None
        elif below == 0:
            assert explained.figure is None
        else:
            times = KPIS[kpi].times if kpi in KPIS else 1
            assert (above or 0) * times == pytest.approx(
                (explained.figure or 0) * (below or 1)
            )  # a sum has no denominator, so 1


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "There is no such figure here"),
        ("fr", "Cet indicateur n’existe pas ici"),
        ("es", "Este indicador no existe aquí"),
    ],
)
def test_an_unknown_figure_says_so_and_shows_no_other(path: Path, language: str, message: str) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, agents={"a": ("north", "busy")})
    unknown = ({"kpi": "nonsense"}, {"kpi": "service_level_worst"}, {"kpi": "service_level", "agent": "a"})
    for query in unknown:  # the last exists, but not per agent
        test = open_page("kpi.py", campaign="north", lang=language, **query)
        assert any(message in element.value for element in test.markdown)
        assert test.selectbox(key="kpi_choice").value is None and not section(test, "<section class=")
    test.selectbox(key="kpi_choice").select("aht_s").run()
    assert (
        not test.exception
        and section(test, "vigie-formula")
        and not any(message in element.value for element in test.markdown)
    )
    for query in ({}, {"kpi": ""}):
        assert open_page("kpi.py", campaign="north", **query).selectbox(key="kpi_choice").value == "service_level"


def test_a_figure_is_compared_only_with_systems_that_publish_a_formula(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    compared = "What other systems would show"
    for kpi, is_compared in (("abandon_rate", True), ("contact_rate", False), ("drop_rate", False)):
        test = open_page("kpi.py", campaign="north", kpi=kpi)
        assert test.selectbox(key="kpi_choice").value == kpi
        assert (compared in [element.value for element in test.subheader]) is is_compared
        assert bool(section(test, 'class="vigie-systems"')) is is_compared


@pytest.mark.parametrize(
    ("values", "ratio", "ends"),
    [
        pytest.param([0.806, 0.787, 0.852], True, (0.75, 0.9), id="whole steps of 5 points"),
        pytest.param([1.0, 1.0], True, (0.95, 1.0), id="never past 100 %"),
        pytest.param([0.0], True, (0.0, 0.05), id="never 0 wide"),
        pytest.param([], True, (0.0, 0.05), id="no values"),
        pytest.param([284.0, 284.0], False, (270.0, 290.0), id="seconds"),
    ],
)
def test_the_scale_of_a_comparison(values: list[float], ratio: bool, ends: tuple[float, float]) -> None:
    assert explanation.scale(values, ratio) == pytest.approx(ends)


# the calls behind a figure


def test_the_calls_behind_a_figure(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, as_of=now().replace(hour=12))
    test = open_page("calls.py", campaign="north", kpi="service_level", counts="miss")
    assert any(element.value.startswith("**4 calls**") for element in test.markdown)
    text = section(test, "vigie-table calls")
    assert text.count("not in time") == 4 and "voicemail" in text and "short abandon" not in text
    test = open_page("calls.py", campaign="north", outcome="refused")
    assert any(element.value.startswith("**1 call**") for element in test.markdown)
    test = open_page("calls.py", campaign="north", outcome="other")
    assert any(element.value.startswith("**4 calls**") for element in test.markdown)
    assert test.selectbox(key="outcome_choice").value == "other"
    test.selectbox(key="outcome_choice").select("").run()
    assert any(element.value.startswith("**10 calls**") for element in test.markdown)
    times = [{"time": text} for text in ("10:00", "11:00-10:00", "10:07-11:00", "23:00-24:15", "10:00-11:00 --", "")]
    for nonsense in (
        {"outcome": "' OR 1=1 --"},
        {"kpi": "occupancy"},
        {"page": "-3"},
        {"from": "x", "to": "y"},
        *times,
    ):
        test = open_page("calls.py", campaign="north", **nonsense)
        assert any(element.value.startswith("**10 calls**") for element in test.markdown)
    today = now().date()
    for days, way in ((0, "The whole day"), (2, f"Only {today - timedelta(days=2):%A}")):
        span = {"from": f"{today - timedelta(days=days)}T00:00Z", "to": f"{today}T13:00Z"}
        (button,) = open_page("calls.py", campaign="north", **span).button
        assert button.label.startswith(way)
    client = Viewer("client", frozenset({"north"}))
    foreign = open_page("calls.py", viewer=client, campaign="sud")
    assert not section(foreign, "vigie-table calls") and "CANARY" not in str(foreign.main)
    own = section(open_page("calls.py", viewer=client, campaign="north"), "vigie-table calls")
    assert own and "Agent" not in own


@pytest.mark.parametrize(
    ("fields", "last_columns"),
    [
        pytest.param({}, "Wrap-up Caller", id="no call has a result or a note"),
        pytest.param({"disposition": "sold"}, "Wrap-up Result Caller", id="a result"),
        pytest.param({"transferred": True}, "Wrap-up Caller Notes", id="a note"),
        pytest.param({"direction": "outbound", "disposition": "sold"}, "Wrap-up Result Caller Notes", id="both"),
    ],
)
def test_a_column_without_values_is_left_out(path: Path, fields: dict[str, Any], last_columns: str) -> None:
    earliest = {"campaign": "north", "queued_at": NOON - timedelta(hours=2)} | fields
    publish(path, campaigns=FLOOR, calls=[{"campaign": "north"}] * readers.PER_PAGE + [earliest], as_of=NOON)
    for number in ("1", "2"):  # the call with more fields is on the last page
        drawn = open_page("calls.py", campaign="north", page=number, lang="en")
        (table,) = (html.proto.body for html in drawn.get("html") if "vigie-table calls" in html.proto.body)
        head = words(table.partition("</thead>")[0])
        assert head.endswith(last_columns), head
        assert len({len(re.findall("<t[hd][ >]", row)) for row in table.split("<tr>")[1:]}) == 1


def test_a_file_of_calls_opens_in_a_spreadsheet(path: Path) -> None:
    call = {"campaign": "north", "queue": "ignored", "caller": "+33•••••••38", "disposition": "=cmd|'/c calc'!A1"}
    publish(path, campaigns=FLOOR, calls=[call | {"agent": "Åsa"}], as_of=NOON)
    reader = Published(path)
    day = today(reader)
    listed = readers.calls(reader, MANAGER, "north", day.t0, day.t1, CallFilters(), page=None)
    assert listed is not None
    sheet = call_list.as_csv(listed.calls, "Europe/Madrid", worked=True)
    assert sheet.startswith(b"\xef\xbb\xbf")
    head, row = sheet.decode("utf-8-sig").splitlines()
    assert head.split(",") == list(call_list.COLUMNS)
    assert "2026-11-23T12:50:00+01:00" in row and ",+33•••••••38," in row and ",'=cmd|" in row and "Åsa" in row
    bare = call_list.as_csv(listed.calls, "Europe/Madrid", worked=False).decode("utf-8-sig")
    assert "Åsa" not in bare and "agent" not in bare.splitlines()[0]
    assert isinstance(listed.calls[0], Call)


def test_names_of_thousands_of_characters_are_cut_in_a_list_of_calls(path: Path) -> None:
    """An older Vigie took names of any length."""
    calls = [{"campaign": "north", "disposition": "d" * 5_000}, {"campaign": "north"}]
    publish(path, campaigns=FLOOR, calls=calls, as_of=NOON)
    drawn = open_page("calls.py", campaign="north", lang="en")
    (table,) = (html.proto.body for html in drawn.get("html") if "vigie-table calls" in html.proto.body)
    assert "d" * 79 + "…" in table and "d" * 80 not in table


# the feed


def test_the_feed_is_for_managers_and_analysts(path: Path) -> None:
    letter = {"reason": "<b>no</b> such type", "payload": '{"type": "call.lost"}'}
    publish(path, campaigns=FLOOR, calls=MIXED, letters=[letter] * 3, as_of=now())
    test = open_page("feed.py", viewer=Viewer("analyst", None), letter="call-events/0/1/1")
    letters = section(test, "vigie-scroll letters")
    assert letters.count("<b>no</b> such type") == 3 and "call-events/0/2/1" in letters
    assert not test.code  # the content is shown on purpose only: test_audit.py
    assert "Customer care 8 8 1 yes" in section(test, "vigie-table sums")
    html = "".join(html.proto.body for html in test.get("html"))
    assert '<a href="calls?campaign=north&amp;kpi=offered" target="_self">8</a>' in html
    assert '<a href="calls?campaign=north&amp;outcome=refused" target="_self">1</a>' in html
    assert not test.error
    for role in ("client", "television"):
        with pytest.raises(ValueError, match=r"feed\.py"):  # they have no such page
            open_page("feed.py", viewer=Viewer(role, frozenset({"north"})))


def test_calls_that_are_not_conserved_raise_an_alarm(path: Path) -> None:
    lost = [{"campaign": "este", "outcome": "lost", "queued_at": now() - timedelta(days=n)} for n in (0, 3)]
    since = now()
    publish(path, campaigns=FLOOR, calls=[*MIXED, *lost], as_of=since)
    test = open_page("feed.py")
    day = (now() - timedelta(days=3)).astimezone(ZoneInfo("Europe/Madrid")).strftime("%d/%m/%Y")
    assert [(element.proto.title, element.icon) for element in test.error] == [("Alarm", ":material/error:")]
    (alarm,) = [element.value.replace("\\", "") for element in test.error]
    assert alarm == (
        f"Calls are not conserved on 2 days of campaigns: Almena Siniestros (today), Almena Siniestros ({day})."
        f" Their figures of those days cannot be trusted. Since {since:%d/%m/%Y, %H:%M} UTC."
    )
    checks = section(test, "vigie-table sums")
    assert checks.index(f"Almena Siniestros {day} 1 0 0 no") < checks.index("Customer care 8 8 1 yes")
    assert "Almena Siniestros 1 0 0 no" in checks


def test_a_violation_that_the_publisher_finds_raises_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tamper with judged rows in a real store, and find the alarm on the page."""

    class Tampered(Publisher):
        def _judge(self, moment: Moment) -> None:
            super()._judge(moment)
            desk.store.connection.execute("UPDATE just_judged_calls SET outcome = 'vanished' WHERE call_id = 'c1'")

    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    desk = Desk(tmp_path)
    desk.apply(read_story("09:00:00 queued campaign=sav\n09:05:00 queued call_id=c2"), at("10:00:00"))
    desk.publish(at("10:00:00"))
    assert not open_page("feed.py").error
    desk.publisher.close()
    desk.publisher = Tampered(desk.store, tmp_path / "published", DEFAULTS)
    desk.publish(at("10:00:01"))
    (alarm,) = [element.value.replace("\\", "") for element in open_page("feed.py").error]
    assert alarm.startswith("Calls are not conserved on 1 day of a campaign: sav (today).")
    assert "calls of sav are not conserved on 2026-03-10: 2 offered, 1 accounted for" in caplog.text


def test_an_invalid_configuration_raises_an_alarm(path: Path) -> None:
    publish(path, campaigns=FLOOR, as_of=now(), status={"notice": "campaigns.toml, line 3: no such zone."})
    (alarm,) = [element.value.replace("\\", "") for element in open_page("feed.py").error]
    assert alarm.endswith("stays in force. campaigns.toml, line 3: no such zone.")
    assert not open_page("feed.py", viewer=Viewer("manager", frozenset({"north"}))).error


@pytest.mark.parametrize(
    "gaps, message",
    [
        ([(1_200, 1_201)], "Kafka deleted 1 record before it was read; figures lack it. Noticed "),
        ([(40, 75), (100, 2_000)], "Kafka deleted 1,935 records before they were read; figures lack them. Last "),
    ],
    ids=["one", "many"],
)
def test_records_deleted_before_they_were_read_raise_an_alarm(
    path: Path, gaps: list[tuple[int, int]], message: str
) -> None:
    deleted = [{"partition": 3, "from_offset": a, "to_offset": b, "records": b - a} for a, b in gaps]
    publish(path, campaigns=FLOOR, as_of=now(), gaps=deleted)
    for viewer in (MANAGER, Viewer("manager", frozenset({"north"}))):  # nobody knows whose figures lack them
        (alarm,) = [element.value.replace("\\", "") for element in open_page("feed.py", viewer=viewer).error]
        assert alarm.startswith(message)
        assert alarm.endswith(f"UTC: call-events / 3 / {gaps[0][0]:,}–{gaps[0][1] - 1:,}.")


RINGS = {
    "en": [
        "Some counts are impossible: Events -491, switch-1: Events -3, Customer care (today): 12 answered of 10"
        " offered, Oréa Sinistres (14/10/2026): 9 handled of 8 answered. Figures cannot be trusted.",
        "The archive has rows more than once (21/11/2026: 1,775 events too many, 20/11/2026: 1 agent state too many)."
        " Figures of those days cannot be trusted.",
        "3 archived files are damaged (21/11/2026, 19/11/2026). Figures of those days cannot be trusted until they are"
        " restored. The consumer's log names them.",
        "20 events were accepted, and the sources have 17 in all."
        " -491 events were accepted and 1,795 are stored. Figures cannot be trusted.",
        "3 calls are in no campaign: no event says when they entered a queue or were dialled. They are in no figure.",
    ],
    "fr": [
        "Des comptes sont impossibles : Événements -491, switch-1 : Événements -3, Customer care (aujourd’hui) : 12"
        " décrochés sur 10 présentés, Oréa Sinistres (14/10/2026) : 9 traités sur 8 décrochés. Les chiffres ne sont pas"
        " fiables.",
        "L’archive contient des lignes en double (21/11/2026 : 1 775 événements en trop, 20/11/2026 : 1 état d’agent en"
        " trop). Les chiffres de ces jours ne sont pas fiables.",
        "3 fichiers archivés sont endommagés (21/11/2026, 19/11/2026). Les chiffres de ces jours ne sont pas fiables"
        " tant qu’ils ne sont pas restaurés. Le journal du consommateur donne leurs noms.",
        "20 événements ont été acceptés et les sources en totalisent 17."
        " -491 événements ont été acceptés et 1 795 sont enregistrés. Les chiffres ne sont pas fiables.",
        "3 appels ne sont dans aucune campagne : aucun événement n’indique leur entrée en file ni leur numérotation."
        " Aucun chiffre ne les compte.",
    ],
    "es": [
        "Hay recuentos imposibles: Eventos -491, switch-1: Eventos -3, Customer care (hoy): 12 atendidas de 10"
        " ofrecidas, Oréa Sinistres (14/10/2026): 9 gestionadas de 8 atendidas. Las cifras no son fiables.",
        "El archivo contiene filas duplicadas (21/11/2026: 1.775 eventos de más, 20/11/2026: 1 estado de agente de"
        " más). Las cifras de esos días no son fiables.",
        "3 archivos del histórico están dañados (21/11/2026, 19/11/2026). Las cifras de esos días no son fiables hasta"
        " que se restauren. El registro del consumidor los nombra.",
        "Se aceptaron 20 eventos y las fuentes suman 17."
        " Se aceptaron -491 eventos y hay 1.795 guardados. Las cifras no son fiables.",
        "3 llamadas no están en ninguna campaña: ningún evento indica cuándo entraron en cola o se marcaron."
        " Ninguna cifra las cuenta.",
    ],
}
SINCE = {
    "en": " Since 23/11/2026, 12:00 UTC.",
    "fr": " Depuis le 23/11/2026 à 12:00 UTC.",
    "es": " Desde el 23/11/2026 a las 12:00 UTC.",
}


@pytest.mark.parametrize("language", RINGS)
def test_impossible_counts_raise_alarms_in_words(path: Path, language: str) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED, alarms=ALARMS)
    feed = readers.feed(Published(path), MANAGER)
    assert feed is not None
    alarms = [
        re.sub("[\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}]", " ", sentence)
        for sentence in feed_tables.alarms(feed, i18n.text(language))
    ]
    assert alarms == [expected + SINCE[language] for expected in RINGS[language]]


FOREIGN = {
    "en": "vigie.duckdb.wal is beside the published file: somebody has opened that file for writing.",
    "fr": "vigie.duckdb.wal se trouve à côté du fichier publié : quelqu’un a ouvert ce fichier en écriture.",
    "es": "vigie.duckdb.wal está junto al archivo publicado: alguien ha abierto ese archivo para escribir en él.",
}


@pytest.mark.parametrize("language", FOREIGN)
def test_the_feed_names_a_foreign_log_while_it_is_there(path: Path, language: str) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    feeds = [readers.feed(Published(path), MANAGER)]
    log = path.with_name("vigie.duckdb.wal")
    log.mkdir()  # nothing can be read with it by others, but here all goes on
    feeds.append(readers.feed(Published(path), Viewer("analyst", frozenset({"north"}))))
    log.rmdir()
    feeds.append(readers.feed(Published(path), MANAGER))
    before, alarms, after = (feed_tables.alarms(feed, i18n.text(language)) for feed in feeds if feed)
    assert before == after == []
    (sentence,) = alarms
    assert re.sub("[\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}]", " ", sentence).startswith(FOREIGN[language])


def test_every_kind_of_alarm_has_a_text(path: Path) -> None:
    assert WORDINGS.keys() == KINDS.keys()


def test_an_alarm_of_many_days_names_the_latest(path: Path) -> None:
    days = [NOON.date() - timedelta(days=n) for n in range(400)]
    publish(path, campaigns=FLOOR, alarms=[alarm("rows_doubled", "calls", 3, 2, day=day) for day in days])
    feed = readers.feed(Published(path), MANAGER)
    assert feed is not None
    (message,) = feed_tables.alarms(feed, i18n.text("en"))
    assert message.count("1 call too many") == 6 and "18/11/2026: 1 call too many, +394)." in message


def test_calls_without_a_beginning_are_a_notice_first_and_then_an_alarm(path: Path) -> None:
    desk = Desk(path.parent.parent)
    desk.apply(read_story("\n".join(f"09:0{n}:00 ended call_id=c{n}" for n in range(3))), at("09:05:00"))
    text = i18n.text("en")
    for clock, notices, alarms in (
        ("09:05:00", ["3 calls wait for the event"], []),
        ("09:16:30", ["3 calls wait for the event"], []),
        ("09:16:40", ["1 call waits for the event"], ["2 calls are in no campaign"]),
        ("10:00:00", ["1 call waits for the event"], ["2 calls are in no campaign"]),
        ("10:00:10", [], ["3 calls are in no campaign"]),
    ):
        desk.publish(at(clock))
        feed = readers.feed(Published(desk.publisher.path), MANAGER)
        assert feed is not None
        assert [notice[:26] for notice in feed_tables.notices(feed, text)] == notices
        assert [sentence[:26] for sentence in feed_tables.alarms(feed, text)] == alarms


def words_of_feed(path: Path, language: str = "en") -> str:
    """Return the words of the feed page six minutes after NOON."""
    feed = readers.feed(Published(path), MANAGER)
    assert feed is not None and feed.sources is not None
    then, text = NOON + timedelta(minutes=6), i18n.text(language)
    drawn = (feed_tables.counters(feed, then, text), feed_tables.sources(feed.sources, then, text))
    return words("".join((*drawn, feed_tables.partitions(feed.partitions, text))))


def test_the_age_of_the_last_event(path: Path) -> None:
    publish(path, campaigns=FLOOR, as_of=NOON)
    assert "Last event 6 min ago" in words_of_feed(path)
    assert "Snapshot age 6 min as of 12:00:00 UTC" in words_of_feed(path)


@pytest.mark.parametrize(("silent_s", "says"), [(299, False), (301, True)], ids=["299 s: nothing", "301 s: a warning"])
def test_a_wall_says_when_no_event_came_for_five_minutes(path: Path, silent_s: int, says: bool) -> None:
    publish(path, campaigns=FLOOR, as_of=now(), status={"last_event_at": now() - timedelta(seconds=silent_s)})
    assert ("No event for 5 min" in words(wall(open_page()))) is says


def test_a_new_file_with_old_data_counts_as_old(path: Path) -> None:
    then = now() - timedelta(minutes=2)
    publish(path, campaigns=FLOOR, as_of=then, published_at=now())
    assert 'class="vigie-board stale"' in wall(open_page())
    (alarm,) = [element.value.replace("\\", "") for element in open_page("feed.py").error]
    assert f"Kafka has not answered since {then:%H:%M:%S} UTC" in alarm


def test_a_silent_source_comes_first_with_its_age(path: Path) -> None:
    last_events = {"a": NOON + timedelta(minutes=5, seconds=50), "b": NOON - timedelta(days=4), "c": NOON}
    publish(path, campaigns=FLOOR, as_of=NOON, sources=last_events)
    assert "b 7 4 days silent c 7 6 min silent a 7 10 s sending" in words_of_feed(path)
    assert "b 7 4 j muette c 7 6 min muette a 7 10 s active" in words_of_feed(path, "fr").replace("\u202f", " ")


def test_pace_partitions_and_disk(path: Path) -> None:
    measured = {"records_per_s": 1234.5, "publish_s": 0.25, "records": 5000, "events": 4000}
    measured |= {"store_bytes": 1_500_000_000, "published_bytes": 500_000_000, "disk_free_bytes": 1_000_000_000}
    publish(path, campaigns=FLOOR, as_of=NOON, status=measured, lags=(0, 1500))
    text = words_of_feed(path)
    assert "Lag 1,500" in text and "Pace 1,234" in text and "Publishing takes 0.25 s" in text
    assert "Events 4,000 from 5,000 records" in text
    assert "On disk 2.0 GB store 1.5 GB, published 500 MB" in text and "Free on disk 1.0 GB" in text
    assert "call-events / 0 100 100 0 call-events / 1 100 1,600 1,500" in text
    french = words_of_feed(path, "fr").replace("\u202f", " ").replace("\xa0", " ")
    assert "2,0 Go base 1,5 Go, publié 500 Mo" in french and "0,25 s" in french
    publish(path, campaigns=FLOOR, as_of=NOON)
    assert (
        "Pace –" in words_of_feed(path)
        and "Publishing takes –" in words_of_feed(path)
        and "Free on disk –" in words_of_feed(path)
    )


# how the dashboard starts


def test_an_unknown_zone_refuses_to_start(tmp_path: Path) -> None:
    wrong = tmp_path / "campaigns.toml"
    wrong.write_text(
        '[clients]\nx = { name = "X" }\n[campaigns.c]\nname = "C"\nclient = "x"\ntimezone = "Europe/Nowhere"\n'
    )
    with pytest.raises(ConfigurationError, match="Europe/Nowhere"):
        start.refuse_other_zones(wrong)
    start.refuse_other_zones(ROOT / "campaigns.toml")
    start.refuse_other_zones(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("parameter", "seconds"),
    [(None, 0.5), ("", 0.5), ("2", 2.0), ("0", 0.2), ("99", 10.0), ("soon", 0.5), ("nan", 0.5)],
)
def test_the_tick_of_a_wall(parameter: str | None, seconds: float) -> None:
    assert tiles.tick_s(parameter) == seconds


# languages


@pytest.mark.parametrize(
    ("language", "percent", "number", "points"),
    [
        ("fr", "82,4\xa0%", "31\u202f094", "−3,6"),
        ("es", "82,4\xa0%", "31.094", "−3,6"),
        ("en", "82.4%", "31,094", "−3.6"),
    ],
)
def test_numbers_follow_the_readers_conventions(language: str, percent: str, number: str, points: str) -> None:
    text = i18n.text(language)
    assert (text.percent(0.8239), text.number(31094), text.points(-0.036)) == (percent, number, points)
    assert text.percent(None) == text.number(None) == text.duration(None) == "–"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (185, "3:05"), (3725, "1:02:05")])
def test_durations(seconds: float, shown: str) -> None:
    assert i18n.text("fr").duration(seconds) == shown


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        pytest.param(["es", "fr-FR"], "es", id="the first choice"),
        pytest.param([None, None, "fr-MA"], "fr", id="the browser's"),
        pytest.param(["xx", "qq-BR"], "en", id="none that we have: English"),
        pytest.param(["../../etc", ""], "en", id="nonsense: English"),
    ],
)
def test_the_readers_language(wishes: list[str | None], language: str) -> None:
    assert i18n.choose(wishes) == language


def test_the_language_chosen_in_the_frame_is_kept(path: Path) -> None:
    publish(path, campaigns=FLOOR, as_of=now())
    test = open_page(lang="fr")
    assert "En attente" in words(wall(test))
    test.selectbox(key="language_choice").select("es").run()
    assert "En espera" in words(wall(test))
    assert test.query_params["lang"] in ("es", ["es"])
    assert any("vigie_lang=es" in html.proto.body for html in test.get("html"))
    test.run()
    assert "En espera" in words(wall(test))


# in a browser


@pytest.fixture
def address(path: Path) -> Iterator[str]:
    """The address of a new dashboard, whose pages nobody has opened yet."""
    with dashboard(path.parent.parent) as running:
        yield running.address


@needs_chromium
def test_a_deep_link_has_its_frame_and_shows_new_snapshots(path: Path, address: str) -> None:
    publish(path, campaigns=FLOOR, as_of=now())
    with browser() as chromium:
        page = open_tab(chromium, address, session_of(MANAGER), locale="fr-FR")
        page.goto(f"{address}/campaign?campaign=sud")
        page.locator(".st-key-headline").get_by_text("Plus longue attente", exact=True).wait_for()
        page.locator(".st-key-frame").get_by_role("combobox").wait_for()
        page.get_by_role("link", name="Plateau").first.click()
        page.locator(".vigie-board").wait_for()
        waiting = page.locator(".vigie-floor .n.first b").first
        assert waiting.inner_text() == "0"
        publish(path, campaigns=FLOOR, calls=[{"campaign": "sud", "outcome": "open"}] * 7, as_of=now())
        wait_for(lambda: waiting.inner_text() == "7", "the new number")
        page.get_by_role("link", name="Ouvrir Customer care").click()
        page.wait_for_url("**/campaign?campaign=north")


@needs_chromium
def test_a_page_recovers_with_the_next_readable_snapshot(path: Path, address: str) -> None:
    """First no file is published, then a floor, then an invalid file, then the floor again."""
    shown = {"": ".vigie-board", "campaign?campaign=sud": ".vigie-headline", "feed": ".vigie-tiles"}
    with browser() as chromium:
        tabs = {page: open_tab(chromium, address, session_of(MANAGER)) for page in shown}
        for page, tab in tabs.items():
            tab.goto(f"{address}/{page}")
            tab.get_by_text("Waiting for the first data").wait_for()
        publish(path, campaigns=FLOOR, as_of=now())
        for page, tab in tabs.items():
            tab.locator(shown[page]).first.wait_for()
        path.with_suffix(".tmp").write_bytes(b"no snapshot" * 1000)
        os.replace(path.with_suffix(".tmp"), path)
        for page, tab in tabs.items():
            tab.goto(f"{address}/{page}")
            tab.get_by_text("The published data cannot be read").wait_for()
        publish(path, campaigns=FLOOR, as_of=now())
        for page, tab in tabs.items():
            tab.locator(shown[page]).first.wait_for()
