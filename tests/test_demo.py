"""`python -m ingest demo` on ports and a data directory of its own: starts, lives, stops, starts again, is killed."""

import datetime as dt
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.simulator import floor_day, floor_events

from .processes import (
    ROOT,
    command,
    environment,
    free_port,
    one_sentence,
    published,
    rows,
    run,
    status,
    totals,
    wait_for,
)

AGENTS, SEED = 20, 3
NUMBERS = ("--agents", str(AGENTS), "--seed", str(SEED))


LAST_DAY = "SELECT campaign, offered FROM ingest_status, kpi_campaign(as_of - INTERVAL 24 HOURS, as_of)"


class Demo:
    """A demo at work; what it prints is in `said`."""

    def __init__(self, place: Path, process: "subprocess.Popen[str]", said: Path, url: str) -> None:
        self.place, self.process, self.url = place, process, url
        self._said = said

    def said(self) -> str:
        return self._said.read_text()

    def is_live(self) -> bool:
        assert self.process.poll() is None, self.said()
        return f"Vigie is live:  {self.url}\n" in self.said()

    def processes(self) -> set[int]:
        """The demo and everything it started, each with what that started."""
        parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended just now
        return 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def demo(place: Path) -> Iterator[Demo]:
    port, broker_port = free_port(), free_port()
    said = place.parent / "said"
    with said.open("w") as out:
        process = subprocess.Popen(
            command(
                *("demo", "--data-dir", str(place), *NUMBERS),
                *("--port", str(port), "--broker-port", str(broker_port)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
            text=True,
        )
    running = Demo(place, process, said, f"http://127.0.0.1:{port}")
    try:
        yield running
    finally:
        for pid in running.processes() if process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        process.wait()


def health(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def campaigns_of_last_day() -> set[str]:
    """The campaigns that this floor has calls of in the last 24 hours, an hour's margin at both ends."""
    now = dt.datetime.now(dt.UTC)
    begin, end = ((now - dt.timedelta(hours=h)).isoformat() for h in (23, 1))
    found = set()
    for event in floor_events(floor_day(now) - dt.timedelta(days=1), agents=AGENTS, seed=SEED):
        if event["ts"] > end:
            return found
        if event["ts"] > begin and event["type"] == "call.queued":
            found.add(event["campaign"])
    return found


def counts(place: Path) -> tuple[int, int, int]:
    """How many calls, distinct call ids and calls of the last 24 hours are published."""
    ((calls, distinct, recent),) = rows(
        place,
        f"SELECT count(*), count(DISTINCT call_id), (SELECT sum(offered) FROM ({LAST_DAY})) FROM calls",
    )
    return calls, distinct, recent


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_the_demo_lives_stops_goes_on_and_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "data"

    with demo(place) as first:
        wait_for(first.is_live, "the demo is live")
        assert health(first.url) == 200
        offered = dict(rows(place, LAST_DAY))
        assert len(offered) == 8
        assert {campaign for campaign, calls in offered.items() if calls} >= campaigns_of_last_day() != set()
        events, then = status(place)["events"], status(place)["published_at"]
        wait_for(
            lambda: status(place)["published_at"] > then, "the file goes on"
        )  # at night minutes lie between events
        assert " events published" in first.said()  # progress while it backfilled
        started = first.processes()
        assert len(started) >= 5  # itself, broker, consumer, dashboard, floor
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(60) == 0, first.said()
        assert "Stopped. What was stored is kept" in first.said()
        assert [pid for pid in started if is_alive(pid)] == []
    before, calls_before = totals(place), counts(place)[0]
    assert before["lines"] - before["duplicates"] == status(place)["events"] >= events

    with demo(place) as second:
        wait_for(second.is_live, "the second demo is live")
        known = before["lines"] - before["duplicates"]
        wait_for(lambda: status(place)["duplicates"] > before["duplicates"], "what was known comes again")
        wait_for(lambda: status(place)["lag"] == 0, "all of it is read")
        calls, distinct, recent = counts(place)
        assert calls == distinct >= calls_before
        assert recent > 0
        assert health(second.url) == 200
        started = second.processes()
        second.process.kill()
        second.process.wait()
        wait_for(lambda: not any(map(is_alive, started)), "what the killed demo started has ended", within_s=20)
    after = totals(place)
    assert after["lines"] - after["duplicates"] >= known
    assert after["duplicates"] > before["duplicates"]  # what came again counts once
    assert after["dead_letters"] == 0


def test_a_taken_port_is_one_sentence_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("demo", "--data-dir", str(tmp_path / "data"), *NUMBERS)
        said = one_sentence(run(*arguments, "--port", port, "--broker-port", str(free_port())))
        assert f"Port {port} on 127.0.0.1 is in use; stop what listens there, or choose another with --port" in said
        said = one_sentence(run(*arguments, "--port", str(free_port()), "--broker-port", port))
        assert f"Port {port} on 127.0.0.1 is in use" in said
        assert "--broker-port" in said
    assert not published(tmp_path / "data").exists()
