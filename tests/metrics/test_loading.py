"""What importing Vigie's packages does to DuckDB, which is loaded with them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, environment


@pytest.mark.parametrize("package", ["metrics", "ingest", "pages", "notify"])
def test_duckdb_draws_no_progress_bars_into_the_log_of_a_program(tmp_path: Path, package: str) -> None:
    """`python -m` imports a package before its program has a file; by that DuckDB tells a person's shell."""
    program = tmp_path / "program"
    program.mkdir()
    (program / "__init__.py").write_text(f"import {package}\n")
    (program / "__main__.py").write_text("import duckdb\nprint(duckdb.__interactive__, __file__)\n")
    said = subprocess.run(
        [sys.executable, "-m", "program"],
        env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert said.stdout == f"False {program / '__main__.py'}\n"
