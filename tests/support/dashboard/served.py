"""A dashboard on a floor with something on every page, and browser tabs on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from tests.support.dashboard.browsing import browser, dashboard, drawn, open_tab
from tests.support.dashboard.people import session_of
from tests.support.floor_file import ALARMS, FLOOR, NOON, publish

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CLIENT = Viewer("client", frozenset({"north"}))
STORY = f"call?campaign=north&day={NOON:%Y-%m-%d}&call=story"
"""The page of a call that every floor has: two visits with all that can happen in one, on a past day."""


def floor(
    path: Path,
    *,
    waiting: int = 1,
    state: str = "available",
    letters: int = 60,
    later_s: float = 0,
    weeks: int = 0,
    alerts: Sequence[dict[str, Any]] = (),
) -> None:
    """Publish a floor in which every page has something to draw, as of `later_s` from now.

    `weeks` adds calls on that morning of so many earlier weeks. They are always the same, because past days are cached
    for an hour.
    """
    now = clock.now() + timedelta(seconds=later_s)
    morning = now.replace(hour=10, minute=50, second=0, microsecond=0)
    calls: list[dict[str, Any]] = [
        {"campaign": "north", "agent": f"a{n % 30:02}", "queued_at": now - timedelta(minutes=15 + 9 * n)}
        | ({"outcome": "abandoned", "wait_s": 40.0, "missed_by": ["a01"]} if n % 5 == 0 else {"wait_s": 3.0 * n})
        for n in range(60)
    ]
    calls += [{"campaign": "north", "outcome": "open", "wait_s": 42.0, "language": "en"}] * waiting
    calls += [
        {"campaign": "north", "agent": "a01", "queued_at": morning - timedelta(weeks=week, minutes=20 * n)}
        for week in range(1, weeks + 1)
        for n in range(6)
    ]
    calls += [{"campaign": "sud", "wait_s": 1.0}] * 4 + [{"campaign": "este", "outcome": "abandoned"}]
    calls += told()
    since = {"since": now - timedelta(minutes=9)}
    agents: dict[str, Any] = {f"a{n:02}": {"campaign": "north", "state": state, "team": f"T{n % 3}"} for n in range(30)}
    agents |= {
        "b": {"campaign": "sud", "state": "paused", "reason": "lunch"},
        "c": {"campaign": "sud", "state": "busy"},
    }
    states = [
        {"agent": agent, "campaign": row["campaign"], "state": "busy", "started_at": now - timedelta(minutes=200)}
        for agent, row in agents.items()
    ]
    publish(
        path,
        campaigns=FLOOR,
        calls=calls,
        agents={agent: row | since for agent, row in agents.items()},
        states=states,
        as_of=now,
        letters=[{"reason": f"no such type {n}", "payload": "{}"} for n in range(letters)],
        sources={"switch-1": now, "switch-2": now - timedelta(days=1)},
        lags=(0, 1200),
        alarms=ALARMS,
        alerts=list(alerts),
    )


def told() -> list[dict[str, Any]]:
    """Return the calls of STORY."""

    def after(seconds: float) -> datetime:
        return NOON + timedelta(seconds=seconds)

    linked = {"campaign": "north", "linked_id": "phone-1", "caller": "+33•••••••89", "language": "en"}
    first = {
        "call_id": "story", "queued_at": NOON, "wait_s": 40.0, "agent": "a02", "missed_by": ["a01"],
        "offers": [
            {"ts": after(5), "agent": "a01", "missed": False},
            {"ts": after(25), "agent": "a01", "missed": True},
            {"ts": after(30), "agent": "a02", "missed": False},
        ],
        "holds": [{"ts": after(90), "held": True}, {"ts": after(130), "held": False}],
        "ended_at": after(180), "wrapped_at": after(200), "hold_s": 40.0, "transferred": True, "disposition": "sale",
    }  # fmt: skip
    second = {"call_id": "story-2", "queued_at": after(180), "wait_s": 70.0, "outcome": "abandoned"}
    return [linked | first, linked | second | {"abandoned_at": after(250)}]


class Site(NamedTuple):
    address: str
    path: Path
    chromium: "Browser"

    def tab(self, viewer: Viewer, **options: Any) -> "Page":
        return open_tab(self.chromium, self.address, session_of(viewer), **options)

    def visit(self, page: "Page", path: str, language: str = "en") -> None:
        page.goto(f"{self.address}/{path}{'&' if '?' in path else '?'}lang={language}")
        drawn(page)


@contextmanager
def served(place: Path, **of: Any) -> Iterator[Site]:
    """Run a dashboard and a browser on a floor made by `floor`; a test may publish another floor over it."""
    path = place / "published" / "vigie.duckdb"
    floor(path, **of)
    with pytest.MonkeyPatch.context() as patch, dashboard(place) as running, browser() as chromium:
        patch.setenv("VIGIE_DATA_DIR", str(place))
        yield Site(running.address, path, chromium)
