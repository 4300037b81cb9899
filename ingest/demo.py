"""`python -m ingest demo`: the embedded broker, a floor at work, the consumer and the dashboard, until Ctrl-C."""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from ingest.broker import ensure_topic, running_broker
from ingest.children import ends_with_us
from ingest.cli import Parser
from ingest.errors import VigieError

ROOT = Path(__file__).parent.parent
STOPS_WITHIN_S = 20.0
LIVE_WITHIN_RECORDS = 50
PEOPLE = (
    ("manager", "every campaign", ("--role", "manager")),
    ("client", "the campaigns of Mutuelle Oréa", ("--role", "client", "--client", "orea")),
    ("analyst", "every campaign, and SQL", ("--role", "analyst")),
)
"""Accounts, one a role, thrown away at the next start; a television has a token."""


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data"), type=Path, help="where everything is kept between two starts")
    parser.option("--port", default=8501, type=int, help="where the dashboard listens on 127.0.0.1")
    parser.option("--broker-port", default=9092, type=int, help="where the broker listens on 127.0.0.1")
    parser.option("--agents", default=160, type=int, help="agents on the floor at its busiest hour")
    parser.option("--seed", default=1, type=int, help="another seed is another floor")


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _refuse_taken(options.port, "--port")
    _refuse_taken(options.broker_port, "--broker-port")
    started_at = time.time()
    data_dir: Path = options.data_dir.resolve()
    (data_dir / "logs").mkdir(parents=True, exist_ok=True)
    environment = {
        # not what leads to another Kafka than the demo's own
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VIGIE_SECURITY_", "VIGIE_SASL_", "VIGIE_SSL_"))
        },
        "VIGIE_DATA_DIR": str(data_dir),
        "VIGIE_ACCESS_DIR": str(data_dir / "demo-access"),
        "VIGIE_CAMPAIGNS": str(ROOT / "campaigns.toml"),
        "PYTHONTZPATH": "",
    }
    url = f"http://127.0.0.1:{options.port}"
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(running_broker(options.broker_port))
        ensure_topic(broker.bootstrap_servers, "call-events")
        _say(f"broker     {broker.bootstrap_servers}, in memory")
        kafka = ("--bootstrap-servers", broker.bootstrap_servers)

        def start(name: str, *command: str) -> Child:
            return stack.enter_context(_child(name, command, data_dir / "logs" / f"{name}.log", environment))

        children = [
            start("consumer", "-m", "ingest", "run", *kafka, "--data-dir", str(data_dir)),
            start(
                "dashboard", "-m", "streamlit", "run", str(ROOT / "dashboard.py"),
                "--server.port", str(options.port), "--server.headless", "true",
            ),
            start(
                "floor", "-m", "ingest", "simulate", *kafka,
                "--agents", str(options.agents), "--seed", str(options.seed),
            ),
        ]  # fmt: skip
        _say(f"consumer   {data_dir}/store.duckdb → {data_dir}/published/vigie.duckdb")
        _say(f"floor      {options.agents} agents, eight campaigns; sending yesterday and today so far")

        accounts = _make_accounts(url, environment)

        def going_on() -> bool:
            for child in children:
                child.must_run()
            return not stop.wait(0.5)

        floor_log = data_dir / "logs" / "floor.log"
        _wait_until_live(data_dir / "published" / "vigie.duckdb", floor_log, started_at, going_on)
        while not _answers(f"{url}/healthz") and going_on():
            pass
        if not stop.is_set():
            _say(f"\nVigie is live:  {url}\n")
            _say("\n".join(accounts) + "\n")
            _say("Analysts: make sql (in another terminal).  Ctrl-C stops everything.")
        while going_on():
            pass
        _say("\nStopping …")
    _say("Stopped. What was stored is kept; the next start goes on from it.")
    return 0


def _make_accounts(url: str, environment: dict[str, str]) -> list[str]:
    """Make the accounts of this start, and return what is to be told of them."""
    shutil.rmtree(environment["VIGIE_ACCESS_DIR"], ignore_errors=True)

    def run(*arguments: str, typed: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pages.accounts", *arguments],
            input=typed,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise VigieError(done.stderr.strip().removeprefix("vigie: "))
        return done.stdout

    told = ["Sign in as    with the password"]
    for name, sees, options in PEOPLE:
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        run("add", name, *options, typed=password + "\n")
        told.append(f"  {name:<11} {password}   {sees}")
    *_, path = run("tv", "add", "television").splitlines()
    return [*told, f"A television  {url}{path}"]


class Child:
    """A command that runs beside this process and writes its words to a file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    def must_run(self) -> None:
        """Raise VigieError, with the command's last words, if it has ended."""
        if self._process.poll() is not None:
            words = self._log.read_text(errors="replace").strip().splitlines() or ["without a word"]
            raise VigieError(f"The {self._name} ended ({words[-1].removeprefix('vigie: ')}); see {self._log}.")

    def stop(self) -> None:
        """Ask the command to finish, and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def _child(name: str, command: tuple[str, ...], log: Path, environment: dict[str, str]) -> Iterator[Child]:
    with log.open("wb") as words:
        process = subprocess.Popen(
            ends_with_us([sys.executable, *command]),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C in a terminal goes to whole groups; these are stopped in order
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        child.stop()


def _wait_until_live(published: Path, floor_log: Path, started_at: float, going_on: Callable[[], bool]) -> None:
    """Show how far the backfill is, until the floor has sent all of it and it is published.

    At night the next event may be minutes away, so the newest one's age says nothing. Files from before `started_at`
    [s since 1970] do not count.
    """
    shown, all_sent = "", False
    while going_on():
        if not all_sent and "going on live" in floor_log.read_text(errors="replace"):
            all_sent, started_at = True, time.time()  # a file from before this may lack the last of it
        progress = _progress(published, started_at)
        if progress is None:
            continue
        events, newest, lag = progress
        line = f"           {events:>9_} events published, up to {newest}".replace("_", " ")
        if line != shown:
            _say(line)
            shown = line
        if all_sent and lag < LIVE_WITHIN_RECORDS:
            return


def _progress(published: Path, started_at: float) -> tuple[int, str, int] | None:
    """(events, the newest one's time in UTC, records not yet read) of the published file."""
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            row = connection.execute(
                "SELECT events, strftime(last_event_at::TIMESTAMP, '%d %b %H:%M:%S'), lag"
                " FROM ingest_status WHERE last_event_at IS NOT NULL AND epoch(published_at) > ?",
                [started_at],
            ).fetchone()
    except duckdb.IOException:
        return None  # not published yet
    return (int(row[0]), str(row[1]), int(row[2])) if row else None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _refuse_taken(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise VigieError(
                f"Port {port} on 127.0.0.1 is in use; stop what listens there, or choose another with {option}."
            ) from error


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
