"""`python -m ingest demo` on its own ports and data directory: started, stopped, started again, killed."""

import datetime as dt
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.demo import _child as part_of_the_demo
from ingest.demo import _days_to_send
from ingest.errors import VigieError
from ingest.simulator import floor_day, floor_events
from ingest.simulator.day import Day
from ingest.simulator.past import note_stored, stored_days
from ingest.topic.broker import Broker
from metrics import clock
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    command,
    consumer,
    environment,
    free_port,
    one_sentence,
    published,
    queued,
    rows,
    run,
    status,
    stop,
    totals,
    wait_for,
)
from tests.support.stories.stream import Desk, at

pytestmark = pytest.mark.slow

AGENTS, SEED = 20, 3
PAST = 2
NUMBERS = ("--agents", str(AGENTS), "--seed", str(SEED), "--past", str(PAST))


LAST_DAY = "SELECT campaign, offered FROM ingest_status, kpi_campaign(as_of - INTERVAL 24 HOURS, as_of)"


class Demo:
    """A running demo. `said` returns its output."""

    def __init__(
        self, place: Path, process: "subprocess.Popen[str]", output: Path, port: int, broker_port: int
    ) -> None:
        self.place, self.process, self.port, self.broker_port = place, process, port, broker_port
        self.url = f"http://127.0.0.1:{port}"
        self._output = output

    def log_text(self) -> str:
        return self._output.read_text()

    def is_live(self) -> bool:
        assert self.process.poll() is None, self.log_text()
        return f"Vigie is live:  {self.url}\n" in self.log_text()

    def accounts(self) -> list[str]:
        """Return the lines about accounts, without the port."""
        _, _, rest = self.log_text().partition("Vigie is live:")
        lines = rest.partition("Alerts of groups")[0].replace(str(self.port), "PORT").strip().splitlines()
        return [line for line in lines[1:] if line]

    def processes(self) -> set[int]:
        """Return the demo and all its descendants."""
        parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}
        family = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return family


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0


