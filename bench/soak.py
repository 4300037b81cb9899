"""Runs a television on a live floor for a while, and measures whether memory of its browser or of the server grows.

The heap is read after a forced garbage collection, so that only referenced memory counts. The first third of the
samples is ignored, because caches fill then. A click turns the sound on, because a screen with sound never reloads its
page.

Three minutes show a leak per tick, but not a leak per hour. VIGIE_SOAK_MINUTES=4320 is three days; for a shorter run,
let the clock run faster. With VIGIE_SOAK_SPEED=15, 15 hours pass in one hour on the wall clock of consumer, floor and
server (clock.c, which needs a C compiler). The page's intervals become shorter by the same factor, so it asks for the
ticks of 15 hours. VIGIE_SOAK_FROM is the start of that clock (default: now), so that the run can include a midnight.
VIGIE_SOAK_TICK_S is the tick [s of that clock]. Waits in the servers do not become shorter: at that speed a snapshot
every 0.4 s is one every 6 s. What the page measures on its own clock, such as the hours until it reloads, does not come
sooner either. If the machine is too slow to draw so much, set a smaller screen (VIGIE_SOAK_SCREEN=960x540) and a
smaller floor (VIGIE_SOAK_AGENTS=40). The 75 hours of docs/measured.md used these two, 75 minutes, a speed of 60 and a
tick of 5.
"""

import json
import os
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from statistics import median

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.children import cpu_s, open_files, resident_mb, threads
from bench.clock import another_clock
from bench.figures import Measured, Row
from bench.viewers import Live, add_account, live_dashboard

USUAL_MINUTES = 3.0
SAMPLES = 60
USUAL_TICK_S = 0.5
USUAL_SCREEN = "1920x1080"
USUAL_AGENTS = "160"
TOPIC = "bench-soak"
THREE_DAYS = 259_200
"""Seconds in three days. A wall is drawn at least once a second, because it shows the age of the data in seconds."""
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KEPT = (
    ("heap_mb", "MB", "JavaScript heap of the browser"),
    ("nodes", "", "DOM nodes of the browser"),
    ("listeners", "", "event listeners of the browser"),
    ("renderer_mb", "MB", "resident memory of the page's process"),
    ("server_mb", "MB", "resident memory of the server"),
    ("files", "", "files and sockets that the server has open"),
    ("threads", "", "threads of the server"),
)
COUNT = """(() => {
    const { setInterval } = window, { send } = WebSocket.prototype;
    window.setInterval = (run, ms = 0, ...rest) => setInterval(run, ms / SPEED, ...rest);
    const before = JSON.parse(sessionStorage.getItem("soak")) ?? { loads: 0, asked: 0, drawn: 0, seconds: 0 };
    const soak = (window.soak = { ...before, loads: before.loads + 1 });
    addEventListener("pagehide", () => sessionStorage.setItem("soak", JSON.stringify(soak)));
    WebSocket.prototype.send = function (data) { soak.asked++; send.call(this, data); };
    let second = null;
    new MutationObserver((changes) => {
        for (const { addedNodes } of changes) for (const node of addedNodes) {
            if (!(node instanceof Element)) continue;
            const board = node.matches(".television") ? node : node.querySelector(".television");
            if (!board) continue;
            soak.drawn++;
            if (board.dataset.drawn !== second) soak.seconds++;
            second = board.dataset.drawn;
        }
    }).observe(document, { childList: true, subtree: true });
})()"""
"""Shortens intervals. Counts how often the page was loaded, sent a message to the server and was drawn, and how many of
those drawings showed a different second."""

Sample = dict[str, float]


def measure() -> Measured:
    minutes = _setting("VIGIE_SOAK_MINUTES", USUAL_MINUTES)
    speed = int(_setting("VIGIE_SOAK_SPEED", 1))
    tick_s = _setting("VIGIE_SOAK_TICK_S", USUAL_TICK_S)
    samples = []
    with _clock(speed) as clock, live_dashboard(TOPIC, tick_s, clock) as live, _browser() as chromium:
        page = _television(chromium, live, speed)
        inside, renderer = page.context.new_cdp_session(page), _renderer(chromium)
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < minutes * 60:
            samples.append({"at_s": passed_s} | _page(page, inside) | _servers(live, renderer))
            sys.stderr.write(json.dumps(samples[-1]) + "\n")  # a run takes hours and may be stopped
            time.sleep(minutes * 60 / SAMPLES)
    return growth(samples, speed, tick_s)


