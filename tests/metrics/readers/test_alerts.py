"""Who sees which alerts."""

from datetime import timedelta
from pathlib import Path

import pytest

from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, alerts
from tests.support.floor_file import MANAGER, NOON, alert, publish

FLOOR = {"loans": ("Alba", "Loans", "UTC"), "cards": ("Birch", "Cards", "UTC")}
ALERTS = [
    alert("waiting", NOON, campaign="loans", client="alba"),
    alert("aht_s", NOON, campaign="loans", client="alba"),
    alert("agents_strained", NOON, campaign="loans", client="alba"),
    alert("waiting", NOON, campaign="cards", client="birch"),
    alert("lag", NOON),
    alert("source_silent_s", NOON, source="pbx"),
]
OF_LOANS = frozenset({"loans"})


@pytest.mark.parametrize(
    ("viewer", "sees"),
    [
        pytest.param(
            MANAGER,
            {
                *("waiting-loans-", "aht_s-loans-", "agents_strained-loans-", "waiting-cards-"),
                *("lag--", "source_silent_s--pbx"),
            },
            id="everything",
        ),
        pytest.param(
            Viewer("manager", OF_LOANS),
            {"waiting-loans-", "aht_s-loans-", "agents_strained-loans-"},
            id="a manager of one campaign: nothing of another, nothing of the feed",
        ),
        pytest.param(Viewer("client", OF_LOANS), {"waiting-loans-"}, id="a client: nothing about how people work"),
        pytest.param(Viewer("client", None), {"waiting-loans-", "waiting-cards-"}, id="a client of all campaigns"),
        pytest.param(Viewer("television", OF_LOANS), {"waiting-loans-", "aht_s-loans-", "agents_strained-loans-"}),
        pytest.param(Viewer("client", frozenset()), set(), id="a client of nobody"),
    ],
)
def test_a_viewer_sees_the_alerts_of_their_campaigns(tmp_path: Path, viewer: Viewer, sees: set[str]) -> None:
    publish(tmp_path / "vigie.duckdb", campaigns=FLOOR, alerts=ALERTS)
    answer = alerts(Published(tmp_path / "vigie.duckdb"), viewer, NOON)
    assert answer is not None and {row.alert_id for row in answer} == sees


def test_alerts_that_fire_come_first_then_those_that_ended_since(tmp_path: Path) -> None:
    ended = [alert("waiting", NOON, rule=f"ended-{n}", ended_at=NOON - timedelta(hours=n)) for n in (2, 1, 3)]
    publish(tmp_path / "vigie.duckdb", campaigns=FLOOR, alerts=[*ended, alert("lag", NOON, rule="fires")])
    answer = alerts(Published(tmp_path / "vigie.duckdb"), MANAGER, NOON - timedelta(hours=2))
    assert answer is not None and [row.rule for row in answer] == ["fires", "ended-1", "ended-2"]
    assert answer[0].notify == ("floor",) and answer[0].ended_at is None


def test_there_are_no_alerts_before_the_first_publish(tmp_path: Path) -> None:
    assert alerts(Published(tmp_path / "vigie.duckdb"), MANAGER, NOON) is None
