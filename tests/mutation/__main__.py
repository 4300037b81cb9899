"""Puts each fault into the code and finds a check that fails because of it: `python -m tests.mutation [FILE …]`.

One process imports what all checks need and forks for each mutant. The child imports Vigie with the fault in it and
runs the checks, quick ones first, until one fails.
"""

import argparse
import collections
import importlib
import importlib.util
import itertools
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
from typing import Any

import duckdb
import pytest

from tests.mutation import python, sql
from tests.mutation.edits import Mutant, mutant
from tests.mutation.reach import Reach

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EQUIVALENT = HERE / "equivalent.toml"
RESULTS = ROOT / ".cache" / "mutants.jsonl"
MEASURED = ROOT / ".cache" / "reach.json"
FILES = (
    *("archive.py", "segments.py", "store.py", "judging.py", "fold.sql", "judge.sql", "judged.sql", "settle.sql"),
    *("reopened.sql", "conservation.sql", "store.sql", "batch.sql", "recall.sql", "archive.sql"),
    *("stretches.py", "stretches.sql", "judging.sql", "checksums.py", "checksums.sql", "keeping.py", "erasing.py"),
    *("erasing.sql", "persons.py"),
)
PATHS = {file.name: file for file in sorted((ROOT / "ingest").glob("*/*")) if file.name in FILES}
TESTS = (
    *("ingest/store/test_fold.py", "ingest/archive/test_recall.py", "ingest/judging/test_judged_again.py"),
    *("ingest/publishing/test_feed_tables.py", "ingest/judging/test_alarms.py", "metrics/test_properties.py"),
    *("ingest/test_rebuild.py", "ingest/archive/test_segments.py", "ingest/store/test_store.py"),
    *("ingest/archive/test_stretches.py", "ingest/publishing/test_snapshot.py", "ingest/test_backlog.py"),
    *("ingest/archive/test_sum_files.py", "ingest/archive/test_checksums.py", "ingest/store/test_erasing.py"),
    "ingest/events/test_persons.py",
)
#: Tests of a file run before others when the file has a mutant.
ABOUT = {
    "archive.py": ("test_recall.py", "test_stretches.py", "test_judged_again.py", "test_backlog.py"),
    "stretches.py": ("test_stretches.py", "test_recall.py"),
    "stretches.sql": ("test_stretches.py", "test_recall.py"),
    "segments.py": ("test_segments.py", "test_sum_files.py", "test_checksums.py", "test_recall.py", "test_rebuild.py"),
    "store.py": ("test_store.py", "test_feed_tables.py", "test_recall.py", "test_rebuild.py", "test_persons.py"),
    "judging.py": ("test_judged_again.py", "test_snapshot.py"),
    "judging.sql": ("test_judged_again.py", "test_snapshot.py"),
    "batch.sql": ("test_store.py", "test_fold.py", "test_recall.py", "test_feed_tables.py"),
    "store.sql": ("test_store.py", "test_feed_tables.py", "test_rebuild.py"),
    "recall.sql": ("test_recall.py", "test_stretches.py", "test_judged_again.py"),
    "archive.sql": ("test_recall.py", "test_snapshot.py"),
    "judge.sql": ("test_fold.py", "test_judged_again.py", "test_snapshot.py"),
    "judged.sql": ("test_fold.py",),
    "settle.sql": ("test_recall.py",),
    "reopened.sql": ("test_recall.py",),
    "conservation.sql": ("test_feed_tables.py", "test_alarms.py"),
    "checksums.py": ("test_checksums.py",),
    "checksums.sql": ("test_checksums.py",),
    "keeping.py": ("test_persons.py", "test_erasing.py"),
    "erasing.py": ("test_erasing.py",),
    "erasing.sql": ("test_erasing.py",),
    "persons.py": ("test_persons.py",),
}
#: The floor that runs first when the file has a mutant; `crowded` for the others.
FIRST = {"stretches.py": "busy-days", "stretches.sql": "busy-days"}
#: Left out are tests that start other processes, which would run without the fault, and slow ones that killed none of
#: the first 355 mutants that other tests did not kill.
APART = (
    *("killed", "command", "disk", "kafka", "end_at_any_step", "complete_rebuild_of_an_older_state"),
    *("floor_with_corrections", "order_free", "a_floor_is_what", "big_floor"),
)
REJECTED = (
    *(duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.TypeMismatchException),
    *(SyntaxError, NameError, TypeError),
)
END = object()
Verdict = tuple[str, str, float]
SURVIVED, BY_FLOORS, BY_TESTS, BY_ITSELF, BROKEN = 0, 11, 12, 13, 14
VERDICTS = {SURVIVED: "survived", BY_FLOORS: "killed", BY_TESTS: "killed", BY_ITSELF: "rejected", BROKEN: "broken"}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def mutants_of(file: str) -> list[Mutant]:
    """Return every mutant of a file of ingest/ by line; two faults that make the same text are one mutant."""
    text = PATHS[file].read_text()
    found = python.faults(text) if file.endswith(".py") else sql.faults(sql.tokens(text, [(0, len(text))]))
    mutants = {mutants.text(text): mutants for mutants in (mutant(file, text, what, edits) for what, edits in found)}
    mutants.pop(text, None)
    if file.endswith(".py"):
        mutants = {changed: each for changed, each in mutants.items() if _compiles(changed)}
    return sorted(mutants.values(), key=lambda m: (m.line, m.edits[0]))


