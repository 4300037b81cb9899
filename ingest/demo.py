"""`python -m ingest demo`: the embedded broker, a simulated floor, consumer, dashboard and notify, until Ctrl-C."""

import argparse
import contextlib
import datetime as dt
import fcntl
import itertools
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

import duckdb

from ingest import demo_accounts
from ingest.cli import Parser, between, say_campaigns_are_ignored
from ingest.errors import StoreError, UsageError, VigieError, disk_trouble
from ingest.simulator import floor_day, floor_options, parameters
from ingest.simulator.past import missing_days, note_stored
from ingest.topic.broker import ensure_topic, running_broker
from ingest.topic.children import ends_with_us
from metrics import clock
from metrics.configuration.campaigns import load

ROOT = Path(__file__).parent.parent
CAMPAIGNS = ROOT / "campaigns.toml"
DEFAULTS = {
    "port": 8501,
    "broker_port": 9092,
    "data_dir": Path("data"),
    "agents": parameters.DEFAULT_AGENTS,
    "seed": parameters.DEFAULT_SEED,
    "past": 35,
}
MADE_WITH = "demo-floor"
"""The file in the data directory that says how the stored floor was made; locked while a demo runs.

First line: its numbers. Second line: the simulator's edition.
"""
STORE = "store.duckdb"
STOPS_WITHIN_S = 20.0
LIVE_WITHIN_RECORDS = 50
MOST_DAYS = 7
"""After a longer pause the first days are left out, so that a start takes at most a minute: the broker is in memory."""


def arguments(parser: Parser) -> None:
    a_port = between(1024, 65535, "port")
    parser.option("--data-dir", default=DEFAULTS["data_dir"], type=Path, help="where everything is kept between starts")
    parser.option("--port", default=DEFAULTS["port"], type=a_port, help="where the dashboard listens on 127.0.0.1")
    parser.option(
        "--broker-port", default=DEFAULTS["broker_port"], type=a_port, help="where the broker listens on 127.0.0.1"
    )
    floor_options(parser)
    parser.option(
        "--past", default=DEFAULTS["past"], type=between(0, 400),
        help="whole days before today that are filled in once the wall is live, newest first",
    )  # fmt: skip
    parser.epilog = (
        f"This command uses its own campaigns, {CAMPAIGNS}: VIGIE_CAMPAIGNS is ignored."
        " VIGIE_PORT is the dashboard's port here, and the broker's port in `broker`."
    )


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    say_campaigns_are_ignored(CAMPAIGNS)
    load(CAMPAIGNS)
    if options.port == options.broker_port:
        raise UsageError(f"Dashboard and broker cannot both have port {options.port}; choose two ports.")
    started_at = clock.now_s()
    data_dir: Path = options.data_dir.resolve()
    environment = {
        # without the variables that name another Kafka or topic than the demo's own
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VIGIE_SECURITY_", "VIGIE_SASL_", "VIGIE_SSL_", "VIGIE_TOPIC", "VIGIE_GROUP"))
        },
        "VIGIE_DATA_DIR": str(data_dir),
        "VIGIE_ACCESS_DIR": str(data_dir / "demo-access"),
        "VIGIE_DESK_DIR": str(data_dir / "desk"),
        "VIGIE_CAMPAIGNS": str(CAMPAIGNS),
        "VIGIE_URL": f"http://127.0.0.1:{options.port}",
        "PYTHONTZPATH": "",
    }
    url = f"http://127.0.0.1:{options.port}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked_data_dir(options, data_dir))
        today = floor_day(clock.now())
        days = _days_to_send(data_dir / "published" / "vigie.duckdb", clock.now())
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
            start("notify", "-m", "notify", "run"),
            start(
                "floor", "-m", "ingest", "simulate", *kafka,
                "--agents", str(options.agents), "--seed", str(options.seed),
                "--days", str(days), "--past", "0",
            ),
        ]  # fmt: skip
        _say(f"consumer   {data_dir}/{STORE} → {data_dir}/published/vigie.duckdb")
        before = "yesterday" if days == 1 else f"the {days} days before today"
        _say(f"floor      {options.agents} agents, eight campaigns; sending {before} and today so far")

        accounts = demo_accounts.lines(url, environment)

        def going_on() -> bool:
            broker.must_run()
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
            _say(f"Alerts of groups without an address: {data_dir}/logs/notify.log")
            _say(f"What happens on the floor now: {floor_log}")
            _say("Analysts: make sql (in another terminal).  Ctrl-C stops everything.")
            note_stored(data_dir, *(today - dt.timedelta(days=back) for back in range(1, days + 1)))
        if options.past and not stop.is_set():
            past = start(
                "past", "-m", "ingest", "simulate", *kafka, "--data-dir", str(data_dir),
                "--agents", str(options.agents), "--seed", str(options.seed), "--past", str(options.past),
            )  # fmt: skip
            _wait_until_past_is_filled(data_dir, today, options.past, past, going_on)
        while going_on():
            pass
        _say("\nStopping …")
    _say("Stopped. The data is kept; the next start continues from it.")
    return 0


