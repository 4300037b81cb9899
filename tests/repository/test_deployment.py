"""Commands, options and files named in compose.yaml, the Dockerfile, the units and the documentation exist."""

import argparse
import importlib
import ipaddress
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.__main__ import COMMANDS
from ingest.cli import Parser
from tests.support.processes import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
DEPLOYED = [ROOT / "compose.yaml", ROOT / "Dockerfile", *UNITS]
OURS = ("ingest", "metrics", "notify", "pages", "bench")
CODE = "".join(path.read_text() for folder in OURS for path in sorted((ROOT / folder).rglob("*.py")))


def parser_of(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser of `python -m ingest WORDS…`, or of the source that it names."""
    parser = Parser(prog=words[0])
    importlib.import_module(COMMANDS[words[0]][0]).arguments(parser)
    for word in words[1:]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                return action.choices[word]
    return parser


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after each `python -m ingest`, up to the end of the command in a shell, a unit or prose."""
    joined = text.replace("\\\n", " ").replace('", "', " ")
    for match in re.finditer(r"python -m ingest ([a-z][^\n`\"|]*)", joined):
        yield shlex.split(re.sub(r"[\[\];]|\.\.\.|…", " ", match[1]), comments=True)


def test_every_named_command_exists_with_its_options() -> None:
    wrong = []
    for path in [*DOCUMENTS, *DEPLOYED]:
        for words in commands(path.read_text()):
            if words[0] not in COMMANDS:
                wrong.append((path.name, words[0]))
                continue
            options = parser_of(words)._option_string_actions
            wrong += [(path.name, words[0], word) for word in words if word.startswith("--") and word not in options]
    assert wrong == []


def scripts() -> Iterator[tuple[str, str]]:
    """Yield every shell script with the name of the file that it is in."""
    for path in DOCUMENTS:
        yield from ((path.name, block) for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.M | re.S))
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    yield from (("Dockerfile", line) for line in re.findall(r"^RUN (.+)$", dockerfile, re.M))
    yield from ((unit.name, line) for unit in UNITS for line in re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.M))
    yield ".ci/run", (ROOT / ".ci" / "run").read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_parses_every_script() -> None:
    all_scripts = list(scripts())
    assert {name for name, _ in all_scripts} >= {"README.md", "operate.md", "Dockerfile", ".ci/run"}
    for name, script in all_scripts:
        read = subprocess.run(["bash", "-n"], input=script, capture_output=True, encoding="utf-8", check=False)
        assert (read.returncode, read.stderr) == (0, ""), name


def test_the_health_checks_are_python() -> None:
    checks = re.findall(r'"python", "-c", "([^"]+)"', (ROOT / "compose.yaml").read_text())
    assert len(checks) == 2
    for check in checks:
        compile(check, "compose.yaml", "exec")


def test_the_files_named_in_the_settings_of_a_plain_server_are_installed() -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    named = re.findall(r"^VIGIE_\w+=/etc/vigie/(\S+)$", text, re.M)
    assert named
    assert [name for name in named if not re.search(rf"^sudo install .* {name} /etc/vigie/", text, re.M)] == []


def variables() -> set[str]:
    """Return the environment variables that Vigie reads: one per option, and those named in code."""
    options = {
        action.dest
        for words in (["run"], ["send"], ["simulate"], ["doctor"], ["broker"], ["demo"], ["bank"])
        for action in parser_of(words)._actions
    } | {action.dest for kind in ("asterisk", "connect", "map") for action in parser_of(["source", kind])._actions}
    return {f"VIGIE_{name.upper()}" for name in options} | set(re.findall(r"VIGIE_[A-Z_]+[A-Z]", CODE))


@pytest.mark.parametrize("path", [*DOCUMENTS, *DEPLOYED], ids=lambda path: path.name)
def test_every_named_variable_is_read(path: Path) -> None:
    of_tests = {"VIGIE_REQUIRE_APACHE_KAFKA", "VIGIE_REQUIRE_CHROMIUM", "VIGIE_REQUIRE_PROMTOOL"}
    assert set(re.findall(r"VIGIE_[A-Z_]+[A-Z]", path.read_text())) - variables() - of_tests == set()


