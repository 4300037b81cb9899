"""A television before a live floor for a while: does its browser grow, or the server?

The heap is read after a forced collection, so what is left is held. The first third is not counted: caches fill then.
The sound is on by a touch, so this is the screen that is never loaded anew.

Three minutes tell a leak of a tick, not one of an hour. VIGIE_SOAK_MINUTES=4320 is three days; who has not got them
lets the clock run faster. With VIGIE_SOAK_SPEED=15 consumer, floor and server go by a clock on the wall that passes 15
hours in one (clock.c; it needs a C compiler), and the page's intervals are as much shorter, so that it asks for 15
hours' ticks. VIGIE_SOAK_FROM is the instant at which that clock begins (default: now), so that a midnight may be
among them; VIGIE_SOAK_TICK_S is the tick [s of that clock]. What waits in the servers waits as long as ever: at that
speed a snapshot every 0.4 s is one every 6, and what the page counts on its own clock, as the hours until it is loaded
anew, does not come sooner. Where the machine is too slow to draw so much, VIGIE_SOAK_SCREEN=960x540 is a smaller screen
and VIGIE_SOAK_AGENTS=40 a smaller floor. The README's 75 hours are those two, 75 minutes, a speed of 60, a tick of 5.
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
"""So many seconds, each of which is drawn once at least: the age of the data counts them."""
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
    window.setInterval = (run, ms = 0, ...said) => setInterval(run, ms / SPEED, ...said);
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
"""Lets intervals run faster, and counts how often the page was loaded, asked the server, was drawn, and how many of
those drawings told another second."""

Sample = dict[str, float]


def measure() -> Measured:
    minutes = _asked("VIGIE_SOAK_MINUTES", USUAL_MINUTES)
    speed = int(_asked("VIGIE_SOAK_SPEED", 1))
    tick_s = _asked("VIGIE_SOAK_TICK_S", USUAL_TICK_S)
    found = []
    with _clock(speed) as clock, live_dashboard(TOPIC, tick_s, clock) as live, _browser() as chromium:
        page = _television(chromium, live, speed)
        inside, renderer = page.context.new_cdp_session(page), _renderer(chromium)
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < minutes * 60:
            found.append({"at_s": passed_s} | _page(page, inside) | _servers(live, renderer))
            sys.stderr.write(json.dumps(found[-1]) + "\n")  # it takes hours, and may be stopped
            time.sleep(minutes * 60 / SAMPLES)
    return told(found, speed, tick_s)


def told(found: list[Sample], speed: int, tick_s: float) -> Measured:
    """What the samples say of growth. Those of the browser are compared within one load of its page."""
    counted = found[len(found) // 3 :]
    first, last = found[0], found[-1]
    gone = {what: last[what] - first[what] for what in last}
    if len({one["seconds"] for one in counted}) < len(counted) / 2:
        raise RuntimeError("the television stood still; nothing was measured")
    grown = ", ".join(
        f"{title} {_slope(counted, what, 'drawn') * THREE_DAYS:+,.1f} {unit}" for what, unit, title in KEPT
    )
    remarks = [
        f"soak: {last['at_s'] / 60:.0f} minutes, {len(counted)} samples of the last two thirds: A median of their first"
        " half, B of their second; the slope is the median of all pairs'.",
        f"soak: a clock {speed} times as fast, a tick of {tick_s:g} s on it: the page asked for {gone['asked']:,.0f}"
        f" ticks, was drawn {gone['drawn']:,.0f} times, telling {gone['seconds']:,.0f} different seconds, from"
        f" {gone['snapshots']:,.0f} snapshots; loaded anew {gone['loads']:.0f} times. To draw it once cost"
        f" {gone['renderer_cpu_s'] / gone['drawn'] * 1e3:.0f} ms of processor time in the page's process and"
        f" {gone['server_cpu_s'] / gone['drawn'] * 1e3:.0f} in the server.",
        f"soak: at that slope 72 hours, drawn once a second, make: {grown}.",
    ]
    return Measured([_row(counted, *one) for one in KEPT], remarks, {"samples": found})


@contextmanager
def _browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("there is no Chromium on this machine; install it (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


def _television(chromium: Browser, live: Live, speed: int) -> Page:
    """Open the wall by a television's token, and touch it."""
    width, height = map(int, (os.environ.get("VIGIE_SOAK_SCREEN") or USUAL_SCREEN).split("x"))
    page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
    page.add_init_script(COUNT.replace("SPEED", str(speed)))
    way, _, token = add_account(live.directory, "tv", "add", "bench").partition("#")
    page.goto(f"{live.address}{way}?by=client&every=5&sound=1#{token}")
    page.wait_for_selector(".vigie-board.television", timeout=120_000)
    page.mouse.click(300, 300)
    return page


def _asked(name: str, otherwise: float) -> float:
    return float(os.environ.get(name) or otherwise)


@contextmanager
def _clock(speed: int) -> Iterator[Mapping[str, str]]:
    """Yield the environment of what goes by the clock."""
    agents = {"VIGIE_AGENTS": os.environ.get("VIGIE_SOAK_AGENTS") or USUAL_AGENTS}
    if speed == 1:
        yield agents
        return
    with another_clock(os.environ.get("VIGIE_SOAK_FROM"), speed) as clock:
        yield agents | clock


def _renderer(chromium: Browser) -> int:
    """Return the process that draws the only page: the one that has worked most."""
    processes = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return int(max((one for one in processes if one["type"] == "renderer"), key=lambda one: one["cpuTime"])["id"])


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


def _slope(counted: list[Sample], what: str, over: str) -> float:
    # of all pairs, not least squares: what is in use rises and falls with every publish, and one peak would tell
    pairs = ((a, b) for a, b in combinations(counted, 2) if a["loads"] == b["loads"] and a[over] < b[over])
    return median((b[what] - a[what]) / (b[over] - a[over]) for a, b in pairs)


def _row(counted: list[Sample], what: str, unit: str, title: str) -> Row:
    half = len(counted) // 2
    before, after = (median(one[what] for one in part) for part in (counted[:half], counted[half:]))
    hour, drawn = _slope(counted, what, "at_s") * 3600, _slope(counted, what, "drawn") * 100_000
    slopes = f"{hour:+,.1f} {unit} an hour, {drawn:+,.1f} {unit} in 100,000 drawn"
    return Row(title, f"{before:,.1f} {unit}", f"{after:,.1f} {unit}", slopes, "", None)
