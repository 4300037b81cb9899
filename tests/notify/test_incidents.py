"""Who is told what, and when: grouped, repeated, escalated, silenced, over. The desk is a real one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metrics.authorisation.viewer import Viewer
from metrics.configuration.notification import LANGUAGES
from metrics.kpis.alert_figures import END_REASONS, FIGURES
from metrics.language import alert_words
from metrics.language.text import text as language_text
from metrics.readers import Alert
from notify import incidents
from notify.desk import Desk
from tests.support.stories.firings import after, ended, firing, group, recipients

MANAGER = Viewer("manager", None, "marie")
CLIENT = Viewer("client", frozenset({"orea"}), "claire")
TO = recipients(group("floor"), group("boss"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    tell(desk, (), -3_600)
    return desk


def tell(desk: Desk, alerts: Sequence[Alert], at: float, to: incidents.Recipients = TO, **how: Any) -> list[str]:
    """Return the channel and title of each message that is due so many seconds after nine."""
    before = {row[0] for row in desk.rows("SELECT message_id FROM messages")}
    incidents.tell(desk, alerts, to, after(at), **how)
    rows = desk.rows("SELECT message_id, channel, title FROM messages ORDER BY rowid")
    return [f"{channel}: {title}" for message_id, channel, title in rows if message_id not in before]


def sent(desk: Desk, channel: str = "%") -> None:
    """Mark every message to a channel, or to all, as delivered, as a courier does."""
    with desk.transaction() as connection:
        connection.execute(
            "UPDATE messages SET sent_at = ? WHERE sent_at IS NULL AND channel LIKE ?",
            (after(0).timestamp(), channel),
        )


def waiting(desk: Desk, channel: str) -> list[str]:
    """Return the kinds of the messages that a channel has not taken, in their order."""
    return [
        kind
        for (kind,) in desk.rows(
            "SELECT kind FROM messages WHERE sent_at IS NULL AND given_up_at IS NULL AND channel = ? ORDER BY rowid",
            channel,
        )
    ]


LEVEL = "service level below 70% · Oréa Sinistres"


def test_it_is_told_once_and_once_when_it_is_over(desk: Desk) -> None:
    alert = firing()
    assert tell(desk, [alert], 1) == []  # more of the same cause may come
    assert tell(desk, [alert], 2) == [f"floor/1: Critical: {LEVEL}"]
    assert tell(desk, [alert], 900) == []
    assert tell(desk, [ended(alert, 960)], 961) == [f"floor/1: Over: {LEVEL}"]
    assert tell(desk, [ended(alert, 960)], 962) == []


def test_five_campaigns_of_one_cause_are_one_message(desk: Desk) -> None:
    alerts = [firing(name, fired=n / 4) for n, name in enumerate(("orea", "bright", "almena", "x", "y"))]
    assert tell(desk, alerts[:3], 1) == []
    assert tell(desk, alerts, 2) == ["floor/1: Critical: service level below 70% · 5 campaigns"]
    ((body,),) = desk.rows("SELECT body FROM messages")
    assert all(
        f"{name}: 62.0% since" in body for name in ("Oréa Sinistres", "Brightcart", "Almena Siniestros", "x", "y")
    )
    assert "https://vigie.example/wallboard" in body
    over = [ended(alert, 60) for alert in alerts[:4]]
    assert tell(desk, [*over, alerts[4]], 61) == []  # one still fires
    assert tell(desk, [*over, ended(alerts[4], 70)], 71) == ["floor/1: Over: service level below 70% · 5 campaigns"]


def test_two_rules_are_two_messages(desk: Desk) -> None:
    alerts = [firing(), firing(rule="waits", figure="longest_wait_s", comparison="above", threshold=180.0, value=200.0)]
    assert tell(desk, alerts, 5) == [
        f"floor/1: Critical: {LEVEL}",
        "floor/1: Critical: longest wait above 3:00 · Oréa Sinistres",
    ]


def test_it_is_repeated_until_somebody_acknowledges(desk: Desk) -> None:
    alert = firing(repeat_after_s=600.0)
    tell(desk, [alert], 2)
    sent(desk)
    assert tell(desk, [alert], 601) == []
    assert tell(desk, [alert], 602) == [f"floor/1: Critical, still: {LEVEL}"]
    sent(desk)
    assert tell(desk, [alert], 1_202) == [f"floor/1: Critical, still: {LEVEL}"]
    sent(desk)
    desk.acknowledge(MANAGER, [alert], "two more agents log in", after(1_300))
    assert tell(desk, [alert], 5_000) == []
    assert tell(desk, [ended(alert, 5_100)], 5_101) == [f"floor/1: Over: {LEVEL}"]


def test_a_repetition_waits_until_the_first_message_has_left(desk: Desk) -> None:
    """A channel that is down for an hour must not be flooded when it is back."""
    alert = firing(repeat_after_s=60.0)
    tell(desk, [alert], 2)
    assert tell(desk, [alert], 3_600) == []
    sent(desk)
    assert tell(desk, [alert], 3_601) == [f"floor/1: Critical, still: {LEVEL}"]


TWO_ADDRESSES = replace(TO, channels={"floor": ("floor/1", "floor/2")})


def test_repetitions_do_not_pile_up_for_the_channel_that_fails(desk: Desk) -> None:
    """Each channel is judged by itself: one that delivers must not fill the queue of one that does not."""
    alert = firing(repeat_after_s=60.0)
    tell(desk, [alert], 2, TWO_ADDRESSES)
    for minute in range(1, 15):
        sent(desk, "floor/1")
        assert tell(desk, [alert], 2 + 60 * minute, TWO_ADDRESSES) == [f"floor/1: Critical, still: {LEVEL}"]
    assert waiting(desk, "floor/2") == ["fired"]
    sent(desk)
    assert tell(desk, [alert], 850, TWO_ADDRESSES) == [f"floor/2: Critical, still: {LEVEL}"]
    tell(desk, [ended(alert, 860)], 861, TWO_ADDRESSES)
    assert waiting(desk, "floor/2") == ["repeated", "over"]


def test_a_repetition_that_waits_gives_way_to_the_next(desk: Desk) -> None:
    """A channel that failed after the first message gets one repetition, as it is now, and not one for each minute."""
    alert = firing(repeat_after_s=60.0)
    tell(desk, [alert], 2, TWO_ADDRESSES)
    sent(desk)
    for minute in range(1, 15):
        now = firing(repeat_after_s=60.0, calls=34 + minute)
        assert len(tell(desk, [now], 2 + 60 * minute, TWO_ADDRESSES)) == 2
        assert tell(desk, [now], 3 + 60 * minute, TWO_ADDRESSES) == []
        sent(desk, "floor/1")
    assert waiting(desk, "floor/2") == ["repeated"]
    ((body,),) = desk.rows("SELECT body FROM messages WHERE sent_at IS NULL")
    assert "48 calls" in body
    tell(desk, [ended(alert, 900)], 901, TWO_ADDRESSES)
    assert waiting(desk, "floor/2") == ["repeated", "over"]


def test_a_channel_that_is_new_in_its_group_is_told_at_the_next_repetition(desk: Desk) -> None:
    alert = firing(repeat_after_s=60.0)
    tell(desk, [alert], 2)
    sent(desk)
    assert tell(desk, [alert], 30, TWO_ADDRESSES) == []
    assert tell(desk, [alert], 62, TWO_ADDRESSES) == [f"floor/{n}: Critical, still: {LEVEL}" for n in (1, 2)]


def test_a_group_that_was_just_told_by_escalation_is_not_told_again_at_once(desk: Desk) -> None:
    """Its repetition is counted from its own last message."""
    alert = firing(escalate=("boss",), escalate_after_s=60.0, repeat_after_s=60.0)
    tell(desk, [alert], 2)
    sent(desk)
    assert tell(desk, [alert], 60) == [f"boss/1: Critical, not acknowledged: {LEVEL}"]
    sent(desk)
    assert tell(desk, [alert], 62) == [f"floor/1: Critical, still: {LEVEL}"]
    sent(desk)
    assert tell(desk, [alert], 119) == []
    assert tell(desk, [alert], 120) == [f"boss/1: Critical, still: {LEVEL}"]


def test_what_nobody_acknowledges_escalates_once_and_is_over_for_both(desk: Desk) -> None:
    alert = firing(escalate=("boss",), escalate_after_s=300.0, repeat_after_s=600.0)
    tell(desk, [alert], 2)
    sent(desk)
    assert tell(desk, [alert], 299) == []
    assert tell(desk, [alert], 300) == [f"boss/1: Critical, not acknowledged: {LEVEL}"]
    sent(desk)
    assert tell(desk, [alert], 301) == []
    assert tell(desk, [alert], 602) == [f"floor/1: Critical, still: {LEVEL}"]
    assert tell(desk, [ended(alert, 700)], 701) == [f"{to}/1: Over: {LEVEL}" for to in ("floor", "boss")]


@pytest.mark.parametrize("acknowledged_at", [3, 299])
def test_what_somebody_acknowledged_does_not_escalate(desk: Desk, acknowledged_at: float) -> None:
    alert = firing(escalate=("boss",), escalate_after_s=300.0)
    tell(desk, [alert], 2)
    desk.acknowledge(MANAGER, [alert], "", after(acknowledged_at))
    assert tell(desk, [alert], 300) == []


@pytest.mark.parametrize("viewer", [CLIENT, Viewer("analyst", None, "ada")], ids=["client", "analyst"])
def test_only_a_managers_acknowledgement_stops_repeating_and_escalating(desk: Desk, viewer: Viewer) -> None:
    """A client that has seen an alert must not keep it from the centre's own people."""
    alert = firing(escalate=("boss",), escalate_after_s=300.0, repeat_after_s=600.0)
    tell(desk, [alert], 2)
    sent(desk)
    desk.acknowledge(viewer, [alert], "we have seen it", after(10))
    assert tell(desk, [alert], 300) == [f"boss/1: Critical, not acknowledged: {LEVEL}"]
    sent(desk)
    assert tell(desk, [alert], 602) == [f"floor/1: Critical, still: {LEVEL}"]
    sent(desk)
    desk.acknowledge(MANAGER, [alert], "", after(700))
    assert tell(desk, [alert], 5_000) == []


