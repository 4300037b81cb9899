"""The commands of `python -m ingest` as processes, and what they leave behind, as another process sees it."""

import contextlib
import datetime as dt
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pytest

from ingest.simulator import floor_events
from ingest.topic.producing import deliver, open_producer
from metrics.clock import VARIABLE

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 180.0  # far more than anything takes beside others that work

MONDAY = dt.date(2024, 3, 4)
NOON = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)

RUN = "VIGIE_TESTS_RUN"
"""The environment variable by which what a run of the tests starts is found again."""

Row = tuple[Any, ...]
Event = dict[str, Any]


def command(*arguments: str) -> list[str]:
    """The command line of `python -m ingest` with warnings as errors."""
    # of kafka-python, not ours: its import (see conftest.py), the sockets it drops when no broker answers
    known = (
        *(f"-Wignore:{name}_text is deprecated:DeprecationWarning" for name in ("read", "open")),
        "-Wignore::ResourceWarning",
    )
    return [sys.executable, "-W", "error", *known, "-m", "ingest", *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without its VIGIE_… but the clock and the mark of the run; the pinned zone rules."""
    kept = {
        name: value for name, value in os.environ.items() if name in (VARIABLE, RUN) or not name.startswith("VIGIE_")
    }
    return {**kept, "PYTHONTZPATH": "", **more}


def run(
    *arguments: str, within_s: float = WITHIN_S, cwd: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=within_s,
        cwd=cwd,
        env=environment(**variables),
        check=False,
    )


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command that failed said: one line of `vigie:`, after log lines at most."""
    assert done.returncode in (1, 2), done.stderr
    said = [line for line in done.stderr.splitlines() if " INFO " not in line and " WARNING " not in line]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("vigie: "), done.stderr
    assert said[0].endswith("."), done.stderr
    return said[0]


def wait_for(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """Return the first true answer of `condition`; fail, naming `what`, when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)
    return answer


def not_here(said: str, required: str) -> NoReturn:
    """Leave out the test for what this machine lacks; fail where the environment variable `required` is set."""
    if os.environ.get(required, "0") not in ("", "0"):
        pytest.fail(said)
    pytest.skip(said)


def left_running(run: str, within_s: float = 10.0) -> list[str]:
    """Return the processes that the run of the tests with this mark started and that do not end in time.

    A process is found by the environment that it was started with, or by a parent that is found: the embedded broker is
    given an environment of its own. Without /proc, none is.
    """
    deadline = time.monotonic() + within_s
    while (left := _processes_of(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"{pid} {command}" for pid, command in sorted(left.items())]


def _processes_of(run: str) -> dict[int, str]:
    mark = f"{RUN}={run}".encode()
    parents, ours, commands = {}, {os.getpid()}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended just now, or is another user's
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            pid = int(entry.name)
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[pid], commands[pid] = int(parent), words.strip()
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                ours.add(pid)
    found = 0
    while len(ours) > found:
        found = len(ours)
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    # multiprocessing's own servers end with the process that started them
    ends_with_us = {pid for pid in ours if parents.get(pid) == os.getpid() and "from multiprocessing." in commands[pid]}
    return {pid: commands[pid] for pid in ours - ends_with_us if pid != os.getpid()}


def free_port() -> int:
    """A port that nobody listens on now, below those that outgoing connections are given meanwhile."""
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


# The consumer


def options(place: Path, servers: str, topic: str, campaigns: Path | None = None) -> list[str]:
    """The options of `run` for the data directory `place`."""
    chosen = ["--bootstrap-servers", servers, "--topic", topic, "--data-dir", str(place)]
    return [*chosen, "--campaigns", str(campaigns)] if campaigns else chosen


def catch_up(place: Path, servers: str, topic: str, campaigns: Path | None = None) -> None:
    """Consume what the topic holds."""
    done = run("run", *options(place, servers, topic, campaigns), "--until-caught-up")
    assert done.returncode == 0, done.stderr


@contextmanager
def consumer(place: Path, servers: str, topic: str, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A consumer at work, killed at the end if it still is; its words are in `words(place)`."""
    place.mkdir(parents=True, exist_ok=True)
    with _log(place).open("wb") as log:
        process = subprocess.Popen(
            command("run", *options(place, servers, topic), *more),
            stdin=subprocess.DEVNULL,
            stderr=log,
            cwd=ROOT,
            env=environment(),
        )
    try:
        yield process
    except BaseException:
        sys.stdout.write(words(place))  # for the report of what failed
        raise
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def words(place: Path) -> str:
    """What the last consumer of `place` has logged so far."""
    return _log(place).read_text()


def _log(place: Path) -> Path:
    return place / "consumer.log"


def stop(process: "subprocess.Popen[bytes]", place: Path, number: int = signal.SIGTERM) -> None:
    """Ask the consumer to finish; it must, with 0 and without an error."""
    process.send_signal(number)
    assert process.wait(WITHIN_S) == 0, words(place)
    assert "Traceback" not in words(place)


# What it published and stored


def published(place: Path) -> Path:
    return place / "published" / "vigie.duckdb"


def rows(place: Path, query: str, parameters: object = None) -> list[Row]:
    """The rows of a query to the published file, opened read-only; times in UTC."""
    with duckdb.connect(str(published(place)), read_only=True) as reader:
        reader.execute("SET TimeZone = 'UTC'")
        return reader.execute(query, parameters).fetchall()


def told(place: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query to the published file, each as a dict; times in UTC."""
    with duckdb.connect(str(published(place)), read_only=True) as reader:
        reader.execute("SET TimeZone = 'UTC'")
        found = reader.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def status(place: Path) -> dict[str, Any]:
    """The published `ingest_status`; empty before the first publish."""
    return told(place, "FROM ingest_status")[0] if published(place).exists() else {}


def totals(place: Path) -> dict[str, int]:
    """What the store counted; its consumer must have ended."""
    with duckdb.connect(str(place / "store.duckdb"), read_only=True) as store:
        found = store.execute("SELECT records, records_with_events, lines, duplicates, dead_letters FROM totals")
        return dict(zip((column[0] for column in found.description), found.fetchall()[0], strict=True))


def count_calls(place: Path) -> int:
    return int(rows(place, "SELECT count(*) FROM calls")[0][0]) if published(place).exists() else 0


def differences(one: Path, other: Path, *queries: str) -> dict[str, list[str]]:
    """For each query, up to three rows that only one of two published files has, or has more often."""
    found = {}
    for query in queries:
        as_text = f"SELECT r::VARCHAR FROM ({query}) r"
        here, there = (Counter(text for (text,) in rows(place, as_text)) for place in (one, other))
        assert here, f"nothing to compare: {query}"
        if here != there:
            found[query] = [*(here - there)][:3] + [*(there - here)][:3]
    return found


# Events


def floor(count: int) -> list[Event]:
    """The first events of a simulated floor: calls and agents."""
    return list(itertools.islice(floor_events(MONDAY, agents=20, seed=5), count))


def queued(number: int, at: dt.datetime = NOON, prefix: str = "c") -> Event:
    """A call told by one event, so that calls and events are as many; those told are of 40 minutes."""
    ts = at + dt.timedelta(seconds=number % 2400)
    call = {"call_id": f"{prefix}{number}", "campaign": "orea-sinistres", "queue": "main"}
    return {"event_id": f"{prefix}{number}", "type": "call.queued", "ts": ts.isoformat(), **call}


def send(servers: str, topic: str, values: Iterable[Any]) -> int:
    """Send records, an event or bytes each, spread over the partitions; return how many Kafka acknowledged."""
    with closing(open_producer(servers)) as producer:
        return deliver(producer, topic, [(str(n).encode(), _value(value)) for n, value in enumerate(values)])


def _value(value: Any) -> Any:
    return json.dumps(value).encode() if isinstance(value, dict) else value
