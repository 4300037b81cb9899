"""The outbox: at least once, in order, tried again, one channel never in the way of another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metrics import clock
from notify import outbox
from notify.channels import Channel, Message
from notify.desk import Desk
from notify.errors import NotDelivered
from tests.support.processes import wait_for


def message(message_id: str) -> Message:
    return Message(message_id, "title", "body", "info", {"kind": "fired"})


def put(desk: Desk, channel: str, *ids: str, incident: str = "one") -> None:
    with desk.transaction() as connection:
        for message_id in ids:
            outbox.put(connection, channel, "fired", incident, message(message_id), clock.now_s())


class Taking:
    """A channel that takes messages, or fails as often as it is told to."""

    def __init__(self, name: str, failures: int = 0, reason: str = "no_connection") -> None:
        self.channel = Channel(name, "test", "", self.deliver)
        self.failures, self.reason = failures, reason
        self.taken: list[str] = []
        self.tried: list[str] = []

    def deliver(self, message: Message) -> None:
        self.tried.append(message.message_id)
        if self.failures:
            self.failures -= 1
            raise NotDelivered(self.reason)
        self.taken.append(message.message_id)


@contextmanager
def delivering(desk: Desk, *channels: Channel) -> Iterator[outbox.Couriers]:
    couriers = outbox.Couriers(desk)
    couriers.keep({channel.name: channel for channel in channels})
    try:
        yield couriers
    finally:
        couriers.stop()


def all_sent(desk: Desk) -> Callable[[], bool]:
    return lambda: not desk.rows("SELECT 1 FROM messages WHERE sent_at IS NULL")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again after hundredths of a second."""
    monkeypatch.setattr(outbox, "FIRST_S", 0.01)


def test_messages_leave_once_and_in_order(tmp_path: Path) -> None:
    desk, floor = Desk(tmp_path), Taking("floor/1")
    put(desk, "floor/1", "a", "b", "c")
    put(desk, "floor/1", "b")
    with delivering(desk, floor.channel):
        wait_for(all_sent(desk), "all messages")
    assert floor.taken == ["a", "b", "c"]


def test_a_failure_is_tried_again_and_keeps_the_order_of_an_incident(tmp_path: Path) -> None:
    desk, floor = Desk(tmp_path), Taking("floor/1", failures=3)
    put(desk, "floor/1", "fired", "over")
    with delivering(desk, floor.channel):
        wait_for(all_sent(desk), "all messages")
    assert floor.taken == ["fired", "over"]
    assert floor.tried == ["fired"] * 4 + ["over"]


def test_a_message_that_is_never_taken_stops_no_other(tmp_path: Path) -> None:
    desk, taken = Desk(tmp_path), []

    def deliver(message: Message) -> None:
        if message.message_id == "poison":
            raise NotDelivered("answered 400")
        taken.append(message.message_id)

    put(desk, "floor/1", "poison", incident="one")
    put(desk, "floor/1", "a", "b", incident="two")
    with delivering(desk, Channel("floor/1", "test", "", deliver)):
        wait_for(lambda: taken == ["a", "b"], "the other messages")


def test_a_channel_that_fails_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    desk, good, bad = Desk(tmp_path), Taking("floor/1"), Taking("floor/2", failures=1_000)
    hangs = threading.Event()
    hanging = Channel("floor/3", "test", "", lambda message: (hangs.wait(), None)[1])
    for name in ("floor/1", "floor/2", "floor/3"):
        put(desk, name, *(f"{name}-{n}" for n in range(20)))
    with delivering(desk, good.channel, bad.channel, hanging):
        wait_for(lambda: len(good.taken) == 20, "the good channel", 20)
        wait_for(lambda: len(bad.tried) > 2, "the failing channel to be tried again", 20)
        hangs.set()


def test_a_channel_that_fails_says_since_when_and_why_until_it_delivers(tmp_path: Path) -> None:
    desk, floor = Desk(tmp_path), Taking("floor/1", failures=3, reason="sign_in")
    put(desk, "floor/1", "a")

    def state() -> tuple[int, str | None, int]:
        (channel,) = desk.channels(clock.now()) or (None,)
        return (0, None, 0) if channel is None else (channel.failures, channel.reason, channel.waiting)

    with delivering(desk, floor.channel):
        wait_for(lambda: state()[:2] == (3, "sign_in") or all_sent(desk)(), "three failures")
        wait_for(all_sent(desk), "the message")
    assert state() == (0, None, 0)
    (channel,) = desk.channels(clock.now())
    assert channel.failing_since is None and channel.sent_at is not None


def test_what_was_not_marked_before_a_kill_is_sent_again_with_the_same_id(tmp_path: Path) -> None:
    """The receiver has it, but notify died before it could note that."""
    desk, floor = Desk(tmp_path), Taking("floor/1")
    put(desk, "floor/1", "a")

    class Killed(BaseException):
        pass

    def deliver_and_die(message: Message) -> None:
        floor.deliver(message)
        raise Killed

    courier = outbox.Courier(desk, Channel("floor/1", "test", "", deliver_and_die))
    with pytest.raises(Killed):
        courier._deliver_next()
    with delivering(desk, floor.channel):
        wait_for(all_sent(desk), "the message")
    assert floor.taken == ["a", "a"]


def test_a_message_is_given_up_loudly_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "GIVE_UP_S", 0.05)
    desk, floor = Desk(tmp_path), Taking("floor/1", failures=1_000)
    put(desk, "floor/1", "a")
    with delivering(desk, floor.channel):
        wait_for(lambda: desk.rows("SELECT 1 FROM messages WHERE given_up_at IS NOT NULL"), "giving up")
    assert [channel.given_up for channel in desk.channels(clock.now())] == [1]
    assert "message a is given up" in caplog.text


def test_messages_of_a_channel_that_was_removed_are_given_up_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path)
    put(desk, "floor/1", "a")
    put(desk, "floor/2", "b")
    with desk.transaction() as connection:
        outbox.give_up_others(connection, ["floor/1"])
    assert desk.rows("SELECT message_id FROM messages WHERE given_up_at IS NOT NULL") == [("b",)]
    assert "floor/2 is no longer configured: message b is given up" in caplog.text


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(1, 0.01), (2, 0.02), (5, 0.16), (60, outbox.LONGEST_S)],
    ids=["first", "twice as long", "and again", "five minutes at most"],
)
def test_the_time_between_tries_doubles(failures: int, wait_s: float) -> None:
    assert outbox.backoff_s(failures) == pytest.approx(wait_s)
