"""A television before a live floor for a while: does its browser grow, or the server?

The heap is read after a forced collection, so what is left is held. The first third is not counted: caches fill then.
Three minutes tell a leak of a tick, not one of an hour: VIGIE_SOAK_MINUTES=4320 is three days.
"""

import os
import shutil
import time
from itertools import combinations
from statistics import median

from playwright.sync_api import CDPSession, sync_playwright

from bench.children import resident_mb
from bench.figures import Measured, Row
from bench.viewers import live_dashboard

USUAL_MINUTES = 3.0
SAMPLES = 60
TICK_S = 0.5
TOPIC = "bench-soak"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def measure() -> Measured:
    minutes = float(os.environ.get("VIGIE_SOAK_MINUTES") or USUAL_MINUTES)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise RuntimeError("there is no Chromium on this machine; install it (Debian: apt-get install chromium)")
    found: list[dict[str, float]] = []
    with live_dashboard(TOPIC, TICK_S) as (server, address, cookie), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        context = chromium.new_context(viewport={"width": 1920, "height": 1080})
        name, _, value = cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": address}])
        page = context.new_page()
        page.goto(f"{address}/wallboard?tv=1&by=client&every=5")
        page.wait_for_selector(".vigie-board.television", timeout=120_000)
        inside = context.new_cdp_session(page)
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < minutes * 60:
            drawn = page.evaluate("Number(document.querySelector('.television').dataset.drawn)")
            found.append({"at_s": passed_s, "drawn": drawn, "server_mb": resident_mb(server)} | _browser(inside))
            time.sleep(minutes * 60 / SAMPLES)
        chromium.close()
    counted = found[len(found) // 3 :]
    if len({one["drawn"] for one in counted}) < len(counted) / 2:
        raise RuntimeError("the television stood still; nothing was measured")
    rows = [
        _row(counted, "heap_mb", "MB", "JavaScript heap of the browser"),
        _row(counted, "nodes", "", "DOM nodes of the browser"),
        _row(counted, "server_mb", "MB", "resident memory of the server"),
    ]
    remarks = [
        f"soak: {minutes:g} minutes, {len(counted)} samples of the last two thirds: A median of their first half,"
        " B of their second; the slope is the median of all pairs'."
    ]
    return Measured(rows, remarks, {"samples": found})


def _browser(inside: CDPSession) -> dict[str, float]:
    inside.send("HeapProfiler.collectGarbage")
    heap = inside.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    return {"heap_mb": heap, "nodes": inside.send("Memory.getDOMCounters")["nodes"]}


def _row(counted: list[dict[str, float]], what: str, unit: str, title: str) -> Row:
    # of all pairs, not least squares: what is in use rises and falls with every publish, and one peak would tell
    slope = median((b[what] - a[what]) / (b["at_s"] - a["at_s"]) for a, b in combinations(counted, 2)) * 3600
    half = len(counted) // 2
    before, after = (median(one[what] for one in part) for part in (counted[:half], counted[half:]))
    return Row(title, f"{before:,.1f} {unit}", f"{after:,.1f} {unit}", f"{slope:+,.1f} {unit} an hour", "", None)
