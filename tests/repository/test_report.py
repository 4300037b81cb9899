"""The report of our test runs: retried tests and processes left running."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dashboard.browsing import browser, close_tabs, needs_chromium, open_tab
from tests.support.processes import ROOT, WITHIN_S, environment

pytestmark = pytest.mark.slow

TRIED_AGAIN = """
import pytest

@pytest.fixture
def broker(): ...  # a test that asks for one is tried again

@pytest.mark.parametrize("fails", [0, 1, 1, 2])
def test_it(broker, request, fails, tried={}):
    tried[request.node.name] = tried.get(request.node.name, 0) + 1
    assert tried[request.node.name] > fails
"""
LEAVES = """
import subprocess
def test_it():
    subprocess.run("sleep 600 >/dev/null 2>&1 &", shell=True, check=True)
"""


def report(tmp_path: Path, tests: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run these tests with our configuration."""
    (tmp_path / "test_it.py").write_text(tests)
    ours = (
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", *ours, *options, str(tmp_path / "test_it.py")],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        check=False,
    )


@pytest.mark.parametrize("options", [("-n0",), ("-n0", "-q"), ("-n2", "--dist", "loadfile")], ids=" ".join)
def test_the_last_line_counts_retried_tests(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = report(tmp_path, TRIED_AGAIN, *options)
    *_, closing, last = done.stdout.splitlines()
    assert done.returncode == 1
    assert re.search(r"\b1 failed, 3 passed, 3 rerun in ", closing)  # pytest's own summary is unchanged
    assert last == "3 tried again"


def test_the_last_line_counts_no_retried_tests_too(tmp_path: Path) -> None:
    done = report(tmp_path, "def test_it(): ...", "-n0")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "0 tried again"


def test_a_run_that_leaves_a_process_fails(tmp_path: Path) -> None:
    done = report(tmp_path, LEAVES, "-n1")
    (left,) = re.findall(r"^LEFT RUNNING: (\d+) sleep 600$", done.stdout, re.M)
    os.kill(int(left), signal.SIGKILL)
    assert "1 passed" in done.stdout and done.returncode == 1


@needs_chromium
def test_pages_of_a_test_are_closed_while_the_browser_runs_on() -> None:
    with browser() as chromium:
        for _ in range(3):
            open_tab(chromium, "http://127.0.0.1", None)
        assert len(chromium.contexts) == 3
        close_tabs()
        assert chromium.contexts == []
