"""Acknowledgements and silences: who may, the audit trail, and many writers at once."""

import sqlite3
import threading
from pathlib import Path

import pytest

from metrics.authorisation.viewer import Viewer
from notify.desk import Desk, DeskError
from tests.support.stories.firings import after, firing

MANAGER = Viewer("manager", None, "marie")
OF_OREA = frozenset({"orea"})
CLIENT = Viewer("client", OF_OREA, "claire")
FEED = firing(None, rule="lag", figure="lag")


def test_an_acknowledgement_says_who_when_and_why(tmp_path: Path) -> None:
    desk, alert = Desk(tmp_path), firing()
    desk.acknowledge(MANAGER, [alert], "two more\nagents log in ", after(60))
    ((found,),) = desk.acknowledgements([alert, firing("bright")]).values()
    assert (found.alert_id, found.who, found.role, found.at, found.why) == (
        alert.alert_id,
        "marie",
        "manager",
        after(60),
        "two more agents log in",
    )


@pytest.mark.parametrize(
    ("viewers", "kept"),
    [
        pytest.param((MANAGER, CLIENT), ["marie"], id="a manager, then a client"),
        pytest.param((MANAGER, Viewer("manager", None, "max")), ["marie"], id="a manager, then another"),
        pytest.param((CLIENT, MANAGER), ["claire", "marie"], id="a client, then a manager"),
        pytest.param((CLIENT, Viewer("client", OF_OREA, "carl")), ["claire"], id="a client, then another"),
    ],
)
def test_the_first_acknowledgement_stays_and_a_managers_comes_beside_a_clients(
    tmp_path: Path, viewers: tuple[Viewer, ...], kept: list[str]
) -> None:
    desk = Desk(tmp_path)
    for at, viewer in enumerate(viewers):
        desk.acknowledge(viewer, [firing()], "mine", after(at))
    assert [done.who for done in desk.acknowledgements([firing()])[firing().alert_id]] == kept
    assert [entry.who for entry in reversed(desk.audit(MANAGER))] == kept


@pytest.mark.parametrize(
    ("viewer", "campaign"),
    [
        pytest.param(CLIENT, "bright", id="a client: another client's campaign"),
        pytest.param(CLIENT, None, id="a client: the feed"),
        pytest.param(Viewer("manager", OF_OREA, "max"), "bright", id="a manager of one campaign: another"),
        pytest.param(Viewer("manager", OF_OREA, "max"), None, id="a manager of one campaign: the feed"),
        pytest.param(Viewer("television", None, "wall"), "orea", id="a television: nothing"),
    ],
)
def test_nobody_acknowledges_what_they_may_not_see(tmp_path: Path, viewer: Viewer, campaign: str | None) -> None:
    desk = Desk(tmp_path)
    mine_and_another = [firing(), firing(campaign)]
    with pytest.raises(DeskError):
        desk.acknowledge(viewer, mine_and_another, "", after(1))
    assert desk.acknowledgements(mine_and_another) == {} and desk.audit(MANAGER) == ()


@pytest.mark.parametrize("figure", ["aht_s", "occupancy", "breaks_overdue"])
def test_a_client_does_not_acknowledge_an_alert_about_how_people_work(tmp_path: Path, figure: str) -> None:
    desk, alert = Desk(tmp_path), firing(figure=figure)
    with pytest.raises(DeskError):
        desk.acknowledge(CLIENT, [alert], "", after(1))
    assert desk.acknowledgements([alert]) == {}


def test_a_client_acknowledges_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.acknowledge(CLIENT, [firing()], "", after(1))
    ((done,),) = desk.acknowledgements([firing()]).values()
    assert (done.who, done.role) == ("claire", "client")