@contextlib.contextmanager
def _locked_data_dir(options: argparse.Namespace, data_dir: Path) -> Iterator[None]:
    """Lock the data directory for this floor. Nothing in it is touched when it or a port is in use.

    Raises VigieError, which names everything that is in use, or the other floor that is stored there.
    """
    try:
        (data_dir / "logs").mkdir(parents=True, exist_ok=True)
        made_with = (data_dir / MADE_WITH).open("a+")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with made_with:
        taken = [port for port in (options.port, options.broker_port) if not _is_free(port)]
        in_use = [f"port {port} on 127.0.0.1" for port in taken]
        is_held = not _locked(made_with) or _has_consumer(data_dir)
        if is_held:
            in_use.append(str(data_dir))
        if in_use:
            *others, last = in_use
            what = f"{', '.join(others)} and {last} are" if others else f"{last} is"
            raise VigieError(
                f"{what[0].upper()}{what[1:]} in use; stop what runs there,"
                f" or start beside it: `{_alternative_command(options, taken, data_dir if is_held else None)}`."
            )
        _keep_to_one_floor(options, data_dir, made_with)
        yield


def _keep_to_one_floor(options: argparse.Namespace, data_dir: Path, made_with: TextIO) -> None:
    """Note how the floor is made, or raise VigieError when another floor is stored."""
    this, edition = f"VIGIE_AGENTS={options.agents} VIGIE_SEED={options.seed}", f"edition {parameters.EDITION}"
    made_with.seek(0)
    stored, *stored_edition = made_with.read().splitlines() or [""]
    alternative = _alternative_command(options, (), data_dir)
    if stored == this and stored_edition != [edition]:
        raise VigieError(
            f"{data_dir} holds the floor of another version of Vigie, which cannot be mixed with that of this one;"
            f" move it away, or start in another directory: `{alternative}`."
        )
    if stored and stored != this:
        raise VigieError(
            f"{data_dir} holds the floor of {stored}, which cannot be mixed with that of {this};"
            f" start with the stored numbers, or in another directory: `{alternative}`."
        )
    if not stored and (data_dir / STORE).exists():
        raise VigieError(
            f"{data_dir} holds calls that were not made by a demo;"
            f" move it away, or start in another directory: `{alternative}`."
        )
    if not stored:
        try:
            made_with.write(f"{this}\n{edition}\n")
            made_with.flush()
        except OSError as error:
            raise disk_trouble(str(data_dir / MADE_WITH), error) from error


