"""Kills of whole programs while events go on: nothing may be lost, doubled or unreadable.

The consumer is killed at random instants after it has begun to read: within a batch, a publish, a rename, a merge, a
checkpoint. The broker is killed too and comes back empty, and the sources send everything again. So is the dashboard.
Sometimes the disk is full, read-only or slow from one instant to the next, or the clock jumps by an hour. Meanwhile
another process opens the published file all the time. At the end every row is that of a consumer that nobody disturbed.
torture.py has the same for single statements.
"""

import datetime as dt
import errno
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ingest.archive import inventory
from ingest.topic.broker import ensure_topic, running_broker
from metrics import clock
from tests.support import templates
from tests.support.dashboard.browsing import dashboard
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    Event,
    command,
    consumer,
    consumer_log,
    differences,
    environment,
    floor,
    free_port,
    options,
    published,
    rows,
    send,
    wait_for,
)
from tests.support.processes import run as command_run
from tests.support.trouble import Trouble, troubles

TOPIC = "call-events"
EVENTS_A_KILL = 2_000
SENT_EVERY_S = 0.25
LONGEST_S = 3.0  # a consumer lives after it has begun to read
ALL_DAYS = "FROM kpi_campaign(now() - INTERVAL 400 DAY, now() + INTERVAL 2 DAY)"
#: Without the seconds of open states, which depend on the clock.
STATES = "SELECT * REPLACE (CASE WHEN ended_at IS NOT NULL THEN seconds END AS seconds) FROM agent_states"
#: Without offsets, which are others in another broker, and repetitions, which are other records in it.
LETTERS = "SELECT DISTINCT reason, payload FROM dead_letters"
EVERYTHING = ("FROM calls", STATES, "FROM agents", ALL_DAYS, "FROM kpi_daily", LETTERS)

REFUSALS = {"full disks": errno.ENOSPC, "disks that became read-only": errno.EROFS, "broken disks": errno.EIO}
TROUBLES = (*REFUSALS, "slow disks", "jumps of the clock")

READER = """
import collections, os, sys, time, duckdb
path, report = sys.argv[1:]
seen = collections.Counter()
calls = states = 0
while not os.path.exists(report + ".stop"):
    time.sleep(0.05)
    if not os.path.exists(path):
        continue
    try:
        with duckdb.connect(path, read_only=True) as connection:
            found = connection.execute(
                "SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM agent_states), lag FROM ingest_status"
            ).fetchall()
        seen["opened"] += 1
        seen["calls that went"] += found[0][0] < calls
        calls = max(calls, found[0][0])
    except Exception as error:
        seen["failed"] += 1
        print(repr(error), file=sys.stderr, flush=True)
with open(report, "w") as file:
    file.write(repr(dict(seen)))
"""


class Sources(threading.Thread):
    """Sends `records` to `servers` at a steady pace; after `send_again`, those that were sent before too."""

    def __init__(self, servers: str, records: list[Any], a_second: float) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.lock = threading.Lock()
        self._servers = servers
        self._records = records
        self._piece = max(1, round(a_second * SENT_EVERY_S))
        self._stopping = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            while self.sent < len(self._records) and not self._stopping.wait(SENT_EVERY_S):
                self.send_more(self._piece)
        except Exception as error:
            self._failure = error

    def send_more(self, count: int) -> None:
        with self.lock:
            piece = self._records[self.sent : self.sent + count]
            send(self._servers, TOPIC, piece)
            self.sent += len(piece)

    def send_again(self) -> None:
        """Send what the broker that was killed had. Call it with the lock."""
        send(self._servers, TOPIC, self._records[: self.sent])

    def finish(self) -> None:
        """Send the rest at once."""
        self._stopping.set()
        self.join()
        if self._failure:
            raise self._failure
        self.send_more(len(self._records))