def test_every_metric_named_for_alarms_is_exposed() -> None:
    named = set(re.findall(r"vigie_[a-z_]+[a-z]", (ROOT / "docs" / "operate.md").read_text()))
    named = {name.replace("vigie_campaign_", "") for name in named}
    assert {name for name in named if f'"{name.removesuffix("_total")}"' not in CODE} == set()


def test_the_image_holds_every_package() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = [source for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for source in line.split()]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    ours = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - {"tests", "bench"}
    assert ours <= set(copied)
    left_out = (ROOT / ".dockerignore").read_text().splitlines()
    assert set(copied) & set(left_out) == set()
    assert (
        ".streamlit/secrets.toml" in left_out
    )  # the identity provider's secret is mounted, never copied into the image


def test_images_are_pinned_by_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (base,) = re.findall(r"^ARG BASE=(\S+)$", dockerfile, re.M)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) == {"${BASE}"}
    named = {base, *re.findall(r"^\s*image: (\S+)", (ROOT / "compose.yaml").read_text(), re.M)} - {"vigie"}  # our own
    pinned = {image for image in named if re.search(r":\d+\.\d+\S*@sha256:[0-9a-f]{64}$", image)}
    # the broker of a trial, for want of a digest that could be checked, as docs/trust.md says
    named_as_unpinned = set(re.findall(r"`(apache/kafka:\S+)` in `compose.yaml`", (ROOT / "docs/trust.md").read_text()))
    assert base in pinned
    assert named - pinned == named_as_unpinned


def test_containers_write_only_to_volumes_and_the_dashboard_not_to_the_data() -> None:
    services = re.split(r"^  (?=\w+:)", (ROOT / "compose.yaml").read_text(), flags=re.M)
    ours = {name: text for name, _, text in (service.partition(":") for service in services) if "build: ." in text}
    assert ours.keys() == {"ingest", "dashboard", "notify"}
    for text in ours.values():
        assert re.search(r"^    read_only: true$", text, re.M)
        assert re.search(r"^    cap_drop: \[ALL\]$", text, re.M)
    assert re.search(r"- data:/var/lib/vigie$", ours["ingest"], re.M)
    for reader in ("dashboard", "notify"):
        assert re.search(r"- data:/var/lib/vigie:ro\b", ours[reader])
        assert re.search(r"- desk:/var/lib/vigie-desk\b", ours[reader])


@pytest.mark.parametrize(
    ("unit", "writes"),
    [("dashboard", "vigie/access vigie/desk"), ("notify", "vigie/desk")],
    ids=["dashboard", "notify"],
)
def test_the_units_of_readers_write_to_their_own_folders_only(unit: str, writes: str) -> None:
    text = (ROOT / "deploy" / f"vigie-{unit}.service").read_text()
    assert re.findall(r"^(ProtectSystem|StateDirectory|ReadWritePaths)=(.+)$", text, re.M) == [
        ("StateDirectory", writes),
        ("ProtectSystem", "strict"),
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_without_privileges_and_with_the_pinned_zones(unit: Path) -> None:
    text = unit.read_text()
    assert re.search(r"^User=vigie$", text, re.M)
    assert re.search(r"^NoNewPrivileges=yes$", text, re.M)
    assert re.search(r"^Environment=.*\bPYTHONTZPATH= ", text, re.M)
    (documented,) = re.findall(r"^Documentation=file:/opt/vigie/(\S+)$", text, re.M)
    assert (ROOT / documented).exists()


def test_the_proxy_of_the_containers_is_their_gateway() -> None:
    """Docker's bridge shows a connection from the machine as one from the gateway, so that is believed."""
    compose = (ROOT / "compose.yaml").read_text()
    (believed,) = re.findall(r"FORWARDED_ALLOW_IPS: (\S+)", compose)
    (gateway,) = re.findall(r"gateway: (\S+)", compose)
    (subnet,) = re.findall(r"subnet: (\S+)", compose)
    assert believed == gateway and ipaddress.ip_address(gateway) in ipaddress.ip_network(subnet)
    assert '"127.0.0.1:8501:8501"' in compose  # nobody but this machine reaches the gateway's port


def test_every_test_named_as_a_proof_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "trust.md").read_text())
    assert len(named) > 10
    assert [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []
