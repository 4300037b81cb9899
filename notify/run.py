"""`python -m notify run`: looks at each new snapshot, decides what must be told, and delivers it."""

import contextlib
import fcntl
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from metrics import clock, readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Configuration, load
from metrics.errors import MetricsError
from metrics.readers import Alert, Freshness, Published, PublishedFileError
from notify import outbox
from notify.addresses import channels_of
from notify.channels import Channel
from notify.desk import Desk
from notify.errors import AlreadyRunning
from notify.incidents import FEED_FIGURE, Recipients, open_alert, tell

log = logging.getLogger("vigie.notify")

EVERYTHING = Viewer("manager", None, "notify")
LOOKS_EVERY_S = 0.25
"""How often it looks for a new snapshot [s]."""
DECIDES_EVERY_S = 1.0
"""How often it decides without one, for what is due by the clock [s]."""
LOOKS_BACK = timedelta(days=2)
"""Alerts that ended longer ago are no news."""
FEED_SILENT_S = 60.0
"""When nothing was published for so long, the groups of the feed are told [s]."""
LONGEST_PAUSE = timedelta(seconds=10)
"""After a longer pause between two looks, notify has watched only since."""
FEED_REPEATS_S = 1_800.0
FEED_RULE = "nothing-published"


def run(configuration: Path, published: Published, desk: Desk, base: str, stop: threading.Event) -> None:
    """Deliver until `stop`. Raises AlreadyRunning, ConfigurationError or AddressError when it cannot start."""
    with only_one(desk):
        settings = Settings(configuration, base)
        couriers = outbox.Couriers(desk)
        watch = Watch(published, clock.now(), open_alert(desk, FEED_RULE))
        log.info("delivering to %s", ", ".join(settings.channels) or "nobody: campaigns.toml has no [notify.…]")
        try:
            decided_at, decided_on = 0.0, None
            while not stop.is_set():
                if settings.refresh():
                    couriers.keep(settings.channels)
                    with desk.transaction() as connection:
                        outbox.give_up_others(connection, settings.channels)
                now = clock.now()
                watch.look(now)
                if decided_on is not watch.alerts or now.timestamp() - decided_at >= DECIDES_EVERY_S:
                    decided_at, decided_on = now.timestamp(), watch.alerts
                    alerts = watch.alerts + watch.feed_alert(now, settings.feed_groups)
                    if tell(desk, alerts, settings.recipients, now, is_stale=watch.is_stale(now)):
                        couriers.wake()
                couriers.must_run()
                stop.wait(LOOKS_EVERY_S)
        finally:
            couriers.stop()


class Watch:
    """The newest alerts, and how long ago they were published. `told`: the alert about silence that has not ended."""

    def __init__(self, published: Published, started_at: datetime, told: Alert | None = None) -> None:
        self.published = published
        self.alerts: tuple[Alert, ...] = ()
        self._published_at = started_at  # until there is a snapshot
        self._watched_since = self._looked_at = started_at
        self._silence = (told.began_at, told.fired_at) if told else None
        self._seen: object = None
        self._trouble = ""

    def look(self, now: datetime) -> None:
        """Read the alerts if there is a new snapshot. One that cannot be read is like none."""
        if now - self._looked_at > LONGEST_PAUSE:  # the machine slept, and the consumer too
            self._watched_since = now
        self._looked_at = now
        newest = self.published.newest()
        if newest is None or newest == self._seen:
            return
        since = (now - LOOKS_BACK).replace(minute=0, second=0, microsecond=0)  # the key of a kept answer
        try:
            alerts = readers.alerts(self.published, EVERYTHING, since)
            freshness = self.published.ask("freshness", lambda snapshot: snapshot.freshness)
        except PublishedFileError as error:
            if str(error) != self._trouble:
                log.error("%s", error)
            self._trouble = str(error)
            return
        if alerts is not None and isinstance(freshness, Freshness):
            self.alerts, self._seen, self._trouble = alerts, newest, ""
            self._published_at = freshness.published_at

    def is_stale(self, now: datetime) -> bool:
        """Whether nothing was published for FEED_SILENT_S."""
        return (now - self._published_at).total_seconds() >= FEED_SILENT_S

    def feed_alert(self, now: datetime, groups: tuple[str, ...]) -> tuple[Alert, ...]:
        """Return the alert that nothing is published, which no published file can hold; empty while all is well.

        It fires once notify has watched for as long itself: a consumer that starts, or wakes, with notify publishes
        first. It is one alert until something new is published: a consumer that was stopped while it published
        continues with a file that is old.
        """
        if not self.is_stale(now):
            self._silence = None
            return ()
        if self._silence is None:
            fires_at = max(self._published_at, self._watched_since) + timedelta(seconds=FEED_SILENT_S)
            if now < fires_at:
                return ()
            self._silence = (self._published_at, fires_at)
        began_at, fired_at = self._silence
        age_s = (now - self._published_at).total_seconds()
        alert = Alert(
            alert_id=f"{FEED_RULE}-{int(began_at.timestamp())}",
            rule=FEED_RULE,
            severity="critical",
            figure=FEED_FIGURE,
            campaign=None,
            client=None,
            source=None,
            comparison="above",
            threshold=FEED_SILENT_S,
            end_threshold=FEED_SILENT_S,
            usual=None,
            value=age_s,
            worst=age_s,
            worst_at=now,
            calls=None,
            began_at=began_at,
            fired_at=fired_at,
            ended_at=None,
            end_reason=None,
            notify=groups,
            escalate=(),
            escalate_after_s=None,
            repeat_after_s=FEED_REPEATS_S,
        )
        return (alert,)


class Settings:
    """The configuration in force, its channels and recipients. An invalid file leaves the last valid one in force."""

    def __init__(self, path: Path, base: str) -> None:
        self.path, self.base = path, base
        self._seen = _identity(path)
        self._is_new = True
        self._use(load(path))

    def _use(self, configuration: Configuration) -> None:
        self.channels: dict[str, Channel] = channels_of(configuration)
        of_group: defaultdict[str, list[str]] = defaultdict(list)
        for channel in self.channels.values():
            of_group[channel.group].append(channel.name)
        places = {campaign.id: (campaign.name, campaign.timezone) for campaign in configuration.campaigns.values()}
        self.recipients = Recipients(configuration.groups, of_group, places, self.base)
        groups = configuration.groups.values()
        self.feed_groups = tuple(group.id for group in groups if group.feed) or tuple(configuration.groups)

    def refresh(self) -> bool:
        """Read the file again if it has changed. Return whether the channels are new."""
        seen = _identity(self.path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._use(load(self.path))
            except MetricsError as error:
                log.warning("%s The previous configuration stays in force.", error)
            else:
                log.info("%s was reloaded", self.path)
                self._is_new = True
        is_new, self._is_new = self._is_new, False
        return is_new


@contextlib.contextmanager
def only_one(desk: Desk) -> Iterator[None]:
    """Let one process deliver from a desk. Raises AlreadyRunning, or DeskError if the desk cannot be used."""
    with desk.transaction():
        pass
    with desk.path.with_name("deliver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunning(f"Another notify delivers from {desk.path}; stop it first.") from error
        yield


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