@contextmanager
def troubled(place: Path, servers: str, trouble: Trouble) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a consumer that meets the trouble. It is started, not forked: a fork has the libraries of its parent."""
    trouble.make()
    with (place / "consumer.log").open("wb") as log:
        process = subprocess.Popen(
            command("run", *options(place, servers, TOPIC)), cwd=ROOT, env=environment(**trouble.variables), stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def records(chance: random.Random, count: int) -> list[Any]:
    """Events of a floor: some late, some twice, some corrected later, and lines that are no events."""
    events: list[Event] = floor(count)
    later = clock.now() - dt.datetime.fromisoformat(events[-1]["ts"]) - dt.timedelta(minutes=1)
    for event in events:
        event["ts"] = (dt.datetime.fromisoformat(event["ts"]) + later).isoformat()
    placed: list[tuple[float, Any]] = []
    for place, event in enumerate(events):
        placed.append((place + (chance.expovariate(20 / count) if chance.random() < 0.02 else 0.0), event))
        if chance.random() < 0.02:
            placed.append((place + chance.expovariate(20 / count), event))
        if chance.random() < 0.01:
            corrected = event | {"revision": 1} | ({"queue": "other"} if event["type"] == "call.queued" else {})
            placed.append((place + chance.expovariate(20 / count), corrected))
        if chance.random() < 0.001:
            placed.append((place, b"not JSON %d" % place))
    return [value for _, value in sorted(placed, key=lambda one: one[0])]


class Broker:
    """An embedded broker that can be killed and replaced by an empty one at the same address."""

    def __init__(self) -> None:
        self._port = free_port()
        self._stack = ExitStack()
        self.servers = self._start()

    def _start(self) -> str:
        self._running = self._stack.enter_context(running_broker(self._port))
        ensure_topic(self._running.bootstrap_servers, TOPIC)
        return self._running.bootstrap_servers

    def replace(self, away_s: float) -> None:
        self._running.process.kill()
        self._running.process.wait()
        time.sleep(away_s)
        self._start()

    def stop(self) -> None:
        self._stack.close()


@contextmanager
def reading(place: Path) -> Iterator[Counter[str]]:
    """Open the published file all the time meanwhile, in another process; afterwards the counter says what it saw."""
    report, seen = place / "reader", Counter[str]()
    errors = place / "reader.log"
    with (
        errors.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", READER, str(published(place)), str(report)], stderr=log, env=environment()
        ) as process,
    ):
        try:
            yield seen
            Path(f"{report}.stop").touch()
            assert process.wait(60) == 0, errors.read_text()
            seen.update(json.loads(report.read_text().replace("'", '"')))
            assert not seen["failed"] and not seen["calls that went"], (seen, errors.read_text()[-2_000:])
        finally:
            process.kill()


def run(number: int, kills: int, brokers: int = 0, dashboards: int = 0, disturbed: int = 0) -> Counter[str]:
    """Kill the consumer, the broker and the dashboard so many times; return what was going on at the kills.

    So many lives of consumers are `disturbed` by a disk or a clock.

    Raises AssertionError if a row differs from the undisturbed ones, or the published file could not be opened.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-kills-")))
        killed, undisturbed = home / "killed", home / "undisturbed"
        killed.mkdir(parents=True)
        chance = random.Random(number)
        broker = Broker()
        stack.callback(broker.stop)
        values = records(chance, kills * EVENTS_A_KILL)
        sources = Sources(broker.servers, values, EVENTS_A_KILL / (LONGEST_S + 2))
        sources.send_more(EVENTS_A_KILL)
        sources.start()
        judged_at = clock.now() + dt.timedelta(days=1)  # when all calls are over, whenever that is read
        of_broker = set(chance.sample(range(kills), brokers))
        of_dashboard = set(chance.sample(range(kills), dashboards))
        with reading(killed) as seen:
            for n in range(disturbed):
                _disturb(killed, broker.servers, chance, TROUBLES[n % len(TROUBLES)])
                seen[TROUBLES[n % len(TROUBLES)]] += 1
            for kill in range(kills):
                lives_s = chance.uniform(0, LONGEST_S)
                with consumer(killed, broker.servers, TOPIC) as process:
                    wait_for(lambda: "topic opened" in consumer_log(killed), "the topic is opened")
                    if kill in of_broker:
                        time.sleep(lives_s)  # not a wait: random moments for the kills
                        with sources.lock:
                            broker.replace(chance.uniform(0, 2))
                            sources.send_again()
                        seen["kills of the broker"] += 1
                    if kill in of_dashboard:
                        with dashboard(killed, VIGIE_ACCESS_DIR=str(home / "access")) as shown:
                            time.sleep(lives_s)
                            shown.process.kill()
                        seen["kills of the dashboard"] += 1
                    time.sleep(lives_s)
                    assert process.poll() is None, consumer_log(killed)
                    process.kill()
                    process.wait()
                seen["kills of the consumer"] += 1
                seen.update(_left_behind(killed))
            sources.finish()
            _read_all(killed, broker.servers, judged_at)
        _read_all(undisturbed, broker.servers, judged_at)
        assert differences(killed, undisturbed, *EVERYTHING) == {}
        assert rows(killed, "FROM alarms") == []
        assert rows(killed, "SELECT count(*) FROM calls") == rows(killed, "SELECT count(DISTINCT call_id) FROM calls")
        counts = "SELECT events, dead_letters > 0 FROM ingest_status"
        assert rows(killed, counts) == rows(undisturbed, counts)
        return seen