def test_of_several_only_what_is_not_acknowledged_escalates(desk: Desk) -> None:
    alerts = [firing(name, escalate=("boss",), escalate_after_s=300.0) for name in ("orea", "bright")]
    tell(desk, alerts, 2)
    desk.acknowledge(MANAGER, alerts[1:], "", after(10))
    assert tell(desk, alerts, 300) == [f"boss/1: Critical, not acknowledged: {LEVEL}"]


@pytest.mark.parametrize(
    ("rule", "campaign"),
    [
        pytest.param("level", None, id="the rule"),
        pytest.param(None, "orea", id="the campaign"),
        pytest.param("level", "orea", id="both"),
    ],
)
def test_a_silence_stops_messages_and_no_others(desk: Desk, rule: str | None, campaign: str | None) -> None:
    desk.silence(MANAGER, rule, campaign, "maintenance", after(-10), after(600))
    other = firing("bright", rule="waits")
    alert = firing()
    assert [line.rpartition("· ")[2] for line in tell(desk, [alert, other], 10)] == ["Brightcart"]
    assert tell(desk, [alert, other], 599) == []
    assert tell(desk, [alert, other], 600) == [f"floor/1: Critical: {LEVEL}"]  # it still fires


def test_what_begins_and_ends_in_silence_is_told_to_nobody(desk: Desk) -> None:
    desk.silence(MANAGER, "level", None, "maintenance", after(-10), after(600))
    alert = firing()
    assert tell(desk, [alert], 10) == []
    assert tell(desk, [ended(alert, 60)], 61) == []
    assert tell(desk, [ended(alert, 60)], 700) == []


