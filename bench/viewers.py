"""Measures the real dashboard with one wallboard viewer and with 300: the time per tick, and the server's CPU time.

A viewer here does what a browser does to the server. It opens a websocket at /_stcore/stream, asks for `/`, then asks
every two seconds for the fragments that the page wants to rerun, and reads all answers.
"""

import asyncio
import contextlib
import http.client
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit

import duckdb
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from bench import figures
from bench.children import ROOT, cpu_s, in_background, must_run
from bench.figures import Measured, Row
from ingest.topic.broker import Broker, ensure_topic, running_broker

MANY = 300
GOAL_P99_S = 0.25
ROUNDS = 3
WINDOW_S = 12.0
REFRESH_S = 2.0
TOPIC = "bench-viewers"
READY_WITHIN_S = 240.0
CONNECTS_WITHIN_S = 120.0
TICK_WITHIN_S = 30.0
FRESH_S = 300.0
"""Greatest age of the last event: at night there can be minutes without one."""
NO_CLOCK: Mapping[str, str] = {}
FRAGMENT_DONE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


@dataclass
class Viewer:
    """One session; `ticks` has the durations [s] of the ticks that began while `is_counted()`.

    It gives up when there is no answer for `patience_s`.
    """

    url: str
    cookie: str
    is_counted: Callable[[], bool]
    patience_s: float = TICK_WITHIN_S
    ticks: list[float] = field(default_factory=list)
    messages: int = 0
    received: int = 0
    failed: int = 0

    async def watch(self, opened: asyncio.Event, offset_s: float) -> None:
        """Open the wall, then refresh it every REFRESH_S until cancelled."""
        await asyncio.sleep(offset_s)
        async with connect(
            self.url,
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": self.cookie},
            max_size=None,
            compression=None,
        ) as socket:
            fragments = await self._run(socket, BackMsg(rerun_script=ClientState()))
            if not fragments:
                raise RuntimeError("the wallboard did not ask for a refresh: nothing is published, or the page failed")
            opened.set()
            begin_at = time.perf_counter() + REFRESH_S
            while True:
                await asyncio.sleep(max(0.0, begin_at - time.perf_counter()))
                counted, started = self.is_counted(), time.perf_counter()
                for fragment in fragments:
                    await self._run(socket, BackMsg(rerun_script=ClientState(fragment_id=fragment)))
                if counted:
                    self.ticks.append(time.perf_counter() - started)
                begin_at = max(begin_at + REFRESH_S, time.perf_counter())

    async def _run(self, socket: ClientConnection, request: Any) -> list[str]:
        """Send `request`, read until its run has finished, and return the fragments to rerun."""
        await socket.send(request.SerializeToString())
        fragments: list[str] = []
        while True:
            async with asyncio.timeout(self.patience_s):  # wait_for of Python 3.11 sometimes loses a cancellation
                data = await socket.recv()
            message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            if self.is_counted():
                self.messages += 1
                self.received += len(data)
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                fragments.append(message.auto_rerun.fragment_id)
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                expected = FRAGMENT_DONE if request.rerun_script.fragment_id else ForwardMsg.FINISHED_SUCCESSFULLY
                self.failed += message.script_finished != expected
                return fragments