def _disturb(place: Path, servers: str, chance: random.Random, kind: str) -> None:
    """Start a consumer and let its disk or its clock fail after a while. It must stop with a sentence, or go on."""
    with troubles() as trouble, troubled(place, servers, trouble) as process:
        wait_for(lambda: "topic opened" in consumer_log(place), "the topic is opened")
        time.sleep(chance.uniform(0, LONGEST_S))
        if kind in REFUSALS:
            trouble.make(write_fails=REFUSALS[kind])
            assert process.wait(WITHIN_S) == 1, consumer_log(place)
            *_, sentence = consumer_log(place).splitlines()
            assert sentence.startswith("vigie: ") and "Traceback" not in consumer_log(place), consumer_log(place)
            return
        for ahead_s in (3_600, 0, -3_600, 0) if kind == "jumps of the clock" else (0,):
            trouble.make(flush_takes_ms=300 if kind == "slow disks" else 0, clock_ahead_s=ahead_s)
            before = published(place).stat().st_ino
            wait_for(lambda: published(place).stat().st_ino != before, "another publish")  # noqa: B023  used at once
            time.sleep(chance.uniform(0, 1))
            assert process.poll() is None, consumer_log(place)


def _read_all(place: Path, servers: str, at: dt.datetime) -> None:
    done = command_run("run", *options(place, servers, TOPIC), "--until-caught-up", VIGIE_CLOCK=at.isoformat())
    assert done.returncode == 0, done.stderr


def _left_behind(place: Path) -> Iterator[str]:
    """What a kill interrupted, by what it left on the disk."""
    if (place / inventory.UNFINISHED).exists():
        yield "of these, while rows settled"
    if any((place / "published").glob(".vigie-*")):
        yield "of these, while the published file was written"


def main(kills: int, number: int | None) -> int:
    """Run once, with the seed or a new one; print what happened. Return 1 if it failed."""
    number = random.SystemRandom().randrange(10**9) if number is None else number
    others = dict.fromkeys(("brokers", "dashboards"), max(1, kills // 20)) | {"disturbed": max(5, kills // 10)}
    sys.stdout.write(f"seed {number}: {kills} kills of the consumer, {others} …\n")
    sys.stdout.flush()
    began = time.monotonic()
    try:
        seen = run(number, kills, **others)
    except (AssertionError, duckdb.Error):
        sys.stdout.write(f"Seed {number} fails. Again: make torture KILLS={kills} SEED={number}\n")
        raise
    finally:
        templates.remove()
    for what, times in sorted(seen.items()):
        sys.stdout.write(f"{times:8,} {what}\n")
    sys.stdout.write(
        f"every row equals that of a consumer that nobody disturbed, after {time.monotonic() - began:.0f} s\n"
    )
    return 0