def is_alive(pid: int) -> bool:
    """Whether it runs, or one of its threads still holds files, as may be for a moment after the main thread ends."""
    process = Path(f"/proc/{pid}")
    try:
        has_ended = (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        return not has_ended or len([*(process / "task").iterdir()]) > 1
    except OSError:
        return False


@contextmanager
def demo(place: Path, *more: str) -> Iterator[Demo]:
    port, broker_port = free_port(), free_port()
    output = place.parent / "output"
    with output.open("w") as out:
        process = subprocess.Popen(
            command(
                *("demo", "--data-dir", str(place), *NUMBERS, *more),
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
    running = Demo(place, process, output, port, broker_port)
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
    """Return the campaigns with calls in the last 24 hours, except the first hour and the last."""
    now = clock.now()
    begin, end = ((now - dt.timedelta(hours=h)).isoformat() for h in (23, 1))
    campaigns = set()
    for event in floor_events(floor_day(now) - dt.timedelta(days=1), agents=AGENTS, seed=SEED):
        if event["ts"] > end:
            return campaigns
        if event["ts"] > begin and event["type"] == "call.queued":
            campaigns.add(event["campaign"])
    return campaigns


def counts(place: Path) -> tuple[int, int, int]:
    """Return the published numbers of calls, of distinct call ids, and of calls in the last 24 hours."""
    ((calls, distinct, recent),) = rows(
        place,
        f"SELECT count(*), count(DISTINCT call_id), (SELECT sum(offered) FROM ({LAST_DAY})) FROM calls",
    )
    return calls, distinct, recent


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_the_demo_runs_stops_starts_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "data"

    with demo(place) as first:
        wait_for(first.is_live, "the demo is live")
        assert health(first.url) == 200
        offered = dict(rows(place, LAST_DAY))
        assert len(offered) == 8
        assert {campaign for campaign, calls in offered.items() if calls} >= campaigns_of_last_day() != set()
        events, published_at = status(place)["events"], status(place)["published_at"]
        wait_for(
            lambda: status(place)["published_at"] > published_at, "another publish"
        )  # not another event: at night there may be none for minutes
        assert " events published" in first.log_text()  # progress of the backfill
        accounts = first.accounts()
        assert len(accounts) == 5
        started = first.processes()
        assert len(started) >= 6  # demo, broker, consumer, dashboard, notify, simulator
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(WITHIN_S) == 0, first.log_text()
        assert "Stopped. The data is kept" in first.log_text()
        assert [pid for pid in started if is_alive(pid)] == []
    before, calls_before = totals(place), counts(place)[0]
    assert before["lines"] - before["duplicates"] == status(place)["events"] >= events

    with demo(place) as second:
        wait_for(second.is_live, "the second demo is live")
        events_before = before["lines"] - before["duplicates"]
        wait_for(lambda: status(place)["duplicates"] > before["duplicates"], "known events sent again")
        wait_for(lambda: status(place)["lag"] == 0, "no lag")
        calls, distinct, recent = counts(place)
        assert calls == distinct >= calls_before
        assert recent > 0
        assert health(second.url) == 200
        assert second.accounts() == accounts  # the same passwords and token
        started = second.processes()
        second.process.kill()
        second.process.wait()
        wait_for(lambda: not any(map(is_alive, started)), "the end of all processes of the killed demo")
    after = totals(place)
    assert after["lines"] - after["duplicates"] >= events_before
    assert after["duplicates"] > before["duplicates"]  # events that were sent again count once
    assert after["dead_letters"] == 0


def test_a_demo_fills_in_the_missing_days_of_the_past_behind_a_live_wall(tmp_path: Path) -> None:
    place = tmp_path / "data"
    days = [floor_day(clock.now()) - dt.timedelta(days=back) for back in (2, 3)]
    place.mkdir()
    note_stored(place, days[1])  # as an earlier start left it
    with demo(place, "--past", "3") as running:
        wait_for(lambda: "The past is complete." in running.log_text(), "the past is filled")
        output = running.log_text()
        assert output.index("Vigie is live:") < output.index("past       3 of 3 days")
        expected = sum(event["type"] == "call.queued" for event in Day(days[0], agents=AGENTS, seed=SEED).run())
        queued_by_day = dict(rows(place, "SELECT split_part(call_id, '-', 3), count(queued_at) FROM calls GROUP BY 1"))
        assert queued_by_day[f"{days[0]:%y%m%d}"] == expected > 0
        assert f"{days[1]:%y%m%d}" not in queued_by_day
    assert set(days) < stored_days(place)
    assert " ERROR " not in (place / "logs" / "consumer.log").read_text()  # no alarm either


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_second_demo_leaves_the_first_alone_and_the_end_of_its_broker_is_reported(tmp_path: Path) -> None:
    place = tmp_path / "data"
    with demo(place) as living:
        wait_for(living.is_live, "the demo is live")

        accounts = contents(place / "demo-access")
        assert {"accounts.json", "secret"} <= accounts.keys()
        logs = {name: len(text) for name, text in contents(place / "logs").items()}
        error = refused_demo(place, free_port(), free_port())
        assert f"vigie: {place} is in use; stop what runs there, or start beside it: `VIGIE_PORT=" in error
        numbers = f"VIGIE_AGENTS={AGENTS} VIGIE_SEED={SEED} VIGIE_PAST={PAST}"
        assert f" VIGIE_DATA_DIR={place}-2 {numbers} make demo`." in error
        (tmp_path / "data-2").mkdir()
        error = refused_demo(place, living.port, living.broker_port)
        assert (
            f"Port {living.port} on 127.0.0.1, port {living.broker_port} on 127.0.0.1 and {place} are in use;" in error
        )
        (port, broker_port) = re.search(
            r"`VIGIE_PORT=(\d+) VIGIE_BROKER_PORT=(\d+) VIGIE_DATA_DIR=\S+-3 ", error
        ).groups()
        assert len({int(port), int(broker_port), living.port, living.broker_port}) == 4
        assert contents(place / "demo-access") == accounts
        assert all(len(text) >= logs[name] for name, text in contents(place / "logs").items())
        assert living.is_live()
        assert health(living.url) == 200

        started = living.processes()
        (broker,) = [pid for pid in started if b"\0broker\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(broker, signal.SIGKILL)
        assert living.process.wait(WITHIN_S) == 1
        assert f"vigie: The embedded broker at 127.0.0.1:{living.broker_port} stopped unexpectedly" in living.log_text()
        assert "Traceback" not in living.log_text()
        wait_for(lambda: not any(map(is_alive, started)), "the end of all processes of the demo")

    before = totals(place)
    error = refused_demo(place, free_port(), free_port(), "--seed", str(SEED + 1))
    assert f"{place} holds the floor of VIGIE_AGENTS={AGENTS} VIGIE_SEED={SEED}, which cannot be mixed" in error
    assert (
        f"VIGIE_DATA_DIR={place}-3 VIGIE_AGENTS={AGENTS} VIGIE_SEED={SEED + 1} VIGIE_PAST={PAST} make demo`." in error
    )
    (place / "demo-floor").unlink()
    assert "holds calls that were not made by a demo" in refused_demo(place, free_port(), free_port())
    assert totals(place) == before


@pytest.mark.parametrize(
    ("last_event", "days"),
    [
        ("2026-10-12T08:00:00Z", 1),  # this morning: send yesterday, like a first start
        ("2026-10-11T08:00:00Z", 1),
        ("2026-10-09T15:00:00Z", 3),  # Friday afternoon: send Friday and the weekend
        ("2026-10-08T22:30:00Z", 3),  # already the night shift of Friday
        ("2025-10-12T08:00:00Z", 7),
        (None, 1),
    ],
)
def test_a_demo_sends_the_days_since_it_was_stopped(tmp_path: Path, last_event: str | None, days: int) -> None:
    desk = Desk(tmp_path)
    now = at("10:00:00", dt.datetime(2026, 10, 12, tzinfo=dt.UTC))  # a Monday
    if last_event:
        desk.apply([queued(1, dt.datetime.fromisoformat(last_event))], now)
    desk.publish(now)
    desk.close()
    assert _days_to_send(desk.publisher.path, now) == days


def test_a_demo_that_never_ran_sends_yesterday(tmp_path: Path) -> None:
    assert _days_to_send(tmp_path / "vigie.duckdb", clock.now()) == 1
    (tmp_path / "vigie.duckdb").write_bytes(b"torn")
    assert _days_to_send(tmp_path / "vigie.duckdb", clock.now()) == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused_demo(place: Path, port: int, broker_port: int, *more: str) -> str:
    """Return the sentence of a demo that could not start."""
    ports = ("--port", str(port), "--broker-port", str(broker_port))
    return one_sentence(run("demo", "--data-dir", str(place), *NUMBERS, *ports, *more))


def test_a_data_directory_with_a_consumer_is_left_alone(broker: Broker, topic: str, tmp_path: Path) -> None:
    with consumer(tmp_path, broker.bootstrap_servers, topic) as process:
        wait_for(lambda: published(tmp_path).exists(), "the consumer publishes")
        assert f"{tmp_path} is in use; stop what runs there" in refused_demo(tmp_path, free_port(), free_port())
        stop(process, tmp_path)
    assert not (tmp_path / "demo-access").exists()


def test_a_taken_port_is_one_sentence_and_nothing_starts(tmp_path: Path) -> None:
    place, free = tmp_path / "data", free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused_demo(place, port, free)
        assert f"Port {port} on 127.0.0.1 is in use; stop what runs there, or start beside it: `VIGIE_PORT=" in error
        assert f" VIGIE_BROKER_PORT={free} VIGIE_DATA_DIR={place} " in error
        error = refused_demo(place, free, port)
        assert f"Port {port} on 127.0.0.1 is in use" in error
        assert f"`VIGIE_PORT={free} VIGIE_BROKER_PORT=" in error
    assert not published(place).exists()


def test_a_broken_configuration_is_reported_before_anything_starts(tmp_path: Path) -> None:
    for part in ("ingest", "metrics"):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / "campaigns.toml").write_text("[campaigns.x]\nname = ")
    ports = ("--port", str(free_port()), "--broker-port", str(free_port()))
    done = run("demo", "--data-dir", "data", *ports, cwd=tmp_path)
    assert f"{tmp_path}/campaigns.toml" in one_sentence(done)
    assert done.stdout == ""
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("import sys; print('a word'); sys.exit('vigie: No more.')", "(No more)"),
        ("import os, signal; print('a word', flush=True); os.kill(os.getpid(), signal.SIGKILL)", "(signal 9)"),
        ("", "(no output)"),
    ],
)
def test_the_reason_why_a_part_of_the_demo_ended(tmp_path: Path, does: str, why: str) -> None:
    def has_ended() -> str:
        try:
            part.must_run()
        except VigieError as error:
            return str(error)
        return ""

    log = tmp_path / "part.log"
    with part_of_the_demo("part", ("-c", does), log, environment()) as part:
        message = wait_for(has_ended, "its end")
    assert message == f"The part ended {why}; see {log}, and start again."


@pytest.mark.parametrize("name", ["demo", "bank"])
def test_a_warning_says_that_own_campaigns_are_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    done = run(name, "--data-dir", str(tmp_path / "file"), VIGIE_CAMPAIGNS="/etc/vigie/campaigns.toml")
    first, last = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    assert first.startswith(
        "VIGIE_CAMPAIGNS=/etc/vigie/campaigns.toml is ignored: these calls belong to the campaigns of "
    )
    assert "cannot be made" in last