async def _watch(url: str, cookie: str, viewers: int, server_cpu_s: Callable[[], float | None]) -> dict[str, Any]:
    """Run `viewers` sessions, spread over a refresh, for WINDOW_S. Return their ticks and the server's CPU share."""
    counting = False
    sessions = [Viewer(url, cookie, lambda: counting) for _ in range(viewers)]
    opened = [asyncio.Event() for _ in sessions]
    tasks = [
        asyncio.create_task(viewer.watch(event, n * REFRESH_S / viewers))
        for n, (viewer, event) in enumerate(zip(sessions, opened, strict=True))
    ]
    try:
        all_open: asyncio.Future[Any] = asyncio.gather(*(event.wait() for event in opened))
        done, _ = await asyncio.wait([all_open, *tasks], timeout=CONNECTS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {all_open}:
            task.result()  # raises the error that ended the viewer
        if not all_open.done():
            raise TimeoutError(f"{viewers} viewers were not all served within {CONNECTS_WITHIN_S:g} s")
        await asyncio.sleep(2 * REFRESH_S)
        counting = True
        started, cpu = time.perf_counter(), server_cpu_s()
        await asyncio.sleep(WINDOW_S)
        took_s, cpu_after = time.perf_counter() - started, server_cpu_s()
        counting = False
        await asyncio.sleep(REFRESH_S)  # for ticks that began in time
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ticks = [tick for viewer in sessions for tick in viewer.ticks]
    return {
        "viewers": viewers,
        "ticks": len(ticks),
        "expected": viewers * WINDOW_S / REFRESH_S,
        "median_s": median(ticks),
        "p99_s": figures.percentile(ticks, 0.99),
        "worst_s": max(ticks),
        "cpu_share": None if cpu is None or cpu_after is None else (cpu_after - cpu) / took_s,
        "messages": sum(viewer.messages for viewer in sessions),
        "bytes": sum(viewer.received for viewer in sessions),
        "failed": sum(viewer.failed for viewer in sessions),
    }


@dataclass(frozen=True)
class Live:
    """A dashboard of a live floor: processes, its address, its data directory, the URL of its consumer's metrics."""

    broker: Broker
    floor: "subprocess.Popen[bytes]"
    consumer: "subprocess.Popen[bytes]"
    dashboard: "subprocess.Popen[bytes]"
    address: str
    directory: str
    metrics: str


@contextlib.contextmanager
def live_dashboard(
    topic: str, tick_s: float, clock: Mapping[str, str] = NO_CLOCK, fresh_s: float = FRESH_S
) -> Iterator[Live]:
    """Run a dashboard of a live floor, both with these environment variables of another `clock`.

    The floor counts as live once the last event is at most `fresh_s` old, by that clock.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-bench-"))
        broker = stack.enter_context(running_broker())
        ensure_topic(broker.bootstrap_servers, topic)
        kafka = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
        port, metrics_port = _free_port(), _free_port()
        metrics_option = ("--metrics-port", str(metrics_port))
        commands = {
            "consumer": ("-m", "ingest", "run", *kafka, "--data-dir", directory, *metrics_option),
            "floor": ("-m", "ingest", "simulate", *kafka, "--days", "1"),
            "dashboard": ("-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)),
        }
        children = {}
        for name, command in commands.items():
            log = Path(directory, f"{name}.log")
            variables = {"VIGIE_DATA_DIR": directory, "VIGIE_ACCESS_DIR": access_dir(directory), **clock}
            variables["VIGIE_TICK_S"] = f"{tick_s:g}"
            children[name] = stack.enter_context(in_background(*command, log=log, **variables)), log
        deadline = time.monotonic() + READY_WITHIN_S
        published = Path(directory, "published", "vigie.duckdb")
        address = f"http://127.0.0.1:{port}"
        while not (_is_live(published, fresh_s) and _responds(f"{address}/healthz")):
            for child, log in children.values():
                must_run(child, log)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the dashboard did not show a live floor within {READY_WITHIN_S:g} s")
            time.sleep(0.5)
        processes = {name: child for name, (child, _) in children.items()}
        yield Live(broker, **processes, address=address, directory=directory, metrics=_metrics(metrics_port))


def _metrics(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


def measure(rounds: int = ROUNDS, many: int = MANY) -> Measured:
    """Measure one viewer and `many`, in turn, on a dashboard of a live floor."""
    results: dict[int, list[dict[str, Any]]] = {1: [], many: []}
    with live_dashboard(TOPIC, REFRESH_S) as live:
        url, cookie = (
            live.address.replace("http", "ws") + "/_stcore/stream",
            sign_in(live.address, "/sign-in", add_manager(live.directory)),
        )
        asyncio.run(_watch(url, cookie, 1, lambda: None))  # the first visit loads modules
        for _ in range(rounds):
            for viewers in results:
                results[viewers].append(asyncio.run(_watch(url, cookie, viewers, lambda: cpu_s(live.dashboard.pid))))
    return _measured(results, many)


def _measured(results: dict[int, list[dict[str, Any]]], many: int) -> Measured:
    def values(viewers: int, name: str) -> list[float]:
        return [result[name] for result in results[viewers]]

    def compared(
        name: str, form: str, unit: str, scale: float, title: str, goal: str = "", met: bool | None = None
    ) -> Row:
        a, b = ([value * scale for value in values(viewers, name)] for viewers in (many, 1))
        rounds = figures.least_most(figures.by_round(a, b), ".1f")
        return Row(
            f"{title}, {many} wallboard viewers (A), one (B)",
            figures.spread(a, form, unit),
            figures.spread(b, form, unit),
            f"{figures.ratio(a, b):.1f} ({rounds})",
            goal,
            met,
        )

    ticks, expected = sum(values(many, "ticks")), sum(values(many, "expected"))
    is_kept = max(values(many, "p99_s")) <= GOAL_P99_S
    rows = [
        compared("median_s", ".0f", " ms", 1e3, f"a tick of {REFRESH_S:g} s, median"),
        compared("p99_s", ".0f", " ms", 1e3, "the same, p99", f"A ≤ {GOAL_P99_S * 1e3:.0f} ms", is_kept),
    ]
    if None not in values(1, "cpu_share") + values(many, "cpu_share"):
        rows.append(compared("cpu_share", ".0f", " %", 100, "the server's share of a core"))
    remarks = [
        f"viewers: {len(results[many])} rounds of {WINDOW_S:g} s, A and B in turn; real websocket sessions of `/`,"
        " with a live floor, its consumer and broker on the same cores.",
        f"viewers: {ticks:,.0f} of {expected:,.0f} ticks of {many} viewers were served in time;"
        f" {sum(values(many, 'failed')) + sum(values(1, 'failed')):.0f} runs failed;"
        f" {median(values(many, 'bytes')) / WINDOW_S / many / 1024:.0f} KiB/s per viewer.",
    ]
    return Measured(rows, remarks, {"one": results[1], "many": results[many]})


def _is_live(published: Path, fresh_s: float) -> bool:
    """Whether the published file has caught up with the present."""
    with contextlib.suppress(duckdb.IOException), duckdb.connect(str(published), read_only=True) as connection:
        ((live,),) = connection.execute(
            "SELECT coalesce(epoch(published_at) - epoch(last_event_at) < $fresh_s AND events > 0, false)"
            " FROM ingest_status",
            {"fresh_s": fresh_s},
        ).fetchall()
        return bool(live)
    return False


def add_manager(directory: str) -> dict[str, str]:
    """Add the account of a manager, and return the fields of its sign-in form."""
    password = secrets.token_urlsafe()
    add_account(directory, "add", "bench", "--role", "manager", answer=password)
    return {"name": "bench", "password": password}


def sign_in(url: str, path: str, fields: Mapping[str, str]) -> str:
    """Send a form of signing in, and return the session cookie."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", path, urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    connection.close()
    if answer.status != 303:
        raise RuntimeError(f"the dashboard refused the account that was just added (status {answer.status})")
    return str(answer.headers["Set-Cookie"]).partition(";")[0]


def access_dir(directory: str) -> str:
    return directory + "/access"


def add_account(directory: str, *command: str, answer: str = "") -> str:
    """Run `pages.accounts COMMAND…` with `answer` on its input; return the last line of its output."""
    done = subprocess.run(
        [sys.executable, "-m", "pages.accounts", *command],
        input=f"{answer}\n",
        encoding="utf-8",
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "VIGIE_ACCESS_DIR": access_dir(directory)},
        check=True,
    )
    return done.stdout.splitlines()[-1]


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
