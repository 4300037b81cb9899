"""Nobody sees another client's data: every page, address, parameter, tick, widget and file, tried as every role.

Every text in the published file carries a marker that names its client and the kind of secret. The tests discover
pages and parameters in `pages/` and texts in `metrics/published/relations.py`, so new ones are covered too. No byte
that the server sends may carry a marker that the viewer must not see. Every marker must reach the viewers who may see
it, so the tests can fail.
"""

import ast
import http.client
import io
import itertools
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import duckdb
import pytest
from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.util import calc_hash

from metrics import clock, install
from metrics.authorisation.viewer import Viewer
from metrics.configuration.zones import local_days
from metrics.published.relations import COLUMNS
from metrics.readers import FIGURES
from pages.accounts.sessions import COOKIE
from pages.shared.i18n import plain
from tests.support.dashboard.browsing import Dashboard, browser, dashboard, drawn, needs_chromium, open_tab
from tests.support.dashboard.drawing import PAGE_NAMES
from tests.support.dashboard.people import session_of
from tests.support.dashboard.streaming import Stream, as_bytes, stream
from tests.support.processes import ROOT, WITHIN_S
from tests.support.published import fill_agent_limits

pytestmark = pytest.mark.slow

# the floor

OWN, OTHER = "own-campaign", "campaign-zqotherqz"
MARKERS = {
    "other": "zqotherqz",  # everything of another client
    "agent": "zqagentqz",  # agents of the viewer's own campaign
    "away": "zqawayqz",  # agents of the same campaign at another site
    "feed": "zqfeedqz",  # data of no campaign: rejected records, sources, notices
    "own": "zqownqz",  # everything else of the viewer's own campaign
}
WORDS = {"direction", "channel", "language", "outcome", "answered_by", "consent", "currency", "ended_by", "state"}
WORDS |= {"formula", "timezone", "version", "kind", "measure"}
"""Columns whose values Vigie defines. Every other text column may hold somebody's data."""
WHO = {"agent", "name", "team", "missed_by"}
"""Columns that identify an agent."""


def text(of: str, name: str) -> str:
    """Return a text with a marker. No text contains another, so a requested one can be removed from a response."""
    return f"{name}-{MARKERS[of]}"


def row(relation: str, of: str, values: dict[str, object], *, agent: str = "agent") -> dict[str, object]:
    """Return a row with these values and a marker in every other text. `agent` is the marker for names of agents."""
    texts: dict[str, object] = {}
    for column, (kind, _meaning) in COLUMNS[relation].items():
        whose = agent if column in WHO and relation != "campaigns" and of == "own" else of
        if column in ("agent", "missed_by"):
            texts[column] = text(whose, "agent") if column == "agent" else [text(whose, "agent")]
        elif kind == "VARCHAR" and column not in WORDS:
            texts[column] = text(whose, f"{relation}-{column}")
    return texts | values


