"""Put each fault into the code and see which check fails of it: `python -m tests.mutation [FILE …]`.

One process imports what all need. For each mutant it forks; the child imports Vigie with the fault in it, and runs the
checks from quick to slow until one fails.
"""

import argparse
import collections
import importlib
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.mutation import python, sql
from tests.mutation.edits import Mutant, mutant

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EQUIVALENT = HERE / "equivalent.toml"
RESULTS = ROOT / ".cache" / "mutants.jsonl"
FILES = (
    *("archive.py", "segments.py", "store.py", "judging.py", "fold.sql", "judge.sql", "judged.sql", "settle.sql"),
    *("reopened.sql", "conservation.sql", "batch.sql", "recall.sql", "archive.sql"),
)
TESTS = (
    *("test_fold.py", "test_recall.py", "test_judged_again.py", "test_feed_tables.py", "test_moved.py"),
    *("test_properties.py", "test_rebuild.py"),
)
#: Those left out start other processes, which have no fault in them.
APART = "not killed and not command and not disk and not kafka"
REJECTED = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, SyntaxError, NameError, TypeError)
END = object()
Verdict = tuple[str, str, float]
SURVIVED, BY_FLOORS, BY_TESTS, BY_ITSELF, BROKEN = 0, 11, 12, 13, 14
VERDICTS = {SURVIVED: "survived", BY_FLOORS: "killed", BY_TESTS: "killed", BY_ITSELF: "rejected", BROKEN: "broken"}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file of ingest/, in order of lines; a text that two faults make is one mutant."""
    text = (ROOT / "ingest" / file).read_text()
    found = python.faults(text) if file.endswith(".py") else sql.faults(sql.tokens(text, [(0, len(text))]))
    made = {made.text(text): made for made in (mutant(file, text, what, edits) for what, edits in found)}
    made.pop(text, None)
    if file.endswith(".py"):
        made = {changed: each for changed, each in made.items() if _compiles(changed)}
    return sorted(made.values(), key=lambda m: (m.line, m.edits[0]))


def _compiles(text: str) -> bool:
    """Is it Python still? An operand in brackets of its own is not always left out well."""
    try:
        compile(text, "a mutant", "exec")
    except SyntaxError:
        return False
    return True


def warm_up() -> None:
    """Import what the checks import, then forget what a fault may be in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in ("tests.conftest", "tests.floors", *(f"tests.{Path(t).stem}" for t in TESTS)):
            importlib.import_module(name)
    for name in list(sys.modules):
        if name.split(".")[0] == "ingest" or (name.startswith("tests.") and not name.startswith("tests.mutation")):
            del sys.modules[name]


def put_in(changed: Mutant) -> None:
    """Let what is imported from now on have the fault in it."""
    path = ROOT / "ingest" / changed.file
    text = changed.text(path.read_text())
    if changed.file.endswith(".sql"):
        read_text = Path.read_text

        def read(self: Path, *args: str | None, **named: str | None) -> str:
            return text if self == path else read_text(self, *args, **named)

        Path.read_text = read  # type: ignore[method-assign,assignment]
        return
    name = f"ingest.{path.stem}"
    package = importlib.import_module("ingest")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    setattr(package, path.stem, module)


def check(changed: Mutant | None, home: Path, tests: bool) -> int:
    """Run the checks, in a child, until one fails."""
    tempfile.tempdir = str(home)
    os.environ |= {"CI": "1", "TMPDIR": str(home), "PYTEST_DEBUG_TEMPROOT": str(home)}
    if changed is not None:
        try:
            put_in(changed)
        except REJECTED:
            return BY_ITSELF
    try:
        importlib.import_module("tests.mutation.checks").floors()
    except BaseException as error:
        _say(f"FAULT {type(error).__name__}: {error}")
        return BY_ITSELF if isinstance(error, REJECTED) or isinstance(error.__cause__, REJECTED) else BY_FLOORS
    if not tests:
        return SURVIVED
    options = ["-x", "-q", "--tb=line", "-n0", "-p", "no:cacheprovider", f"--basetemp={home / 'tests'}", "-k", APART]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # what all need is imported already
    ended = pytest.main([*options, *(str(ROOT / "tests" / test) for test in TESTS)])
    return {pytest.ExitCode.OK: SURVIVED, pytest.ExitCode.TESTS_FAILED: BY_TESTS}.get(ended, BROKEN)


