"""The outbox: messages wait in the desk until their channel has taken them. At least once, never silently lost.

A message is written before it is sent, and marked after. If notify is killed in between, it is sent again with the same
message_id. Each channel has its own thread, so that one that hangs or fails holds up no other. A failure is tried again
after FIRST_S, twice as long each time, up to LONGEST_S; after GIVE_UP_S the message is given up: the log and the feed
page say so.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping

from metrics import clock
from notify.channels import Channel, Message
from notify.desk import Desk, DeskError
from notify.errors import NotDelivered

log = logging.getLogger("vigie.notify")

FIRST_S, LONGEST_S = 1.0, 300.0
"""Time until the next try after a failure: the first time, and at most [s]."""
GIVE_UP_S = 86_400.0
LOOKS_EVERY_S = 0.25
"""How often an idle channel looks for messages [s]; a new message wakes it at once."""
STOPS_WITHIN_S = 15.0

NEXT = """
SELECT message_id, title, body, facts, made_at, tries FROM messages AS due
WHERE channel = ? AND sent_at IS NULL AND given_up_at IS NULL AND next_try_at <= ?
  AND NOT EXISTS (
      SELECT 1 FROM messages AS earlier
      WHERE earlier.channel = due.channel AND earlier.incident_id = due.incident_id AND earlier.rowid < due.rowid
        AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL
  )
ORDER BY next_try_at, rowid
LIMIT 1
"""
"""The message of a channel that is due first. An incident's messages keep their order: "over" never overtakes."""


def put(
    connection: sqlite3.Connection, channel: str, kind: str, incident_id: str | None, message: Message, now_s: float
) -> None:
    """Add a message to the outbox at `now_s`, in the transaction of its reason. The same message_id is added once."""
    connection.execute(
        "INSERT INTO messages (message_id, channel, incident_id, kind, title, body, facts, made_at, next_try_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            message.message_id,
            channel,
            incident_id,
            kind,
            message.title,
            message.body,
            json.dumps(message.facts | {"look": message.look}, ensure_ascii=False),
            now_s,
            now_s,
        ),
    )


def drop_waiting(connection: sqlite3.Connection, incident_id: str, kind: str, channels: Iterable[str]) -> None:
    """Remove the messages of a kind about an incident that still wait for these channels: a later one replaces them."""
    connection.execute(
        "DELETE FROM messages WHERE incident_id = ? AND kind = ? AND sent_at IS NULL AND given_up_at IS NULL"
        " AND channel IN (SELECT value FROM json_each(?))",
        (incident_id, kind, json.dumps(list(channels))),
    )


class Courier(threading.Thread):
    """Delivers the messages of one channel, one after the other, until it is stopped."""

    def __init__(self, desk: Desk, channel: Channel) -> None:
        super().__init__(name=f"channel {channel.name}", daemon=True)
        self.desk, self.channel = desk, channel
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self._held_until_s = 0.0  # after a failure, the whole channel waits: its messages most likely share the cause
        self._failures = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                is_idle = not self._deliver_next()
            except DeskError as error:
                log.error("%s", error)
                is_idle = True
            if is_idle:
                self.wake.wait(LOOKS_EVERY_S)
                self.wake.clear()

    def stop(self) -> None:
        self.stopping.set()
        self.wake.set()

    def _deliver_next(self) -> bool:
        """Try the message that is due first. Return whether there was one."""
        now_s = clock.now_s()
        if now_s < self._held_until_s:
            return False
        due = self.desk.rows(NEXT, self.channel.name, now_s)
        if not due:
            return False
        ((message_id, title, body, facts, made_at, tries),) = due
        told = json.loads(facts)
        message = Message(message_id, title, body, told.pop("look"), told)
        try:
            self.channel.deliver(message)
        except NotDelivered as error:
            self._note_failure(message_id, made_at, tries + 1, error)
        else:
            self._note_sent(message_id)
        return True

    def _note_sent(self, message_id: str) -> None:
        now_s = clock.now_s()
        with self.desk.transaction() as connection:
            connection.execute(
                "UPDATE messages SET sent_at = ?, tries = tries + 1 WHERE message_id = ?", (now_s, message_id)
            )
            connection.execute(
                "INSERT INTO channels (channel, service, sent_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET service = excluded.service, sent_at = excluded.sent_at, failures = 0, failing_since = NULL,"
                " reason = NULL",
                (self.channel.name, self.channel.service, now_s),
            )
        if self._failures:
            log.info("%s delivers again, after %d failures", self.channel.name, self._failures)
        self._failures, self._held_until_s = 0, 0.0

    def _note_failure(self, message_id: str, made_at: float, tries: int, error: NotDelivered) -> None:
        now_s = clock.now_s()
        self._failures += 1
        self._held_until_s = now_s + backoff_s(self._failures)
        is_given_up = now_s - made_at > GIVE_UP_S
        with self.desk.transaction() as connection:
            connection.execute(
                "UPDATE messages SET tries = ?, next_try_at = ?, given_up_at = ? WHERE message_id = ?",
                (tries, now_s + backoff_s(tries), now_s if is_given_up else None, message_id),
            )
            connection.execute(
                "INSERT INTO channels (channel, service, failures, failing_since, reason) VALUES (?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET service = excluded.service, failures = failures + 1,"
                " failing_since = coalesce(failing_since, excluded.failing_since), reason = excluded.reason",
                (self.channel.name, self.channel.service, now_s, error.reason),
            )
        if is_given_up:
            log.error("%s: message %s is given up after %d tries: %s", self.channel.name, message_id, tries, error)
        else:
            log.warning("%s: message %s was not delivered, try %d: %s", self.channel.name, message_id, tries, error)


