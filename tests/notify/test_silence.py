"""The alert that nothing is published: when it fires, that it is one alert, and when it ends."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metrics.readers import Alert, Published
from notify.desk import Desk
from notify.incidents import Recipients, open_alert, tell
from notify.run import FEED_RULE, Watch
from tests.support.floor_file import publish

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Consumer:
    """Publishes files that are as old as they say."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vigie.duckdb"

    def publish(self, published_at_s: float) -> None:
        publish(self.path, campaigns={"loans": ("Alba", "Loans", "UTC")}, as_of=at(published_at_s))


@pytest.fixture
def consumer(tmp_path: Path) -> Consumer:
    return Consumer(tmp_path)


def look(watch: Watch, seconds: float) -> str | None:
    """Look at an instant; return the id of the alert that fires then."""
    watch.look(at(seconds))
    alert = watch.feed_alert(at(seconds), ("floor",))
    return alert[0].alert_id if alert else None


def each_second(watch: Watch, begin: int, end: int) -> list[str | None]:
    return [look(watch, second) for second in range(begin, end)]


def test_it_fires_after_a_minute_without_a_file_and_ends_with_the_next(consumer: Consumer) -> None:
    consumer.publish(0)
    watch = Watch(Published(consumer.path), at(0))
    assert set(each_second(watch, 0, 60)) == {None}
    assert look(watch, 60) == f"{FEED_RULE}-{int(NOON.timestamp())}"
    consumer.publish(61)
    assert look(watch, 62) is None


def test_an_old_file_at_the_start_fires_only_after_a_minute_of_watching(consumer: Consumer) -> None:
    """After a reboot, the consumer needs a while for its first file."""
    consumer.publish(-3_600)
    watch = Watch(Published(consumer.path), at(0))
    assert set(each_second(watch, 0, 60)) == {None}
    assert look(watch, 60) == f"{FEED_RULE}-{int(at(-3_600).timestamp())}"


def test_it_does_not_fire_when_the_machine_wakes(consumer: Consumer) -> None:
    consumer.publish(0)
    watch = Watch(Published(consumer.path), at(0))
    each_second(watch, 0, 5)
    assert set(each_second(watch, 3_600, 3_660)) == {None}
    assert look(watch, 3_660) is not None


def test_a_file_that_is_old_when_it_comes_does_not_fire_again(consumer: Consumer) -> None:
    """A consumer that was stopped in the middle of a publish continues with it; its next file is of now."""
    consumer.publish(0)
    watch = Watch(Published(consumer.path), at(0))
    (fired,) = set(each_second(watch, 0, 300)[60:])
    assert fired is not None
    consumer.publish(2)
    assert look(watch, 300) == fired
    consumer.publish(301)
    assert look(watch, 301) is None
    assert set(each_second(watch, 302, 361)) == {None}


def test_it_goes_on_over_a_restart_of_notify(tmp_path: Path, consumer: Consumer) -> None:
    desk = Desk(tmp_path / "desk")
    to = Recipients({}, {}, {})
    consumer.publish(0)
    watch = Watch(Published(consumer.path), at(0))
    fired = each_second(watch, 0, 61)[-1]
    tell(desk, watch.feed_alert(at(62), ("floor",)), to, at(62))
    told = open_alert(desk, FEED_RULE)
    assert isinstance(told, Alert) and told.alert_id == fired
    consumer.publish(3)
    watch = Watch(Published(consumer.path), at(100), told)
    assert look(watch, 100) == fired
    consumer.publish(101)
    assert look(watch, 101) is None
    tell(desk, (), to, at(102))
    assert open_alert(desk, FEED_RULE) is None