def _alternative_command(options: argparse.Namespace, taken: Collection[int], held: Path | None) -> str:
    """The command for a demo like this one, with other ports instead of `taken` and another directory than `held`."""
    chosen = {name: getattr(options, name) for name in DEFAULTS}
    for name in ("port", "broker_port"):
        if chosen[name] in taken:
            ours = {chosen["port"], chosen["broker_port"]}
            later = itertools.chain(range(chosen[name] + 1, 65536), range(1024, 65536))
            chosen[name] = next(port for port in later if port not in ours and _is_free(port))
    if held:
        names = (held.parent / f"{held.name}-{n}" for n in itertools.count(2))
        chosen["data_dir"] = next(path for path in names if not path.exists())
        if chosen["data_dir"].is_relative_to(Path.cwd()):
            chosen["data_dir"] = chosen["data_dir"].relative_to(Path.cwd())
    variables = [
        f"VIGIE_{name.upper()}={shlex.quote(str(value))}" for name, value in chosen.items() if value != DEFAULTS[name]
    ]
    return " ".join([*variables, "make demo"])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _locked(file: IO[Any]) -> bool:
    """Lock the file until it is closed. Return False when another process has locked it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _has_consumer(data_dir: Path) -> bool:
    """Whether a process has the store open: DuckDB locks it as `_locked` does."""
    try:
        with (data_dir / STORE).open("r+b") as store:
            return not _locked(store)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(data_dir / STORE, error) from error


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be made or written ({error.strerror}); choose another --data-dir (VIGIE_DATA_DIR)."
    )


class Child:
    """A command that runs beside this process and writes its output to a file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._name = name
        self._process = process
        self._log = log

    def must_run(self) -> None:
        """Raise VigieError if the command has ended, with its last line of output or the signal that ended it."""
        status = self._process.poll()
        if status is not None:
            output = self._log.read_text(errors="replace").strip().splitlines() or ["no output"]
            reason = f"signal {-status}" if status < 0 else output[-1].removeprefix("vigie: ").removesuffix(".")
            raise VigieError(f"The {self._name} ended ({reason}); see {self._log}, and start again.")

    def has_finished(self) -> bool:
        """Whether the command has ended without an error. Raise VigieError as `must_run` does if it failed."""
        if self._process.poll() == 0:
            return True
        self.must_run()
        return False

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
    with log.open("wb") as output:
        process = subprocess.Popen(
            ends_with_us([sys.executable, *command]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C in a terminal goes to the whole group; these are stopped in order
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        child.stop()


def _days_to_send(published: Path, now: dt.datetime) -> int:
    """How many days before today the floor has to send: yesterday, or all days since the last stored event.

    The floor goes on while no demo runs. Without those days, calls would stay open, and a weekend would be a gap.
    """
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            row = connection.execute("SELECT last_event_at FROM ingest_status").fetchone()
    except duckdb.Error:
        return 1  # not published yet, or not readable
    if row is None or row[0] is None:
        return 1
    return min(max((floor_day(now) - floor_day(row[0])).days, 1), MOST_DAYS)


def _wait_until_live(published: Path, floor_log: Path, started_at: float, going_on: Callable[[], bool]) -> None:
    """Show the progress of the backfill, until the floor has sent all of it and it is published.

    The age of the newest event says nothing: at night the next event may be minutes away. Files published before
    `started_at` [s since 1970] do not count.
    """
    shown, all_sent = "", False
    while going_on():
        if not all_sent and "going on live" in floor_log.read_text(errors="replace"):
            all_sent, started_at = True, clock.now_s()  # a file published before now may lack the last events
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


def _wait_until_past_is_filled(
    data_dir: Path, today: dt.date, count: int, past: Child, going_on: Callable[[], bool]
) -> None:
    """Show how many of the `count` days before `today` are stored, until `past` has sent all of them."""
    shown = -1
    while going_on():
        is_complete = past.has_finished()
        stored = count - len(missing_days(data_dir, today, count))
        if stored != shown:
            _say(f"past       {stored} of {count} days")
            shown = stored
        if is_complete:
            _say("The past is complete.")
            return


def _progress(published: Path, started_at: float) -> tuple[int, str, int] | None:
    """From the published file: (events, the time of the newest one in UTC, records not yet read)."""
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


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