def test_a_silence_stops_repeating_and_escalating_of_what_was_told(desk: Desk) -> None:
    alert = firing(escalate=("boss",), escalate_after_s=300.0, repeat_after_s=120.0)
    tell(desk, [alert], 2)
    sent(desk)
    desk.silence(MANAGER, "level", "orea", "we know", after(60), after(1_000))
    assert tell(desk, [alert], 400) == []
    assert tell(desk, [alert], 1_000) != []


def test_what_fired_and_ended_while_notify_was_down_is_told(desk: Desk) -> None:
    assert tell(desk, [ended(firing(), 600)], 7_200) == [f"floor/1: Over: {LEVEL}"]


def test_what_had_ended_before_notify_first_ran_is_not_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert tell(desk, [ended(firing(), 600), firing("bright")], 7_200) == [
        "floor/1: Critical: service level below 70% · Brightcart"
    ]
    assert tell(desk, [ended(firing(), 600), firing("bright")], 7_300) == []


def test_an_alert_that_is_published_no_more_is_over(desk: Desk) -> None:
    """A rebuilt store has other alerts. An incident must not stay open for good."""
    tell(desk, [firing()], 2)
    assert tell(desk, [], 60) == [f"floor/1: Over: {LEVEL}"]


def test_while_figures_are_old_only_the_feed_is_spoken_of(desk: Desk) -> None:
    alert = firing(repeat_after_s=60.0, escalate=("boss",), escalate_after_s=60.0)
    tell(desk, [alert], 2)
    sent(desk)
    feed = firing(None, rule="nothing-published", figure="feed_age_s", comparison="above", threshold=60.0, fired=100)
    assert tell(desk, [alert, feed], 102, is_stale=True) == ["floor/1: Critical: age of the data above 1:00 · the feed"]
    assert len(tell(desk, [alert], 300)) == 3  # over, repeated and escalated


def test_a_group_that_is_not_configured_is_named_in_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    assert tell(desk, [firing(notify=("floor", "nobody"))], 2) == [f"floor/1: Critical: {LEVEL}"]
    assert "there is no group nobody" in caplog.text


def test_a_lost_desk_repeats_the_ids_of_messages(tmp_path: Path) -> None:
    """So a receiver recognises what it has had."""
    first, second = Desk(tmp_path / "first"), Desk(tmp_path / "second")
    for desk in (first, second):
        tell(desk, [firing(), firing("bright")], 2)
    ids = "SELECT message_id FROM messages"
    assert first.rows(ids) == second.rows(ids) != []


