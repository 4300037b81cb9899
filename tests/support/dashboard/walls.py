"""A wall of many campaigns, and a screen that watches it."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from metrics import clock
from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.browsing import WITHIN_MS
from tests.support.floor_file import alert, publish

if TYPE_CHECKING:
    from playwright.sync_api import Page

TELEVISION = Viewer("television", None)
CUT_OFF = """() => [...document.querySelectorAll('.television .tile .in, .television .n')].filter(
    one => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1
).map(one => one.innerText)"""


def floor(many: int, of: int = 2) -> dict[str, tuple[str, str, str]]:
    """Return campaigns, `of` per client: c00 and c01 belong to Client 0."""
    return {f"c{n:02}": (f"Client {n // of}", f"Campaign {n:02}", "Europe/Paris") for n in range(many)}


def put(
    path: Path,
    many: int = 3,
    *,
    missed: tuple[str, ...] = (),
    waiting: int = 1,
    age_s: float = 0,
    alerts: tuple[str, ...] = (),
) -> None:
    """Publish a floor with every campaign on target except those `missed`, and `waiting` calls in the first.

    `alerts`: the campaigns about which an alert fires.
    """
    calls = [
        {"campaign": campaign, "wait_s": 60.0 if campaign in missed else 5.0}
        for campaign in floor(many)
        for _ in range(12)  # fewer than ten are no verdict
    ]
    calls += [{"campaign": "c00", "outcome": "open", "wait_s": 42.0}] * waiting
    agents = {"Nadia Benali": ("c00", "busy"), "Tom Okafor": ("c00", "paused")}
    at = clock.now() - timedelta(seconds=age_s)
    firing = [alert("waiting", at, campaign=campaign, severity="critical") for campaign in alerts]
    publish(path, campaigns=floor(many), calls=calls, agents=agents, as_of=at, alerts=firing)


def watch(screen: "Page", address: str, query: str = "") -> None:
    screen.set_default_timeout(WITHIN_MS)
    screen.goto(f"{address}/wallboard?tv=1{query}")
    screen.wait_for_selector(".vigie-board.television")
