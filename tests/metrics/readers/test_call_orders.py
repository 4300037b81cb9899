"""Lists of calls in an order, and the queues that calls entered."""

from pathlib import Path

import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import CallFilters, CallList, Published
from tests.support.floor_file import MANAGER
from tests.support.published import at, call, campaign, publish

NORTH, SUD = campaign("north"), campaign("sud")
CLIENT = Viewer("client", frozenset({"north"}))
CALLS = [
    call(of=NORTH, call_id="early", queued="09:00", wait=50, talk=90.0, queue="b"),
    call(of=NORTH, call_id="late", queued="09:10", wait=5, talk=900.0, queue="A"),
    call("open", of=NORTH, call_id="later", queued="09:20", wait=20, queue=None),
    call(of=SUD, queued="09:00", queue="c"),
]


def listed(tmp_path: Path, viewer: Viewer, order: str) -> CallList:
    publish(tmp_path / "v.duckdb", CALLS, campaigns=[NORTH, SUD], as_of="12:00").close()
    reader = Published(tmp_path / "v.duckdb")
    found = readers.calls(reader, viewer, "north", at("09:00"), at("10:00"), CallFilters(), order=order)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("newest", "later late early"),
        ("oldest", "early late later"),
        ("wait", "early later late"),
        ("handling", "late early later"),
        ("DROP TABLE calls", "later late early"),
    ],
)
def test_calls_are_listed_in_an_order(tmp_path: Path, order: str, expected: str) -> None:
    assert [call.call_id for call in listed(tmp_path, MANAGER, order).calls] == expected.split()


@pytest.mark.parametrize(
    "viewer", [CLIENT, Viewer("manager", None, sites=frozenset({"Rabat"}))], ids=["client", "site"]
)
def test_an_order_does_not_show_whose_work_took_longest(tmp_path: Path, viewer: Viewer) -> None:
    assert "handling" not in readers.orders(viewer)
    assert [call.call_id for call in listed(tmp_path, viewer, "handling").calls] == ["later", "late", "early"]


def test_the_queues_of_calls(tmp_path: Path) -> None:
    listed(tmp_path, MANAGER, "newest")
    reader, window = Published(tmp_path / "v.duckdb"), (at("09:00"), at("10:00"))
    assert readers.queues_of_calls(reader, CLIENT, "north", *window) == ("A", "b")
    assert readers.queues_of_calls(reader, CLIENT, "sud", *window) == ()