def test_a_storm_is_one_message_for_each_rule(desk: Desk) -> None:
    storm = [firing(f"c{n}", rule=f"rule-{n % 10}") for n in range(1_000)]
    assert len(tell(desk, storm, 3)) == 10
    ((longest,),) = desk.rows("SELECT max(length(body)) FROM messages")
    assert longest < 2_000
    assert tell(desk, storm, 4) == []
    assert len(tell(desk, [ended(alert, 60) for alert in storm], 61)) == 10


def test_delivered_messages_are_kept_for_thirty_days(desk: Desk) -> None:
    tell(desk, [firing()], 2)
    tell(desk, [ended(firing(), 60)], 61)
    sent(desk)
    later = 31 * 86_400
    tell(desk, [firing("bright", fired=later)], later + 2)
    assert [row[0] for row in desk.rows("SELECT title FROM messages")] == [
        "Critical: service level below 70% · Brightcart"
    ]
    assert [row[0] for row in desk.rows("SELECT count(*) FROM incidents")] == [1]


@pytest.mark.parametrize(
    ("language", "title", "line"),
    [
        pytest.param("en", "Critical: service level below 70% · Oréa Sinistres", "62.0% since 09:59", id="en"),
        pytest.param("fr", "Critique : niveau de service sous 70 % · Oréa Sinistres", "62,0 % depuis 09:59", id="fr"),
        pytest.param(
            "es", "Crítica: nivel de servicio por debajo de 70 % · Oréa Sinistres", "62,0 % desde las 09:59", id="es"
        ),
    ],
)
def test_a_group_is_told_in_its_language_and_the_campaigns_time(
    desk: Desk, language: str, title: str, line: str
) -> None:
    alert = firing(worst=0.58, worst_at=after(30), usual=0.85)
    (told,) = tell(desk, [alert], 60, recipients(group("floor", language)))
    ((body,),) = desk.rows("SELECT body FROM messages")
    spaces = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " "})
    assert told.translate(spaces) == f"floor/1: {title}"
    assert f"Oréa Sinistres: {line}" in body.translate(spaces).replace("Sinistres :", "Sinistres:")
    assert "https://vigie.example/campaign?campaign=orea" in body


@pytest.mark.parametrize(
    ("language", "paris", "london"),
    [
        pytest.param("en", "since 09:59 (Paris)", "since 08:59 (London)", id="en"),
        pytest.param("fr", "depuis 09:59 (Paris)", "depuis 08:59 (Londres)", id="fr"),
        pytest.param("es", "desde las 09:59 (París)", "desde las 08:59 (Londres)", id="es"),
    ],
)
def test_a_message_that_mixes_clocks_names_them(desk: Desk, language: str, paris: str, london: str) -> None:
    """One instant is 09:59 and 08:59 in one message."""
    tell(desk, [firing(), firing("bright")], 60, recipients(group("floor", language)))
    ((body,),) = desk.rows("SELECT body FROM messages")
    orea, bright, *_ = body.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert paris in orea and london in bright


@pytest.mark.parametrize("campaigns", [("orea",), ("orea", "almena"), ("bright",)], ids=" and ".join)
def test_a_message_of_one_clock_names_none(desk: Desk, campaigns: tuple[str, ...]) -> None:
    """Paris and Madrid are two zones, and have one clock."""
    tell(desk, [firing(campaign) for campaign in campaigns], 60)
    ((body,),) = desk.rows("SELECT body FROM messages")
    assert "(" not in body


def test_clocks_that_differ_only_when_it_ended_are_named() -> None:
    """London and Abidjan have one clock until London's summer time begins, on 29 March 2026 at 01:00 UTC."""
    began, over = datetime(2026, 3, 29, 0, 55, tzinfo=UTC), datetime(2026, 3, 29, 1, 5, tzinfo=UTC)
    places = {"a": ("A", "Europe/London"), "b": ("B", "Africa/Abidjan")}
    fires = [firing(name, began_at=began, worst_at=began) for name in places]
    assert not alert_words.mixes_clocks(fires, places)
    assert alert_words.mixes_clocks([replace(alert, ended_at=over) for alert in fires], places)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_and_every_end_has_words_in_every_language(language: str) -> None:
    words = language_text(language)
    for name in FIGURES:
        about = firing(figure=name, value=12.0, worst=13.0, usual=11.0)
        assert alert_words.headline(about, words) and alert_words.line(about, {}, words)
    ends = {alert_words.line(ended(firing(), 60, end_reason=reason), {}, words) for reason in END_REASONS}
    assert len(ends) == len(END_REASONS)