def _compiles(text: str) -> bool:
    """Return whether it is still Python: leaving out an operand in its own brackets may break the syntax."""
    try:
        compile(text, "a mutant", "exec")
    except SyntaxError:
        return False
    return True


def warm_up() -> None:
    """Import what the checks import, then unload every module that a fault may be in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in (
            "tests.conftest",
            "tests.support.stories.floors",
            *(f"tests.{t[:-3].replace('/', '.')}" for t in TESTS),
        ):
            importlib.import_module(name)
    for name in list(sys.modules):
        if name.split(".")[0] == "ingest" or (name.startswith("tests.") and not name.startswith("tests.mutation")):
            del sys.modules[name]


def put_in(changed: Mutant) -> None:
    """Make later imports see the code with the fault."""
    path = PATHS[changed.file]
    text = changed.text(path.read_text())
    if changed.file.endswith(".sql"):
        read_text = Path.read_text

        def read(self: Path, *args: str | None, **named: str | None) -> str:
            return text if self == path else read_text(self, *args, **named)

        Path.read_text = read  # type: ignore[method-assign,assignment]
        return
    room = f"ingest.{path.parent.name}"
    name = f"{room}.{path.stem}"
    package = importlib.import_module(room)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    setattr(package, path.stem, module)


def measure(home: Path) -> int:
    """Run all checks without a fault in a child; record what lines each runs and how long it takes."""
    reach = Reach([PATHS[file] for file in FILES if file.endswith(".py")])
    floors = importlib.import_module("tests.mutation.checks").FLOORS
    for name, floor in floors.items():
        with reach.measured(name):
            floor()
    ended = _run_tests(home, [str(ROOT / "tests" / test) for test in TESTS], [reach])
    reach.save(MEASURED)
    return SURVIVED if ended == pytest.ExitCode.OK else BROKEN


def _run_tests(home: Path, chosen: list[str], plugins: list[object]) -> int:
    options = ["-x", "-q", "--tb=line", "-n0", "-p", "no:cacheprovider", f"--basetemp={home / 'tests'}"]
    options += ["-k", "not " + " and not ".join(APART), f"--rootdir={ROOT}"]
    # the modules that all checks need are imported already
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return pytest.main([*options, *chosen], plugins)


def check(changed: Mutant, home: Path, chosen: list[str]) -> int:
    """Run the chosen checks in order, in a child, until one fails."""
    try:
        put_in(changed)
    except REJECTED:
        return BY_ITSELF
    floors = importlib.import_module("tests.mutation.checks").FLOORS
    for are_floors, names in itertools.groupby(chosen, floors.__contains__):
        if are_floors:
            try:
                for name in names:
                    floors[name]()
            except BaseException as error:
                _say(f"FAULT {name} {type(error).__name__}: {error}")
                return BY_ITSELF if isinstance(error, REJECTED) or isinstance(error.__cause__, REJECTED) else BY_FLOORS
        elif (ended := _run_tests(home, list(names), [])) != pytest.ExitCode.OK:
            return BY_TESTS if ended == pytest.ExitCode.TESTS_FAILED else BROKEN
    return SURVIVED


class Choice:
    """Chooses which checks to run for a mutant, and their order: those with the most kills per second come first."""

    def __init__(self, reach: Reach, quick: bool, most_s: float) -> None:
        self._reach, self._quick, self._most_s = reach, quick, most_s
        self._killed: collections.Counter[tuple[str, str]] = collections.Counter()

    def note(self, file: str, message: str) -> None:
        """Record which check killed a mutant of `file`."""
        if words := message.split():
            self._killed[file, " ".join(words[1:]).split(" - ")[0] if words[0] == "FAILED" else words[1]] += 1

    def of(self, changed: Mutant) -> list[str]:
        checks = list(self._reach.seconds)
        if changed.file.endswith(".py"):
            checks = self._reach.of(changed.file, PATHS[changed.file].read_text(), changed.line)
        checks = [name for name in checks if "::" not in name or not self._quick]
        about = ABOUT.get(changed.file, ())

        def is_worth(name: str) -> float:
            killed = self._killed[changed.file, name] + (1 if name.split("::")[0].endswith(about) else 0.2)
            return killed / (self._reach.seconds[name] + 0.1)

        checks.sort(key=is_worth, reverse=True)
        first = FIRST.get(changed.file, "crowded")
        checks.sort(key=lambda name: name != first)
        chosen, spent = [], 0.0
        for name in checks:
            if spent + self._reach.seconds[name] <= self._most_s:
                chosen.append(name)
                spent += self._reach.seconds[name]
        return chosen


class Trial:
    """A child that runs the checks on a mutant, or on the code without a fault."""

    def __init__(self, changed: Mutant | None, limit_s: int, chosen: list[str]) -> None:
        self.changed = changed
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._home = Path(tempfile.mkdtemp(prefix="mutant-", dir=place))
        self._said = self._home / "said"
        self._until = (
            time.monotonic() + 15 * limit_s
        )  # for a mutant that waits for something: CPU time has its own limit
        self._child = os.fork()
        if not self._child:
            code = BROKEN
            try:
                os.setsid()
                resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
                handle = os.open(self._said, os.O_CREAT | os.O_WRONLY)
                os.dup2(handle, 1)
                os.dup2(handle, 2)
                tempfile.tempdir = str(self._home)
                os.environ |= {"CI": "1", "TMPDIR": tempfile.tempdir, "PYTEST_DEBUG_TEMPROOT": tempfile.tempdir}
                code = measure(self._home) if changed is None else check(changed, self._home, chosen)
                sys.stdout.flush()
            finally:
                os._exit(code)

    def verdict(self) -> tuple[str, str, float] | None:
        """Return how it ended, the checks' last message and the CPU time [s]; None while they run."""
        if time.monotonic() > self._until:
            os.killpg(self._child, signal.SIGKILL)
        done, status, used = os.wait4(self._child, os.WNOHANG)
        if not done:
            return None
        lines = [line for line in self._said.read_text(errors="replace").splitlines() if line.strip()]
        message = next((line for line in reversed(lines) if line.startswith(("FAILED", "FAULT"))), "")
        shutil.rmtree(self._home, ignore_errors=True)
        if os.WIFSIGNALED(status):
            return "killed", f"ended by signal {os.WTERMSIG(status)}", used.ru_utime + used.ru_stime
        return VERDICTS[os.WEXITSTATUS(status)], message[:300], used.ru_utime + used.ru_stime