def publish(path: Path, as_of: datetime) -> None:
    """Publish two clients, agents at two sites, calls of today and yesterday, and the feed's data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = duckdb.connect()
    writer.execute("SET TimeZone = 'UTC'")
    writer.execute(f"ATTACH '{path.with_suffix('.tmp')}' AS snapshot")
    install(writer, "snapshot")

    def add(relation: str, values: dict[str, object]) -> None:
        columns = ", ".join(f'"{column}"' for column in values)
        marks = ", ".join("?" for _ in values)
        writer.execute(f"INSERT INTO snapshot.{relation} ({columns}) VALUES ({marks})", list(values.values()))

    moment = {"as_of": as_of, "published_at": as_of, "last_event_at": as_of, "lateness_s": 900.0, "version": "1"}
    counts = dict.fromkeys(("records", "events", "duplicates", "dead_letters", "lag"), 7)
    days = dict.fromkeys(("first_day", "first_call_day"), (as_of - DAY).date())
    add("ingest_status", row("ingest_status", "feed", moment | counts | days))
    fires: dict[str, object] = {"severity": "critical", "comparison": "above", "end_reason": None}
    fires |= {"threshold": 2.0, "end_threshold": 1.0, "value": 3.0, "worst": 4.0, "notify": ["floor"], "escalate": []}
    fires |= dict.fromkeys(("worst_at", "began_at", "fired_at"), as_of - timedelta(minutes=2))
    terms = {"formula": "exclude_short", "threshold_s": 20.0, "target": 0.8, "wait_at_threshold_counts": True}
    terms |= {"short_abandon_s": 5.0}
    for of, campaign in (("own", OWN), ("other", OTHER)):
        configured = {"campaign": campaign, "language": "fr", "timezone": "UTC", "configured": of == "own"}
        add("campaigns", row("campaigns", of, configured | {"give_up_after_s": 14400.0, "window_minutes": 30}))
        hours = {"open_from": as_of - DAY, "open_until": as_of + DAY}
        add("opening_hours", {"campaign": campaign, "day": as_of.date()} | hours)
        add("sla_terms", {"campaign": campaign} | terms)
        sites = [("Rabat", "agent"), (text("away", "site"), "away")] if of == "own" else [(None, "agent")]
        for n, (site, who) in enumerate(sites):
            place = {"site": site} if site else {}
            for back, outcome in itertools.product((timedelta(minutes=20), DAY), ("answered", "abandoned", "open")):
                at = as_of - back if outcome != "open" else as_of - timedelta(seconds=50)
                call: dict[str, object] = {
                    "campaign": campaign,
                    "direction": "inbound",
                    "channel": "voice",
                    "wait_s": 9.0,
                }
                call |= {"outcome": outcome, "queued_at": at, "cohort_at": at, "day": at.date(), "in_threshold": True}
                call |= terms | {"language": "fr", "inferred_end": False, "clock_skew": False, "transferred": False}
                call |= {"missed_offers": 1, "sale": True, "currency": "EUR", "amount": 3.0, "ended_by": "agent"}
                ringing = text(who if of == "own" else of, "agent")
                call["offers"] = [{"ts": at, "agent": ringing, "missed": missed} for missed in (False, True)]
                if outcome == "answered":
                    call["linked_id"] = "one-phone-call"  # of both clients
                    call |= {"answered_at": at + timedelta(seconds=9), "ended_at": at + timedelta(seconds=99)}
                    call |= {"talk_s": 90.0, "hold_s": 0.0, "wrap_s": 10.0, "handle_s": 100.0}
                marked = row("calls", of, call, agent=who)
                add("calls", marked | {"call_id": f"{marked['call_id']}-{n}-{outcome}-{at:%d}"})
            add("agents", row("agents", of, {"campaign": campaign, "state": "busy", "since": as_of} | place, agent=who))
            span = {"started_at": as_of - timedelta(minutes=50), "seconds": 3000.0, "day": as_of.date()}
            add("agent_states", row("agent_states", of, {"campaign": campaign, "state": "busy"} | span, agent=who))
        check = {"campaign": campaign, "day": as_of.date(), "offered": 6, "accounted": 5, "refused": 0}
        add("conservation_checks", check | {"conserved": False, "checked_at": as_of})
        rings = {"kind": "calls_not_conserved", "measure": "accounted", "campaign": campaign, "day": as_of.date()}
        add("alarms", rings | {"counted": 5, "expected": 6, "since": as_of})
        add("alerts", row("alerts", of, fires | {"campaign": campaign, "figure": "waiting", "source": None}))
    add("alerts", row("alerts", "feed", fires | {"campaign": None, "client": None, "figure": "source_silent_s"}))
    rings = {"kind": "impossible_count", "measure": "events", "counted": -7, "expected": 0, "since": as_of}
    add("alarms", row("alarms", "feed", rings | {"campaign": None}))
    for n in range(3):
        letter = {"partition": 0, "offset": n, "line": 1, "received_at": as_of, "topic": "call-events"}
        add("dead_letters", row("dead_letters", "feed", letter))
    add("feed_sources", row("feed_sources", "feed", {"events": 7, "last_event_at": as_of}))
    add("feed_partitions", {"topic": "call-events", "partition": 0, "position": 7, "end_offset": 7, "lag": 0})
    for day, from_at, until_at in local_days("UTC", (as_of - 2 * DAY).date(), (as_of + DAY).date()):
        add("local_days", {"timezone": "UTC", "day": day, "from_at": from_at, "until_at": until_at})
    fill_agent_limits(writer)
    writer.execute("DETACH snapshot")
    writer.close()
    path.with_suffix(".tmp").replace(path)


DAY = timedelta(days=1)

# who may see what


@dataclass(frozen=True)
class Case:
    """A viewer, and the markers that must reach them on some page. No other marker ever may."""

    viewer: Viewer
    sees: frozenset[str]


def case(role: str, *sees: str, campaigns: set[str] | None = None, sites: set[str] | None = None) -> Case:
    own = None if campaigns is None else frozenset(campaigns)
    return Case(Viewer(role, own, sites=None if sites is None else frozenset(sites)), frozenset(sees))  # type: ignore[arg-type]


ALL = ("other", "agent", "away", "feed", "own")
CASES = {
    "manager": case("manager", *ALL),
    "manager of a campaign": case("manager", "own", "agent", "away", campaigns={OWN}),
    "manager of a site": case("manager", "own", "agent", campaigns={OWN}, sites={"Rabat"}),
    "analyst": case("analyst", *ALL),
    "analyst of a campaign": case("analyst", "own", "agent", "away", campaigns={OWN}),
    "client": case("client", "own", campaigns={OWN}),
    "television": case("television", "own", campaigns={OWN}),
    "client of nobody": case("client", campaigns=set()),
}
LIMITED = ("manager of a site", "analyst of a campaign", "client")
"""The most limited of each role try every parameter."""

# the requests


def parameters() -> list[str]:
    """Return every string in functions of `pages/` that read or write query parameters, if it looks like a name."""
    names: set[str] = set()
    for file in (ROOT / "pages").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.Module) and "query_params" in ast.unparse(node):
                names |= {str(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
    return sorted(name for name in names - {"campaign"} if re.fullmatch(r"[a-z][a-z_]{1,19}", name))


def values(as_of: datetime) -> list[str]:
    """Return the values to try for every parameter: names of another client or site, SQL, times, a rejected record."""
    others = [text("other", name) for name in ("agent", "agents-team", "calls-queue", "campaigns-client")]
    sql = ["FROM calls, agents, campaigns, dead_letters, ingest_status"]
    times = [f"{as_of - DAY:%Y-%m-%d}", f"{as_of - DAY:%Y-%m}", f"{as_of - 2 * DAY:%Y-%m-%dT%H:%M}Z"]
    away = [text("away", name) for name in ("agent", "site")]
    return [OTHER, *others, *away, *sql, *times, "call-events/0/0/1", "answered", "60", "*"]


def addresses(as_of: datetime, *, all: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Return every page for the viewer's own campaign, another's, and an unknown one. `all`: with every parameter too.

    One address gives one value to all parameters at once.
    """
    names = parameters()
    assert {
        "day",
        "from",
        "to",
        "kpi",
        "outcome",
        "counts",
        "page",
        "letter",
        "lang",
        "minutes",
        "agent",
        "queue",
    } <= set(names)
    times = {"from": f"{as_of - DAY:%Y-%m-%dT%H:%M}Z", "to": f"{as_of:%Y-%m-%dT%H:%M}Z"}
    for page in ["", *PAGE_NAMES, "no-such-page"]:
        yield page, {}
        yield page, {"campaign": OWN}
        yield page, {"campaign": OTHER, "lang": "fr"} | times
        yield page, {"campaign": "no-such", "lang": "es", "letter": "call-events/0/0/1"}
        for value in values(as_of) if all else ():
            yield page, {"campaign": OWN} | dict.fromkeys(names, value)
        if page == "call":
            for of, campaign in (("own", OWN), ("other", OTHER)):
                for n, outcome, back in itertools.product((0, 1), ("answered", "abandoned", "open"), (0, 1)):
                    on = as_of - timedelta(minutes=20) - back * DAY
                    call = f"{text(of, 'calls-call_id')}-{n}-{outcome}-{on:%d}"
                    yield page, {"campaign": campaign, "day": f"{on:%Y-%m-%d}", "call": call}
        for figure in FIGURES if all and page == "kpi" else ():
            yield page, {"campaign": OTHER, "kpi": figure}
            for whose in ("agent", "away"):
                yield page, {"campaign": OWN, "kpi": figure, "agent": text(whose, "agent")}


