"""The published folder read at another path than where it was written: a mount, a copy, a share on Windows."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers.snapshot import Published
from tests.support.stories.stream import DAY, Desk, at, read_story

pytestmark = pytest.mark.slow

STORY = """
    09:00:00 queued
    09:00:10 answered agent=ana
    09:01:10 ended
    09:02:00 wrapped agent=ana
"""
ASK = "SELECT call_id, talk_s FROM calls"
UNHURRIED_S = 300  # time limit of a query: its process runs niced, so a busy machine slows it
ROWS = [("c1", 60.0)]


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A published file whose only call is in Parquet, in a folder that was renamed after it was written."""
    desk = Desk(tmp_path / "here")
    desk.apply(read_story(STORY), at("09:05:00"))
    desk.publish(at("48:00:00", DAY))
    desk.close()
    assert list((tmp_path / "here").glob("published/calls/day=*/*.parquet"))
    shutil.move(tmp_path / "here", tmp_path / "it's elsewhere")
    return tmp_path / "it's elsewhere" / "published" / "vigie.duckdb"


def test_any_tool_finds_it_with_a_variable(moved: Path) -> None:
    with duckdb.connect(str(moved), read_only=True) as analyst:
        with pytest.raises(duckdb.IOException, match="No files found"):
            analyst.execute(ASK).fetchall()
        analyst.execute("SET VARIABLE vigie_folder = $here", {"here": str(moved.parent)})
        assert analyst.execute(ASK).fetchall() == ROWS
        assert (1,) in analyst.execute("SELECT answered FROM kpi_daily").fetchall()


def test_pages_find_it(moved: Path) -> None:
    assert Published(moved).ask("calls", lambda now: now.connection.execute(ASK).fetchall()) == ROWS


def test_the_sql_box_finds_it(moved: Path) -> None:
    query = readers.query(Published(moved), Viewer("analyst", None, "ana"), ASK, UNHURRIED_S)
    assert query is not None
    answer = query.wait()
    assert isinstance(answer, readers.Answer), answer
    assert [tuple(row.values()) for row in answer.table.to_pylist()] == ROWS


def test_the_shell_finds_it(moved: Path) -> None:
    data_dir = str(moved.parent.parent)
    command = [sys.executable, "-m", "metrics.published.shell", "--data-dir", data_dir]
    done = subprocess.run(command, input=f"{ASK};", capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert "60.0" in done.stdout