class Couriers:
    """The couriers of the channels in force."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._running: dict[str, Courier] = {}

    def keep(self, channels: Mapping[str, Channel]) -> None:
        """Run a courier for each of these channels, and for no other. One whose address is the same goes on."""
        self._stop(name for name, courier in self._running.items() if channels.get(name) != courier.channel)
        for name, channel in channels.items():
            if name not in self._running:
                self._running[name] = Courier(self.desk, channel)
                self._running[name].start()

    def must_run(self) -> None:
        """Raise RuntimeError if a courier has died: its channel would be silent."""
        for courier in self._running.values():
            if not courier.is_alive():
                raise RuntimeError(f"the thread of {courier.name} has died")

    def wake(self) -> None:
        for courier in self._running.values():
            courier.wake.set()

    def stop(self) -> None:
        """Stop all couriers. A delivery under way is waited for; one that hangs is sent again after the next start."""
        self._stop(self._running)

    def _stop(self, names: Iterable[str]) -> None:
        leaving = [self._running.pop(name) for name in list(names)]
        for courier in leaving:
            courier.stop()
        for courier in leaving:
            courier.join(STOPS_WITHIN_S / max(1, len(leaving)))


def give_up_others(connection: sqlite3.Connection, channels: Iterable[str]) -> None:
    """Give up the messages of channels that the configuration has no more, and say so in the log."""
    here = json.dumps(list(channels))
    lost = connection.execute(
        "UPDATE messages SET given_up_at = ? WHERE sent_at IS NULL AND given_up_at IS NULL"
        " AND channel NOT IN (SELECT value FROM json_each(?)) RETURNING channel, message_id, title",
        (clock.now_s(), here),
    ).fetchall()
    for channel, message_id, title in lost:
        log.error("%s is no longer configured: message %s is given up: %s", channel, message_id, title)
    connection.execute("DELETE FROM channels WHERE channel NOT IN (SELECT value FROM json_each(?))", (here,))


def backoff_s(failures: int) -> float:
    """Return the time until the next try after so many failures in a row [s]."""
    return min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 30))


def drop_old(connection: sqlite3.Connection, before_s: float) -> None:
    """Remove delivered messages, and the incidents that closed, before this instant."""
    connection.execute("DELETE FROM messages WHERE coalesce(sent_at, given_up_at) < ?", (before_s,))
    connection.execute(
        "DELETE FROM told_alerts WHERE noted_at < ?1 AND (incident_id IS NULL OR incident_id IN"
        " (SELECT incident_id FROM incidents WHERE closed_at < ?1))",
        (before_s,),
    )
    connection.execute(
        "DELETE FROM incidents WHERE closed_at < ? AND incident_id NOT IN"
        " (SELECT incident_id FROM told_alerts WHERE incident_id IS NOT NULL)",
        (before_s,),
    )
