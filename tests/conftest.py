"""What every test starts from: the pinned zone rules, repeatable examples, and a real broker over TCP."""

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

# Before anything asks for the present: a Wednesday afternoon, so that yesterday, an hour ago and in an hour are where
# a test expects them, at whatever hour it runs. All workers of a run, and what they start, share this clock.
os.environ.setdefault(VARIABLE, "2026-11-25T14:00Z")
clock.now()

with warnings.catch_warnings():
    # kafka-python reads its schemas in a way that Python 3.11 and 3.12 (no other) call deprecated
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    from ingest.topic.broker import Broker, ensure_topic, running_broker
    from tests.support.apache_kafka import ApacheKafka, running_apache_kafka
    from tests.support.browsing import CHROMIUM, close_tabs
    from tests.support.disks import Disk, small_disk
    from tests.support.processes import RUN, left_running, not_here

# as PYTHONTZPATH="" does in the Makefile: the rules of tzdata, never the machine's
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()

# a shared machine may be slow at any moment: no test fails for the time one example took
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


REAL = {"broker", "apache_kafka", "chromium_here"}
"""Who asks for one of these waits for other processes; on a machine that stood still for a moment, in vain."""
LEFT = pytest.StashKey[list[str]]()


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a test that waits for other processes needs none meanwhile."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Mark what this run starts, its workers and their children."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = uuid.uuid4().hex


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real = [item for item in items if REAL & {*getattr(item, "fixturenames", ())}]
    for item in real:
        item.add_marker(pytest.mark.flaky(reruns=1))
        item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item not in real)  # they take longest; a file that is begun is run whole


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of every report what failed at first, and what did not run and what to install for it."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_line(report.longreprtext)
        terminalreporter.write_line(f"TRIED AGAIN: {report.nodeid} failed at first, see above.", yellow=True, bold=True)
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        said = re.sub("^Skipped: ", "", reason)
        terminalreporter.write_line(f"NOT RUN: {count} test{'s' * (count > 1)}. {said}", yellow=True, bold=True)
    for process in terminalreporter.config.stash.get(LEFT, ()):
        terminalreporter.write_line(f"LEFT RUNNING: {process}", red=True, bold=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a process that it started is left; by now the workers and all fixtures have ended."""
    if not hasattr(session.config, "workerinput"):
        session.config.stash[LEFT] = left = left_running(os.environ[RUN])
        if left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line how many tests passed or failed only when they were tried again."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not hasattr(config, "workerinput") and not config.option.collectonly:
        again = {report.nodeid for report in reporter.getreports("rerun")}
        reporter.write_line(f"{len(again)} tried again")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the pages look for the published file; nothing is there yet."""
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    return tmp_path / "published" / "vigie.duckdb"


@pytest.fixture(autouse=True)
def tabs() -> Iterator[None]:
    """Leave no page open to the next test."""
    yield
    close_tabs()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The embedded broker, one for all tests; a test that stops its broker runs one of its own."""
    with running_broker() as running:
        yield running


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka, one for all tests; a test that stops it starts it again."""
    with running_apache_kafka(tmp_path_factory.mktemp("apache-kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium_here() -> None:
    """What a test asks for that looks at pages in a browser."""
    if CHROMIUM is None:
        said = "Pages cannot be looked at here. Chromium is not installed: `apt-get install chromium`."
        not_here(said, "VIGIE_REQUIRE_CHROMIUM")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of a few MiB."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.fixture
def topic(broker: Broker) -> str:
    """A topic of four partitions that no other test has."""
    name = f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(broker.bootstrap_servers, name)
    return name