class Trial:
    """A mutant, or no fault, before the checks in a child."""

    def __init__(self, changed: Mutant | None, limit_s: int, tests: bool) -> None:
        self.changed = changed
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._home = Path(tempfile.mkdtemp(prefix="mutant-", dir=place))
        self._said = self._home / "said"
        self._until = (
            time.monotonic() + 15 * limit_s
        )  # for one that waits for something; the processor's time is limited
        self._child = os.fork()
        if not self._child:
            code = BROKEN
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
                handle = os.open(self._said, os.O_CREAT | os.O_WRONLY)
                os.dup2(handle, 1)
                os.dup2(handle, 2)
                code = check(changed, self._home, tests)
                sys.stdout.flush()
            finally:
                os._exit(code)

    def verdict(self) -> tuple[str, str, float] | None:
        """How it ended, the last that the checks said, and the processor time it took [s]; None while they run."""
        if time.monotonic() > self._until:
            os.killpg(self._child, signal.SIGKILL)
        done, status, used = os.wait4(self._child, os.WNOHANG)
        if not done:
            return None
        lines = [line for line in self._said.read_text(errors="replace").splitlines() if line.strip()]
        told = next((line for line in reversed(lines) if line.startswith(("FAILED", "FAULT"))), "")
        shutil.rmtree(self._home, ignore_errors=True)
        if os.WIFSIGNALED(status):
            return "killed", f"ended by signal {os.WTERMSIG(status)}", used.ru_utime + used.ru_stime
        return VERDICTS[os.WEXITSTATUS(status)], told[:300], used.ru_utime + used.ru_stime


def trials(mutants: Iterable[Mutant | None], jobs: int, limit_s: int, tests: bool) -> Iterator[tuple[Trial, Verdict]]:
    """Try mutants, `jobs` at once; give each with its verdict."""
    waiting, running = iter(mutants), []
    while True:
        while len(running) < jobs and (following := next(waiting, END)) is not END:
            running.append(Trial(following, limit_s, tests))
        if not running:
            return
        for trial in list(running):
            if (verdict := trial.verdict()) is not None:
                running.remove(trial)
                yield trial, verdict
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help=f"files of ingest/, all by default: {', '.join(FILES)}")
    parser.add_argument("--sample", type=int, help="so many mutants of each file, chosen at random by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="mutants by name")
    parser.add_argument("--again", action="store_true", help="also judge again what was killed by an earlier run")
    parser.add_argument("--quick", action="store_true", help="without the tests: more survive")
    parser.add_argument("--jobs", type=int, default=1, help="so many at once")
    parser.add_argument("--list", action="store_true", help="show the mutants and judge none")
    given = parser.parse_args()
    mutants = [m for file in given.files or FILES for m in _chosen(file, given)]
    reasons = tomllib.loads(EQUIVALENT.read_text())
    if given.list:
        for each in mutants:
            _say(f"{each.name} {each.file}:{each.line} {each.what}")
        return 0
    RESULTS.parent.mkdir(exist_ok=True)
    known = {} if given.again or not RESULTS.exists() else _earlier()
    warm_up()
    ((_, (ended, told, baseline_s)),) = trials([None], 1, 3600, not given.quick)
    if ended != "survived":
        _say(f"The checks fail without any fault: {told}")
        return 2
    _say(f"The checks take {baseline_s:.0f} s of processor time; {len(mutants)} mutants.")
    begun = time.monotonic()
    left = [m for m in mutants if m.name not in reasons and known.get(m.name) not in ("killed", "rejected")]
    for trial, (ended, told, spent) in trials(left, given.jobs, 20 + int(4 * baseline_s), not given.quick):
        each = trial.changed
        known[each.name] = ended
        with RESULTS.open("a") as results:
            row = {"name": each.name, "file": each.file, "line": each.line, "what": each.what}
            results.write(json.dumps(row | {"ended": ended, "told": told, "cpu_s": round(spent, 1)}) + "\n")
        if ended in ("survived", "broken"):
            _say(f"{each.name} {each.file}:{each.line} {ended}: {each.what}")
    _say(f"{time.monotonic() - begun:.0f} s\n")
    if gone := set(reasons) - {m.name for file in FILES for m in mutants_of(file)}:
        _say(f"In {EQUIVALENT.name}, and no mutant any more: {', '.join(sorted(gone))}\n")
    return _report(mutants, known, reasons)


def _chosen(file: str, given: argparse.Namespace) -> list[Mutant]:
    mutants = mutants_of(file)
    if given.only:
        return [m for m in mutants if m.name in given.only]
    if given.sample and given.sample < len(mutants):
        return sorted(random.Random(given.seed).sample(mutants, given.sample), key=lambda m: m.line)
    return mutants


def _earlier() -> dict[str, str]:
    return {row["name"]: row["ended"] for row in map(json.loads, RESULTS.read_text().splitlines())}


def _report(mutants: list[Mutant], known: dict[str, str], reasons: dict[str, object]) -> int:
    """Print the score by file; return 1 when a mutant survived that equivalent.toml does not explain."""
    _say("| file | mutants | rejected | killed | equivalent | survived |")
    _say("| --- | --- | --- | --- | --- | --- |")
    survived = 0
    for file in FILES:
        own = [m for m in mutants if m.file == file]
        counts = collections.Counter("equivalent" if m.name in reasons else known.get(m.name, "") for m in own)
        survived += counts["survived"]
        if own:
            figures = (len(own), *(counts[kind] for kind in ("rejected", "killed", "equivalent", "survived")))
            _say(f"| {file} | " + " | ".join(map(str, figures)) + " |")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
