"""Tests that a machine cannot run: told at the end of the report, and failures where they are required."""

import subprocess
import sys
from pathlib import Path

import pytest

from .processes import ROOT, environment

TEST = "tests/test_brokers.py::test_a_record_of_a_megabyte_and_tombstones[Apache]"


@pytest.mark.parametrize(("required", "code", "says"), [("0", 0, "NOT RUN: 1 test. "), ("1", 1, "Failed: ")])
def test_without_java_the_report_says_what_did_not_run_and_how_to_get_it(
    tmp_path: Path, required: str, code: int, says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST],
        env=environment() | {"PATH": str(tmp_path), "VIGIE_REQUIRE_APACHE_KAFKA": required},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    why = "Apache Kafka cannot be run here. Java is not installed: `apt-get install openjdk-17-jre-headless maven`"
    assert says + why in done.stdout
