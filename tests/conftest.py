"""Set-up of all tests: the clock, the pinned zone rules, hypothesis profiles, brokers, and the report's last lines."""

import os
import re
import uuid
import warnings
import zoneinfo
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from metrics import clock
from metrics.clock import VARIABLE

# Set the clock before anything reads it. It starts on a Wednesday afternoon, so that yesterday, an hour ago and in an
# hour are ordinary times whenever the tests run. All workers of a run and the processes they start share this clock.
os.environ.setdefault(VARIABLE, "2026-11-25T14:00Z")
clock.now()

with warnings.catch_warnings():
    # kafka-python reads its schemas with a function that only Python 3.11 and 3.12 report as deprecated
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    from ingest.topic.broker import Broker, ensure_topic, running_broker
    from tests.support import RUN, templates
    from tests.support.dashboard.browsing import CHROMIUM, close_tabs
    from tests.support.disks import Disk, small_disk
    from tests.support.processes import left_running, not_here
    from tests.support.servers.apache_kafka import ApacheKafka, running_apache_kafka

# like PYTHONTZPATH="" in the Makefile: use the zone rules of tzdata, not those of the machine
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()

# no deadline per example: a shared machine may be slow at any moment
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

templates.share()


REAL = {"broker", "apache_kafka", "chromium_here"}
"""Fixtures with other processes. A test that uses one may time out on a stalled machine, so it is retried once."""
LEFT = pytest.StashKey[list[str]]()


def pytest_xdist_auto_num_workers() -> int:
    """Two more workers than cores: a test that waits for other processes uses no core."""
    return (os.cpu_count() or 1) + 2


def pytest_configure(config: pytest.Config) -> None:
    """Mark the processes of this run: an environment variable that workers and their children inherit."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = uuid.uuid4().hex


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real = [item for item in items if REAL & {*getattr(item, "fixturenames", ())}]
    for item in real:
        item.add_marker(pytest.mark.flaky(reruns=1))
        item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)  # slow tests start first, so none ends alone


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End the report with retried tests, tests that did not run and what to install, and processes left running."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_line(report.longreprtext)
        terminalreporter.write_line(f"TRIED AGAIN: {report.nodeid} failed at first, see above.", yellow=True, bold=True)
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        remedy = re.sub("^Skipped: ", "", reason)
        terminalreporter.write_line(f"NOT RUN: {count} test{'s' * (count > 1)}. {remedy}", yellow=True, bold=True)
    for process in terminalreporter.config.stash.get(LEFT, ()):
        terminalreporter.write_line(f"LEFT RUNNING: {process}", red=True, bold=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if it leaves a process running. The workers and all fixtures have ended by now."""
    if not hasattr(session.config, "workerinput"):
        templates.remove()
        session.config.stash[LEFT] = left = left_running(os.environ[RUN])
        if left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the number of retried tests on the last line."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not hasattr(config, "workerinput") and not config.option.collectonly:
        again = {report.nodeid for report in reporter.getreports("rerun")}
        reporter.write_line(f"{len(again)} tried again")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path where pages look for the published file. The file does not exist yet."""
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    return tmp_path / "published" / "vigie.duckdb"


@pytest.fixture(autouse=True)
def tabs() -> Iterator[None]:
    """Close the pages that a test opened."""
    yield
    close_tabs()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The embedded broker, shared by all tests. A test that stops its broker starts one of its own."""
    with running_broker() as running:
        yield running


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka, shared by all tests. A test that stops it must start it again."""
    with running_apache_kafka(tmp_path_factory.mktemp("apache-kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium_here() -> None:
    """Skip a browser test, or fail it where one is required, if Chromium is not installed."""
    if CHROMIUM is None:
        reason = "Pages cannot be looked at here. Chromium is not installed: `apt-get install chromium`."
        not_here(reason, "VIGIE_REQUIRE_CHROMIUM")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of a few MiB."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def topic(broker: Broker) -> str:
    """A new topic of four partitions for this test alone."""
    name = f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(broker.bootstrap_servers, name)
    return name