@pytest.mark.parametrize(
    ("viewer", "campaign"),
    [
        pytest.param(CLIENT, "orea", id="a client: nothing"),
        pytest.param(Viewer("analyst", None, "ada"), "orea", id="an analyst: nothing"),
        pytest.param(Viewer("manager", OF_OREA, "max"), "bright", id="a manager of one campaign: another"),
        pytest.param(Viewer("manager", OF_OREA, "max"), None, id="a manager of one campaign: all of them"),
    ],
)
def test_only_managers_silence_and_only_what_they_see(tmp_path: Path, viewer: Viewer, campaign: str | None) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(DeskError):
        desk.silence(viewer, "level", campaign, "maintenance", after(0), after(60))
    assert desk.silences(after(1)) == ()


@pytest.mark.parametrize(
    ("why", "until_s"),
    [
        pytest.param(" ", 60, id="no reason"),
        pytest.param("maintenance", 0, id="no time"),
        pytest.param("maintenance", 7 * 86_400 + 1, id="more than a week"),
    ],
)
def test_a_silence_has_a_reason_and_an_end(tmp_path: Path, why: str, until_s: float) -> None:
    with pytest.raises(DeskError):
        Desk(tmp_path).silence(MANAGER, None, None, why, after(0), after(until_s))


def test_a_silence_ends_by_itself_or_by_hand(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.silence(MANAGER, "level", None, "maintenance", after(0), after(60))
    desk.silence(MANAGER, None, "orea", "the client tests", after(0), after(600))
    assert [silence.rule for silence in desk.silences(after(59))] == ["level", None]
    (left,) = desk.silences(after(60))
    with pytest.raises(DeskError):
        desk.end_silence(CLIENT, left.silence_id, after(61))
    desk.end_silence(MANAGER, left.silence_id, after(62))
    assert desk.silences(after(62)) == ()
    assert [entry.action for entry in desk.audit(MANAGER)] == ["end_silence", "silence", "silence"]


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"])
def test_the_audit_trail_is_append_only(tmp_path: Path, statement: str) -> None:
    desk = Desk(tmp_path)
    desk.acknowledge(MANAGER, [firing()], "", after(1))
    with pytest.raises(DeskError, match="append-only"), desk.transaction() as connection:
        connection.execute(statement)
    assert [entry.who for entry in desk.audit(MANAGER)] == ["marie"]


def test_the_audit_trail_of_a_manager_of_one_campaign_is_about_that_campaign(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.acknowledge(MANAGER, [firing(), firing("bright"), FEED], "", after(1))
    assert [entry.campaign for entry in desk.audit(Viewer("manager", OF_OREA, "max"))] == ["orea"]
    assert len(desk.audit(MANAGER)) == 3


def test_a_client_has_no_audit_trail_because_its_reasons_are_about_people(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.acknowledge(MANAGER, [firing(figure="breaks_overdue")], "Paula is ill", after(1))
    desk.silence(MANAGER, "level", "orea", "Paula is ill", after(2), after(60))
    assert desk.audit(CLIENT) == ()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    """Each thread opens its own connections, as processes do."""
    alerts = [firing(f"c{n}") for n in range(40)]

    def acknowledge(of: int) -> None:
        for alert in alerts[of::4]:
            Desk(tmp_path).acknowledge(MANAGER, [alert], "", after(1))

    threads = [threading.Thread(target=acknowledge, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Desk(tmp_path).acknowledgements(alerts)) == len(Desk(tmp_path).audit(MANAGER)) == 40


def test_a_writer_that_dies_in_its_transaction_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(KeyboardInterrupt), desk.transaction() as connection:
        connection.execute("INSERT INTO acknowledgements VALUES ('a', 'b', 'manager', 1, 'c')")
        raise KeyboardInterrupt
    assert desk.rows("SELECT * FROM acknowledgements") == []


def test_a_desk_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with sqlite3.connect(desk.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DeskError, match="layout 99"):
        desk.acknowledge(MANAGER, [firing()], "", after(1))
    with pytest.raises(DeskError, match="layout 99"):
        desk.acknowledgements([firing()])


def test_without_a_desk_nothing_is_acknowledged_or_silent(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "none")
    assert (
        desk.acknowledgements([firing()]),
        desk.silences(after(0)),
        desk.audit(MANAGER),
        desk.channels(after(0)),
    ) == (
        {},
        (),
        (),
        (),
    )
