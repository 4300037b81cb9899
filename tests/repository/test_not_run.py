"""Tests that a machine cannot run are listed at the end of the report, and fail where they are required."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, WITHIN_S, environment

pytestmark = pytest.mark.slow

LACKING = {
    "tests/system/test_brokers.py::test_a_record_of_a_megabyte_and_tombstones[Apache]": (
        "VIGIE_REQUIRE_APACHE_KAFKA",
        "Apache Kafka cannot be run here. Java is not installed: `apt-get install openjdk-17-jre-headless maven`",
    ),
    "tests/system/test_days.py::test_a_managers_day": (
        "VIGIE_REQUIRE_CHROMIUM",
        "Pages cannot be looked at here. Chromium is not installed: `apt-get install chromium`",
    ),
}


@pytest.mark.parametrize("test", LACKING)
@pytest.mark.parametrize(("required", "code", "says"), [("0", 0, "NOT RUN: 1 test. "), ("1", 1, "Failed: ")])
def test_the_report_lists_what_did_not_run_and_what_to_install(
    tmp_path: Path, test: str, required: str, code: int, says: str
) -> None:
    variable, why = LACKING[test]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        env=environment() | {"PATH": str(tmp_path), variable: required},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert says + why in done.stdout
