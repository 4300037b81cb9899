"""The bell, the page of alerts, the line on the wall, and the channels on the feed page."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from metrics import clock
from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, alerts, published
from notify.desk import Acknowledgement, Desk, Silence
from pages.alerting import lines, tables
from pages.shared import i18n
from pages.shared.ringing import Ringing
from tests.support.dashboard.drawing import HOSTILE, open_page, wall, words
from tests.support.floor_file import MANAGER, alert, publish
from tests.support.stories.firings import PLACES, after, ended, firing

FLOOR = {"loans": ("Alba", "Loans", "Europe/Paris"), "cards": ("Birch", "Cards", "UTC")}
OF_LOANS = frozenset({"loans"})
CLIENT = Viewer("client", OF_LOANS, "claire")


@pytest.fixture
def desk(path: Path) -> Desk:
    return Desk(path.parent.parent / "desk")


def put(path: Path, *rows: dict[str, Any]) -> None:
    publish(path, campaigns=FLOOR, as_of=clock.now(), alerts=list(rows))


def fires(campaign: str | None = "loans", figure: str = "waiting", **columns: Any) -> dict[str, Any]:
    return alert(figure, clock.now(), campaign=campaign, **columns)


def seen(test: AppTest) -> str:
    """Return everything that the page says, in one line."""
    html = " ".join(words(element.proto.body) for element in test.get("html"))
    return " ".join([html, *(caption.value for caption in test.caption), *(button.label for button in test.button)])


def bell(test: AppTest) -> str:
    (popover,) = [block for block in test.get("popover") if "alert" in block.proto.popover.label]
    return str(popover.proto.popover.label)


def press(test: AppTest, label: str, n: int = 0) -> None:
    """Press the n-th button with this label."""
    [button for button in test.button if button.label == label][n].click().run()
    assert not test.exception


@pytest.mark.parametrize("page", ["alerts", "campaign", "kpi"])
def test_the_bell_counts_what_the_viewer_may_see_on_every_page(path: Path, page: str) -> None:
    put(path, fires("loans"), fires("cards"), fires(None, "lag"))
    assert bell(open_page(f"{page}.py")) == "3 alerts"
    assert bell(open_page(f"{page}.py", viewer=CLIENT)) == "1 alert"


def test_the_bell_of_a_campaigns_page_asks_for_no_weeks_of_other_campaigns(path: Path) -> None:
    put(path)
    open_page("campaign.py", viewer=Viewer("client", frozenset(FLOOR)), campaign="loans")
    today: Any = published().last("today's terms")
    assert set(today.outlooks) == {"loans"}


def test_a_client_sees_and_acknowledges_only_its_own(path: Path, desk: Desk) -> None:
    put(path, fires("loans"), fires("cards"), fires("loans", "aht_s"))
    test = open_page("alerts.py", viewer=CLIENT)
    assert "Loans: 3 since" in seen(test) and "Cards" not in seen(test) and "handling" not in seen(test)
    assert [button.label for button in test.button].count("Acknowledge") == 1
    assert "Silence" not in [button.label for button in test.button]
    press(test, "Acknowledge")
    assert "Their own messages go on until one of them acknowledges." in seen(test)
    test.text_input(key="why").input("on it")
    test.button(key="do").click().run()
    every = alerts(Published(path), MANAGER, clock.now())
    assert every is not None
    ((done,),) = desk.acknowledgements(every).values()
    assert (done.alert_id, done.why) == ("waiting-loans-", "on it") and done.who.startswith("client")


def test_a_clients_acknowledgement_is_shown_as_the_clients_and_leaves_the_managers_theirs(
    path: Path, desk: Desk
) -> None:
    put(path, fires())
    (found,) = alerts(Published(path), MANAGER, clock.now()) or ()
    desk.acknowledge(CLIENT, [found], "we know", clock.now())
    theirs = open_page("alerts.py", viewer=CLIENT)
    assert "Acknowledged by the client (claire) at" in seen(theirs)
    assert "Acknowledge" not in [button.label for button in theirs.button]
    assert "Callers waiting above 2 · Loans" in words(wall(open_page()))  # it is still loud on the wall
    test = open_page("alerts.py")
    assert "Acknowledged by the client (claire) at" in seen(test)
    press(test, "Acknowledge")
    assert "neither repeated" in seen(test)
    test.button(key="do").click().run()
    assert [done.role for done in desk.acknowledgements([found])[found.alert_id]] == ["client", "manager"]
    assert "Acknowledge" not in [button.label for button in open_page("alerts.py").button]
    assert "Callers waiting above 2" not in words(wall(open_page()))


def test_what_is_acknowledged_says_by_whom_and_why(path: Path, desk: Desk) -> None:
    put(path, fires())
    (found,) = alerts(Published(path), MANAGER, clock.now()) or ()
    desk.acknowledge(Viewer("manager", None, "marie"), [found], HOSTILE, clock.now())
    test = open_page("alerts.py")
    card = seen(test).replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"Loans: 3 since \d\d:\d\d \(Paris\)", card), "the tables beside it are in UTC"
    assert re.search(r"Acknowledged by marie at \d\d:\d\d \(Paris\)", card) and "Acknowledge" not in [
        button.label for button in test.button
    ]
    assert not any(
        "<script>" in element.proto.body for element in test.get("html") if "vigie-alert" in element.proto.body
    )


def test_a_manager_silences_with_a_reason_and_ends_it(path: Path, desk: Desk) -> None:
    put(path, fires())
    test = open_page("alerts.py")
    press(test, "Silence")
    test.text_input(key="why").input("maintenance").run()
    test.button(key="do").click().run()
    (silence,) = desk.silences(clock.now())
    assert (silence.rule, silence.campaign, silence.why) == ("waiting", "loans", "maintenance")
    assert timedelta(minutes=59) < silence.until_at - clock.now() <= timedelta(hours=1)
    test = open_page("alerts.py")
    assert "Silenced: nobody is notified" in seen(test)
    assert re.search(r"until \S+ \d\d:\d\d \(Paris\)", seen(test).replace("\N{NO-BREAK SPACE}", " "))
    press(test, "End")
    assert desk.silences(clock.now()) == ()


def test_a_client_does_not_read_why_managers_silenced_or_acknowledged(path: Path, desk: Desk) -> None:
    put(path, fires("loans"), fires("loans", "breaks_overdue"))
    every = alerts(Published(path), MANAGER, clock.now())
    assert every is not None and len(every) == 2
    desk.acknowledge(MANAGER, every, "Paula is ill", clock.now())
    desk.silence(MANAGER, "breaks", "loans", "Paula is ill", clock.now(), clock.now() + timedelta(hours=1))
    assert "Paula is ill" in seen(open_page("alerts.py"))
    shown = seen(open_page("alerts.py", viewer=CLIENT))
    assert "Acknowledged by" in shown and "Paula" not in shown


def test_all_that_fires_can_be_acknowledged_at_once(path: Path, desk: Desk) -> None:
    put(path, *(fires("loans", rule=f"rule-{n}") for n in range(100)))
    test = open_page("alerts.py")
    assert "and 70 more" in seen(test)
    press(test, "Acknowledge all 100")
    test.button(key="do").click().run()
    assert len(desk.audit(MANAGER)) == 100


def test_what_fired_today_and_is_over_is_listed(path: Path) -> None:
    now = clock.now()
    over = {"ended_at": now, "end_reason": "recovered", "value": 1.0}
    yesterday = {"fired_at": now - timedelta(days=1), "ended_at": now - timedelta(hours=20), "end_reason": "recovered"}
    put(path, fires(rule="a", **over), fires(rule="b", **yesterday))
    test = open_page("alerts.py")
    assert "No active alerts." in seen(test) and "Loans: back to 1 at" in seen(test)
    assert seen(test).count("Loans: back to") == 2  # on the page and under the bell, once each


def test_the_wall_names_the_gravest_alert_that_nobody_has_acknowledged(path: Path, desk: Desk) -> None:
    put(path, fires("loans"), fires("cards", severity="critical"), fires("loans", "offered", severity="info"))
    assert "Callers waiting above 2 · Cards +1" in words(wall(open_page()))
    critical = [row for row in alerts(Published(path), MANAGER, clock.now()) or () if row.severity == "critical"]
    desk.acknowledge(Viewer("manager", None, "marie"), critical, "", clock.now())
    assert "Callers waiting above 2 · Loans Data" in words(wall(open_page()))
    put(path)
    assert "Callers waiting above" not in words(wall(open_page()))


def test_a_television_shows_alerts_and_takes_no_input(path: Path) -> None:
    put(path, fires())
    test = open_page(viewer=Viewer("television", None, "tv"), tv="1")
    assert "Callers waiting above 2 · Loans" in words(wall(test))
    assert not test.get("popover") and not test.button


def test_the_feed_page_names_a_channel_that_fails(path: Path, desk: Desk) -> None:
    put(path)
    assert "No message about an alert has been sent yet." in seen(open_page("feed.py"))
    at = clock.now_s()
    with desk.transaction() as connection:
        for row in (
            ("floor/1", "mailtos", 3, at, f"ReadTimeout: HTTPConnectionPool(host='mail.example') {HOSTILE}"),
            ("floor/2", "webhooks", 3, at, "answered 503"),
        ):
            connection.execute(
                "INSERT INTO channels (channel, service, failures, failing_since, reason) VALUES (?, ?, ?, ?, ?)", row
            )
    test = open_page("feed.py")
    (older, error) = [error.value.replace("\\", "") for error in test.error]
    assert "No message has reached floor/1" in older and "(it did not take the message)" in older
    assert "No message has reached floor/2" in error and "(the receiver answered 503)" in error
    assert "floor/1 mailtos" in seen(test) and "fails" in seen(test)
    assert not open_page("feed.py", viewer=Viewer("manager", OF_LOANS, "max")).error


def test_a_rule_is_summed_up_by_how_often_how_long_and_how_much_was_acknowledged() -> None:
    rang = [
        ended(firing(fired=0), 60),
        ended(firing(fired=100), 400),
        firing(fired=1_000),
        ended(firing(rule="waits", fired=0), 10),
    ]
    level, waits = tables.rules_of(rang, {rang[0].alert_id}, after(1_100))
    assert (level.rule, level.rang, level.median_s, level.total_s, level.acknowledged) == ("level", 3, 100, 460, 1)
    assert (waits.rule, waits.rang, waits.acknowledged) == ("waits", 1, 0)
    drawn = words(tables.rules((level, waits), i18n.text("en")))
    assert "level Service level below 70% 3" in drawn and "33%" in drawn


@pytest.mark.parametrize(
    ("campaign", "until"),
    [
        pytest.param("orea", "until 25/11/2026 11:30 (Paris) marie", id="a campaign: by its clock"),
        pytest.param(None, "until 25/11/2026 10:30 UTC marie", id="all campaigns: UTC, and it says so"),
    ],
)
def test_a_silence_says_until_when_by_a_clock_that_its_reader_knows(campaign: str | None, until: str) -> None:
    silence = Silence(1, "level", campaign, "marie", "maintenance", after(0), after(5_400))
    assert until in words(tables.silence(silence, PLACES, i18n.text("en")))


@pytest.mark.parametrize(
    ("campaign", "at"),
    [pytest.param("orea", "at 10:01 (Paris)", id="Paris"), pytest.param(None, "at 09:01 UTC", id="the feed")],
)
def test_an_acknowledgement_is_told_by_the_same_clock_as_its_alert(campaign: str | None, at: str) -> None:
    alert = firing(campaign)
    done = Acknowledgement(alert.alert_id, "marie", "manager", after(60), "")
    now = Ringing((alert,), (alert,), {alert.alert_id: (done,)}, (), frozenset(), PLACES)
    assert words(lines.line(alert, now, i18n.text("en"))).endswith(f"Acknowledged by marie {at}")


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_the_page_is_complete_in_every_language(path: Path, language: str) -> None:
    put(
        path,
        fires(),
        fires("cards", "service_level", comparison="below", threshold=0.7, value=0.6, worst=0.5, usual=0.8),
    )
    test = open_page("alerts.py", lang=language)
    assert not test.error and ("Active now" in [header.value for header in test.subheader]) == (language == "en")