def growth(samples: list[Sample], speed: int, tick_s: float) -> Measured:
    """Compute the growth from the samples. The browser's samples are compared only within one load of its page."""
    counted = samples[len(samples) // 3 :]
    first, last = samples[0], samples[-1]
    change = {name: last[name] - first[name] for name in last}
    if len({sample["seconds"] for sample in counted}) < len(counted) / 2:
        raise RuntimeError("the television stopped updating; nothing was measured")
    grown = ", ".join(
        f"{title} {_slope(counted, name, 'drawn') * THREE_DAYS:+,.1f} {unit}" for name, unit, title in KEPT
    )
    remarks = [
        f"soak: {last['at_s'] / 60:.0f} minutes, {len(counted)} samples of the last two thirds. A is the median of"
        " their first half, B of their second half; the slope is the median over all pairs.",
        f"soak: a clock {speed} times as fast with a tick of {tick_s:g} s: the page asked for {change['asked']:,.0f}"
        f" ticks and was drawn {change['drawn']:,.0f} times, showing {change['seconds']:,.0f} different seconds from"
        f" {change['snapshots']:,.0f} snapshots. It was reloaded {change['loads']:.0f} times. Each drawing cost"
        f" {change['renderer_cpu_s'] / change['drawn'] * 1e3:.0f} ms of CPU time in the page's process and"
        f" {change['server_cpu_s'] / change['drawn'] * 1e3:.0f} ms in the server.",
        f"soak: at that slope, 72 hours drawn once a second would add: {grown}.",
    ]
    return Measured([_row(counted, *kept) for kept in KEPT], remarks, {"samples": samples})


@contextmanager
def _browser() -> Iterator[Browser]:
    path = next((program for name in BROWSERS if (program := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


def _television(chromium: Browser, live: Live, speed: int) -> Page:
    """Open the wall with a television's token, and click on it."""
    width, height = map(int, (os.environ.get("VIGIE_SOAK_SCREEN") or USUAL_SCREEN).split("x"))
    page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
    page.add_init_script(COUNT.replace("SPEED", str(speed)))
    path, _, token = add_account(live.directory, "tv", "add", "bench").partition("#")
    page.goto(f"{live.address}{path}?by=client&every=5&sound=1#{token}")
    page.wait_for_selector(".vigie-board.television", timeout=120_000)
    page.mouse.click(300, 300)
    return page


def _setting(variable: str, default: float) -> float:
    return float(os.environ.get(variable) or default)


@contextmanager
def _clock(speed: int) -> Iterator[Mapping[str, str]]:
    """Yield the environment variables for the processes that use the faster clock."""
    agents = {"VIGIE_AGENTS": os.environ.get("VIGIE_SOAK_AGENTS") or USUAL_AGENTS}
    if speed == 1:
        yield agents
        return
    with another_clock(os.environ.get("VIGIE_SOAK_FROM"), speed) as clock:
        yield {**agents, **clock}


def _renderer(chromium: Browser) -> int:
    """Return the id of the process that draws the page: the renderer with the most CPU time."""
    processes = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = (process for process in processes if process["type"] == "renderer")
    return int(max(renderers, key=lambda process: process["cpuTime"])["id"])


def _page(page: Page, inside: CDPSession) -> Sample:
    inside.send("HeapProfiler.collectGarbage")
    heap = inside.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    counters = inside.send("Memory.getDOMCounters")
    own: Sample = page.evaluate("window.soak")
    return own | {"heap_mb": heap, "nodes": counters["nodes"], "listeners": counters["jsEventListeners"]}


def _servers(live: Live, renderer: int) -> Sample:
    with urllib.request.urlopen(live.metrics, timeout=10) as answer:
        (snapshots,) = re.findall(r"^vigie_publish_seconds_count (\S+)", answer.read().decode(), re.MULTILINE)
    server = live.dashboard.pid
    return {
        "snapshots": float(snapshots),
        "renderer_mb": resident_mb(renderer),
        "server_mb": resident_mb(server),
        "files": open_files(server),
        "threads": threads(server),
        "renderer_cpu_s": cpu_s(renderer) or 0.0,
        "server_cpu_s": cpu_s(server) or 0.0,
    }


def _slope(counted: list[Sample], name: str, over: str) -> float:
    # median over pairs, not least squares: usage rises and falls with every publish, and one peak would distort the fit
    pairs = ((a, b) for a, b in combinations(counted, 2) if a["loads"] == b["loads"] and a[over] < b[over])
    return median((b[name] - a[name]) / (b[over] - a[over]) for a, b in pairs)


def _row(counted: list[Sample], name: str, unit: str, title: str) -> Row:
    half = len(counted) // 2
    before, after = (median(sample[name] for sample in part) for part in (counted[:half], counted[half:]))
    hour, drawn = _slope(counted, name, "at_s") * 3600, _slope(counted, name, "drawn") * 100_000
    slopes = f"{hour:+,.1f} {unit} per hour, {drawn:+,.1f} {unit} per 100,000 drawings"
    return Row(title, f"{before:,.1f} {unit}", f"{after:,.1f} {unit}", slopes, "", None)