def found_in(data: bytes) -> set[str]:
    """Return the names of the markers in these bytes, including inside compressed Excel files and PDF streams."""
    texts = [data]
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            texts += [packed.read(name) for name in packed.namelist()]
    for packed_stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL) if data.startswith(b"%PDF") else ():
        try:
            texts.append(zlib.decompress(packed_stream))
        except zlib.error:
            continue
    everything = b"\n".join(texts).lower()
    return {name for name, marker in MARKERS.items() if marker.encode() in everything}


class Visit:
    """Everything that one viewer is sent, and the addresses where a marker appeared that they must not see."""

    def __init__(self, running: Dashboard, case: Case, session: str) -> None:
        self.running, self.case, self.session = running, case, session
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self.files: list[str] = []

    def note(self, where: str, data: bytes, *requested: str) -> None:
        """Record the markers in a response. A requested value that is only echoed does not count."""
        for value in requested:
            if any(marker in value for marker in MARKERS.values()):
                data = data.replace(value.encode(), b"").replace(plain(value).encode(), b"")
        markers = found_in(data)
        self.seen |= markers
        self.wrong += [f"{name} at {where[:100]}" for name in sorted(markers - self.case.sees)]

    def walk(self, as_of: datetime, *, all: bool) -> None:
        """Open every address over one connection and use every element of each page."""
        with stream(self.running.address, self.session) as connection:
            entered: set[str] = set()
            for page, query in addresses(as_of, all=all):
                self.note(f"/{page}?{urlencode(query)}", connection.open(page, **query), *query.values())
                if page not in entered and query.get("campaign") == OWN:
                    entered.add(page)
                    self.touch(connection, page)
            for page in PAGE_NAMES:
                request = BackMsg()
                request.rerun_script.page_script_hash = calc_hash(page)
                self.note(f"{page} by its hash", connection.ask(request))

    def touch(self, connection: Stream, page: str) -> None:
        """Run every fragment, download every file, and send every widget values that it does not offer."""
        drawn = connection.received[-connection.last :]
        for fragment in {message.auto_rerun.fragment_id for message in drawn if message.HasField("auto_rerun")}:
            self.note(f"a tick of {page}", connection.tick(fragment))
        elements = [message.delta.new_element for message in drawn if message.HasField("delta")]
        widgets = [getattr(element, element.WhichOneof("type")) for element in elements if element.WhichOneof("type")]
        for widget in widgets:
            for url in self.downloads(connection, widget):
                self.files.append(url)
                status, data = self.fetch(url)
                assert status == 200
                self.note(f"the file {url} of {page}", data)
        for value in (OTHER, text("other", "agent"), "FROM calls"):
            request = BackMsg()
            for widget in widgets:
                if isinstance(widget, Message) and widget.DESCRIPTOR.name in ("Selectbox", "TextInput", "TextArea"):
                    request.rerun_script.widget_states.widgets.add(id=widget.id, string_value=value)
                elif isinstance(widget, Message) and widget.DESCRIPTOR.name in ("MultiSelect", "ButtonGroup"):
                    state = request.rerun_script.widget_states.widgets.add(id=widget.id)
                    state.string_array_value.data.append(value)
            request.rerun_script.page_name = page
            self.note(f"{value} chosen on {page}", connection.ask(request), value)

    def downloads(self, connection: Stream, widget: object) -> list[str]:
        """Return the address of a download button's file, and make the file if it is made on demand."""
        if not isinstance(widget, Message) or widget.DESCRIPTOR.name != "DownloadButton":
            return []
        if not widget.deferred_file_id:
            return [widget.url]
        request = BackMsg()
        request.backend_operation_request.request_id = "one"
        request.backend_operation_request.session_id = connection.session_id()
        request.backend_operation_request.deferred_file.file_id = widget.deferred_file_id
        answer = connection.answer(request)
        assert not answer.error_msg
        return [answer.deferred_file.url]

    def fetch(self, url: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.running.address).netloc, timeout=WITHIN_S)
        connection.request("GET", url, headers={"Cookie": f"{COOKIE}={self.session}"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data


@pytest.fixture
def as_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Publish the floor in a data directory of its own and return its `as_of`."""
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    moment = clock.now().replace(microsecond=0)
    publish(tmp_path / "published" / "vigie.duckdb", moment)
    return moment


@pytest.mark.parametrize(
    ("order", "all"),
    [
        pytest.param([*CASES], True, id="those who see everything first, so that every cache is full"),
        pytest.param(["client", "television", "manager of a site", "manager"], False, id="those who see little first"),
    ],
)
def test_nobody_receives_data_of_another_client(tmp_path: Path, as_of: datetime, order: list[str], all: bool) -> None:
    with dashboard(tmp_path) as running:
        for name in order:
            visit = Visit(running, CASES[name], session_of(CASES[name].viewer))
            visit.walk(as_of, all=all and name in LIMITED)
            assert not visit.wrong, f"{name} was sent data that they must not see: {visit.wrong[:5]}"
            assert visit.seen == CASES[name].sees, f"{name} saw nothing of {CASES[name].sees - visit.seen}"
            assert visit.files or CASES[name].viewer.role == "television" or not CASES[name].sees
        nobody = Visit(running, CASES["manager"], "forged")
        for path in ("/", *(f"/{page}?campaign={OTHER}" for page in PAGE_NAMES)):
            status, data = nobody.fetch(path)
            assert status == 401 and not found_in(data)
        for path in ("/healthz", "/metrics", "/sign-in"):
            status, data = nobody.fetch(path)
            assert status == 200 and not found_in(data)


def test_only_the_viewer_who_made_a_file_can_download_it(tmp_path: Path, as_of: datetime) -> None:
    with dashboard(tmp_path) as running:
        visits = {name: Visit(running, case, session_of(case.viewer)) for name, case in CASES.items()}
        mine, nobody = visits["manager"], Visit(running, CASES["manager"], "forged")
        with stream(running.address, mine.session) as connection:
            connection.open("calls", campaign=OTHER)
            elements = [message.delta.new_element for message in connection.received if message.HasField("delta")]
            buttons = [element.download_button for element in elements if element.HasField("download_button")]
            (url,) = [url for button in buttons for url in mine.downloads(connection, button)]
            for name, visit in visits.items():
                status, data = visit.fetch(url)
                assert (status, "other" in found_in(data)) == ((200, True) if name == "manager" else (404, False))
            assert nobody.fetch(url)[0] == 401


@needs_chromium
@pytest.mark.parametrize("name", ["client", "television", "manager of a campaign", "manager"])
def test_a_browser_receives_no_data_of_another_client(tmp_path: Path, as_of: datetime, name: str) -> None:
    """Open every page in a real browser and check each WebSocket frame, each response and the page it draws."""
    tried = CASES[name]
    with dashboard(tmp_path) as running, browser() as chromium:
        page = open_tab(chromium, running.address, session_of(tried.viewer))
        visit = Visit(running, tried, "")
        received: list[bytes] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(as_bytes(data))))
        page.on("response", lambda answer: received.append(str(answer.all_headers()).encode()))
        for path, query in [
            ("", {}),
            *((path, {"campaign": campaign}) for path in PAGE_NAMES for campaign in (OWN, OTHER)),
        ]:
            page.goto(f"{running.address}/{path}?{urlencode(query)}")
            drawn(page)
            where = f"/{path}?{urlencode(query)}"
            visit.note(f"{where}, shown", page.content().encode(), *query.values())
            visit.note(f"{where}, received", b"\n".join(received), *query.values())
            received.clear()
        assert not visit.wrong and visit.seen == tried.sees
