"""Runs the dashboard as its own process, and a real browser to look at it."""

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pages.accounts.sessions import COOKIE
from tests.support import forks
from tests.support.forks import Program
from tests.support.processes import ROOT, WITHIN_S, ended, environment, free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Chromium without its own windows and menus comes first: tests of pages need less than half the processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
needs_chromium = pytest.mark.usefixtures("chromium_here")

_running: "list[Browser]" = []


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that serves at `address`, with its log so far."""

    address: str
    process: Program
    log: Path

    def log_text(self) -> str:
        return self.log.read_text()


@contextmanager
def dashboard(
    place: Path,
    *options: str,
    port: int | None = None,
    script: str = "dashboard.py",
    answers_at: str = "/healthz",
    **variables: str,
) -> Iterator[Dashboard]:
    """Serve the data directory `place` until the block ends."""
    port = port or free_port()
    log = place / "dashboard.log"
    place.mkdir(parents=True, exist_ok=True)
    process = Program(
        forks.streamlit,
        *("run", script, "--server.port", str(port), *options),
        cwd=ROOT,
        environment=environment(VIGIE_DATA_DIR=str(place), **variables),
        stdout=log,
        stderr=log,
    )
    running = Dashboard(f"http://127.0.0.1:{port}", process, log)

    def answers() -> bool:
        assert process.poll() is None, running.log_text()
        try:
            with urllib.request.urlopen(running.address + answers_at, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(answers, "the dashboard to start")
        yield running
    finally:
        process.terminate()
        process.wait(WITHIN_S)


@contextmanager
def browser(*flags: str) -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        _running.append(chromium)
        try:
            yield chromium
        finally:
            _running.remove(chromium)
            chromium.close()


def close_tabs() -> None:
    """Close the tabs a test opened in a shared browser: each one is a process and keeps asking its server for ticks."""
    for chromium in _running:
        for context in chromium.contexts:
            context.close()


def drawn(page: "Page") -> None:
    """Wait until the server has finished running the page for this tab and the tab shows it."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', state="attached")
    page.wait_for_selector('[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]', state="attached")


def open_tab(chromium: "Browser", address: str, session: str | None, **options: Any) -> "Page":
    """Return a tab in its own browser context, with this session's cookie."""
    context = chromium.new_context(**{"viewport": {"width": 1366, "height": 768}, "locale": "en-GB", **options})
    context.set_default_timeout(WITHIN_S * 1000)
    if session is not None:
        context.add_cookies([{"name": COOKIE, "value": session, "url": address, "httpOnly": True, "sameSite": "Lax"}])
    return context.new_page()


def wait_until(page: "Page", expression: str, arg: object = None) -> Any:
    """Wait until JavaScript is true in the page, and return its value.

    `page.wait_for_function` makes a function of the text within the page, which the policy of every page forbids.
    """
    from playwright.sync_api import Error

    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            if value := page.evaluate(expression, arg):
                return value
        except Error as error:
            if "context was destroyed" not in str(error):  # by another page that is loading
                raise
        assert time.monotonic() < deadline, f"{page.url} was never: {expression}"
        page.wait_for_timeout(50)


WITHIN_MS = WITHIN_S * 1000
#: JavaScript that reads what a television shows.
WAITING = "document.querySelector('.television .vigie-floor b')?.textContent"
LOST = "document.documentElement.classList.contains('vigie-lost')"
TITLES = "[...document.querySelectorAll('.television h3')].map(title => title.textContent)"


def refused(place: Path, *options: str, root: Path | None = None, **variables: str) -> str:
    """Start a dashboard that must refuse to run; return its error message. From another `root` it is really started."""
    arguments = ("run", "dashboard.py", "--server.port", str(free_port()), *options)
    variables = environment(VIGIE_DATA_DIR=str(place), **variables)
    if root is None:
        done = ended(forks.streamlit, *arguments, environment=variables)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "streamlit", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=WITHIN_S,
            cwd=root,
            env=variables,
            check=False,
        )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("vigie: ")]
    return message
