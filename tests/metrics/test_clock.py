"""All code takes the time from one clock, which tests and demonstrations can set, and none from the machine's."""

import ast
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from ingest.topic.broker import PARTITIONS, Broker
from metrics import clock
from metrics.errors import ConfigurationError
from tests.support.dashboard.browsing import refused
from tests.support.processes import ROOT, WITHIN_S, environment, one_sentence, queued, run, send, wait_for

ASKED = {"datetime": ("now", "today", "utcnow"), "date": ("today",), "time": ("time", "time_ns")}
"""Calls that read the machine's clock, by the last name before the dot."""
MACHINES = {
    "metrics/clock.py": "is the clock",
    "tests/metrics/test_clock.py": "compares the two",
    "tests/support/servers/identity_provider.py": "stands for another machine",
    "tests/support/servers/mail_server.py": "has a certificate, which a client checks by the machine's clock",
    "tests/support/servers/receiver.py": "stands for another machine",
    "tests/accounts/test_provider.py": "says when that machine issued a token",
}
"""Files that may read it, and why."""

LATER = """
import subprocess, sys, time
from metrics import clock
sys.stdout.write(f"{clock.now().isoformat()}\\n")
sys.stdout.flush()
time.sleep(0.5)
subprocess.run([sys.executable, "-c", "from metrics import clock; print(clock.now().isoformat())"], check=True)
"""


def asks_the_machine(path: Path) -> Iterator[int]:
    """Yield the lines of a file that read the machine's clock."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
            if node.func.attr in ASKED.get(name, ()):
                yield node.lineno


def test_nothing_reads_the_machines_clock() -> None:
    files = [
        ROOT / "dashboard.py",
        *(file for of in ("ingest", "metrics", "pages", "tests") for file in (ROOT / of).rglob("*.py")),
    ]
    asking = {f"{file.relative_to(ROOT)}" for file in files if any(asks_the_machine(file))}
    assert asking == MACHINES.keys()


@pytest.mark.slow
def test_children_share_the_clock_of_a_process_that_was_set_to_an_instant() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATER],
        env=environment(VIGIE_CLOCK="2028-02-29T23:59:59Z"),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    begun, later = (dt.datetime.fromisoformat(line) for line in done.stdout.splitlines())
    shown = dt.datetime(2028, 2, 29, 23, 59, 59, tzinfo=dt.UTC)
    assert shown <= begun < shown + dt.timedelta(seconds=1)
    assert later >= begun + dt.timedelta(seconds=0.5)  # a child does not start from the instant again


@pytest.mark.slow
def test_without_a_setting_it_is_the_machines() -> None:
    code = "import time; from metrics import clock; print(clock.now_s() - time.time())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(VIGIE_CLOCK=""), cwd=ROOT, capture_output=True, check=True
    )
    assert abs(float(done.stdout)) < 1


def test_all_tests_and_their_processes_share_one_clock() -> None:
    ahead_s = float(environment()[clock.VARIABLE])
    assert clock.now_s() == pytest.approx(time.time() + ahead_s, abs=1)
    assert clock.shown_at(1000.0) == 1000.0 + ahead_s


@pytest.mark.parametrize(
    ("given", "ahead_s"),
    [
        pytest.param("1970-01-01T00:16:50Z", 10.0, id="an instant in UTC"),
        pytest.param("1970-01-01T01:16:50+01:00", 10.0, id="an instant in another zone"),
        pytest.param("+2.5", 2.5, id="ahead"),
        pytest.param("-86400", -86400.0, id="behind"),
    ],
)
def test_a_clock_is_set_by_an_instant_or_by_how_far_it_is_ahead(given: str, ahead_s: float) -> None:
    assert clock.seconds_ahead(given, machine_s=1000.0) == ahead_s


@pytest.mark.parametrize("given", ["noon", "2026-11-25T14:00", "25/11/2026", "+", "-1d", "14:00Z"])
def test_an_invalid_clock_is_rejected(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"VIGIE_CLOCK='.*' is not an instant; write it with its zone, as "):
        clock.seconds_ahead(given, machine_s=1000.0)


@pytest.mark.slow
def test_a_command_rejects_it_in_one_sentence() -> None:
    message = one_sentence(run("simulate", "--print", "--until-now", VIGIE_CLOCK="yesterday"))
    assert message.startswith("vigie: VIGIE_CLOCK='yesterday' is not an instant")


@pytest.mark.slow
def test_a_dashboard_rejects_it_in_one_sentence(tmp_path: Path) -> None:
    assert "VIGIE_CLOCK='2026-11-25' is not an instant" in refused(tmp_path, VIGIE_CLOCK="2026-11-25")


def test_records_are_stamped_by_it(broker: Broker, topic: str) -> None:
    send(broker.bootstrap_servers, topic, [queued(1)])
    reader = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    with closing(reader):
        reader.assign([TopicPartition(topic, n) for n in range(PARTITIONS)])
        ((record,),) = wait_for(lambda: reader.poll(timeout_ms=200).values(), "the record")
    assert record.timestamp / 1000 == pytest.approx(clock.now_s(), abs=WITHIN_S)


@pytest.mark.slow
def test_a_command_uses_it() -> None:
    done = run("simulate", "--print", "--until-now", "--days", "0", "--agents", "8", VIGIE_CLOCK="2028-02-29T09:30:00Z")
    last = done.stdout.splitlines()[-1]
    assert '"ts":"2028-02-29T09:' in last
    assert "the clock was set to 2028-02-29T09:30:00Z" in done.stderr