def trials(
    mutants: Iterable[Mutant | None], jobs: int, limit_s: int, choice: Choice | None
) -> Iterator[tuple[Trial, Verdict]]:
    """Try mutants, `jobs` at once; yield each with its verdict."""
    waiting, running = iter(mutants), []
    while True:
        while len(running) < jobs and (following := next(waiting, END)) is not END:
            running.append(Trial(following, limit_s, choice.of(following) if choice and following else []))
        if not running:
            return
        for trial in list(running):
            if (verdict := trial.verdict()) is not None:
                running.remove(trial)
                yield trial, verdict
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help=f"files of ingest/, default all: {', '.join(FILES)}")
    parser.add_argument("--sample", type=int, help="number of mutants of each file, chosen at random by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="mutants by name")
    parser.add_argument("--again", action="store_true", help="try mutants again that an earlier run killed")
    parser.add_argument("--quick", action="store_true", help="run no tests, only the quick checks: more survive")
    parser.add_argument(
        "--measure", action="store_true", help="measure again what each check runs and how long it takes"
    )
    parser.add_argument(
        "--most", type=float, default=1e9, metavar="S", help="run at most S seconds of checks for each mutant"
    )
    parser.add_argument("--jobs", type=int, default=1, help="number of mutants at once")
    parser.add_argument("--list", action="store_true", help="list the mutants and try none")
    given = parser.parse_args()
    mutants = [m for file in given.files or FILES for m in _chosen(file, given)]
    reasons = tomllib.loads(EQUIVALENT.read_text())
    if given.list:
        for each in mutants:
            _say(f"{each.name} {each.file}:{each.line} {each.what}")
        return 0
    RESULTS.parent.mkdir(exist_ok=True)
    verdicts = {} if given.again else {row["name"]: row["ended"] for row in _rows()}
    warm_up()
    if given.measure or not MEASURED.exists():
        ((_, (ended, message, _)),) = trials([None], 1, 3600, None)
        if ended != "survived":
            _say(f"The checks fail without a fault: {message}")
            return 2
    reach = Reach([])
    reach.load(MEASURED)
    all_s = sum(reach.seconds.values())
    _say(f"All {len(reach.seconds)} checks take {all_s:.0f} s of processor time; {len(mutants)} mutants.")
    choice = Choice(reach, given.quick, given.most)
    for row in _rows():
        choice.note(row["file"], row["message"])
    begun = time.monotonic()
    left = [m for m in mutants if m.name not in reasons and verdicts.get(m.name) not in ("killed", "rejected")]
    random.Random(given.seed).shuffle(left)  # so that a run which is stopped early has judged a sample
    for trial, (ended, message, spent) in trials(left, given.jobs, 30 + int(4 * min(all_s, given.most)), choice):
        each = trial.changed
        verdicts[each.name] = ended
        choice.note(each.file, message)
        with RESULTS.open("a") as results:
            row = {"name": each.name, "file": each.file, "line": each.line, "what": each.what}
            results.write(json.dumps(row | {"ended": ended, "message": message, "cpu_s": round(spent, 1)}) + "\n")
        if ended in ("survived", "broken"):
            _say(f"{each.name} {each.file}:{each.line} {ended}: {each.what}")
    _say(f"{time.monotonic() - begun:.0f} s\n")
    if gone := set(reasons) - {m.name for file in FILES for m in mutants_of(file)}:
        _say(f"In {EQUIVALENT.name}, but not a mutant any more: {', '.join(sorted(gone))}\n")
    return _report(mutants, verdicts, reasons)


def _chosen(file: str, given: argparse.Namespace) -> list[Mutant]:
    mutants = mutants_of(file)
    if given.only:
        return [m for m in mutants if m.name in given.only]
    if given.sample and given.sample < len(mutants):
        return sorted(random.Random(given.seed).sample(mutants, given.sample), key=lambda m: m.line)
    return mutants


def _rows() -> list[dict[str, Any]]:
    """Return what earlier runs recorded of each mutant."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def _report(mutants: list[Mutant], verdicts: dict[str, str], reasons: dict[str, object]) -> int:
    """Print the score by file; return 1 if a mutant survived that equivalent.toml does not explain."""
    _say("| file | mutants | rejected | killed | equivalent | survived |")
    _say("| --- | --- | --- | --- | --- | --- |")
    survived = 0
    for file in FILES:
        own = [m for m in mutants if m.file == file]
        counts = collections.Counter("equivalent" if m.name in reasons else verdicts.get(m.name, "") for m in own)
        survived += counts["survived"]
        if own:
            figures = (len(own), *(counts[kind] for kind in ("rejected", "killed", "equivalent", "survived")))
            _say(f"| {file} | " + " | ".join(map(str, figures)) + " |")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
