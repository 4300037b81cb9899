"""Every document, section and file named in code, SQL and documents exists."""

import io
import re
import tokenize
from collections.abc import Iterator, Set
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from ingest.events import contract
from metrics.composition.figures import KPIS
from metrics.kpis.kpi import Kpi
from tests.support.processes import ROOT

FOLDERS = ("ingest", "metrics", "pages", "bench", "tests", "docs", "samples", "deploy", ".ci", ".streamlit")
READ = ("py", "sql", "md", "toml", "js", "css", "yaml", "service", "txt", "po")
NAMEABLE = (*READ, "cfg", "gz", "csv", "res", "png", "svg")
NOT_OURS = {
    "licences.md": "made by `make sbom`, in a folder that is not committed",
    "secrets.toml": "the identity provider's settings, written by the operator",
    ".streamlit/secrets.toml": "the same, in its place",
    "answer.csv": "a download of the data page",
    "vigie.csv": "the same, in its example for R",
    "vigie.sql": "a script of the analyst's own",
}

LINK = re.compile(r"\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\(([^)\s]+)\)")
LINK_OUT = re.compile(r"\[[^\[\]]*\]\(\w+://[^)\s]*\)|\w+://[^\s<>\"')]*")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
HEADING = re.compile(r"^#+ +(.+?) *$", re.M)
#: A path in one of FOLDERS, or the bare name of a file, but not a part of a longer path or of a placeholder.
FILE = re.compile(
    rf"(?<![\w./\\*{{}}~<>$…-])((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]+?|[\w-]+)"
    rf"\.({'|'.join(NAMEABLE)})(?![\w/(-]|\.\w)"
)
#: `docs/kpis.md, Service level` and `docs/kpis.md "Service level"`
SECTION = re.compile(r"([\w./-]+\.md)(?:,? \"([^\"]+)\"|, (?=([A-Z].{0,120})))")
#: A reference to a document that is not a file: a word in capitals and a section number.
NUMBERED = re.compile(r"\b([A-Z]{4,} (?:section \d+|\d+\.\d+))\b(?!\.\d)")
SQL_PROSE = re.compile(r"--.*|'[^']*'")
LINE_BREAK = re.compile(r"[ \t]*\n[ \t]*(?:#:?|--|//)?[ \t]*")


def prose_of(file: Path) -> str:
    """Return comments and strings of code. Of a test's strings only docstrings count: the others are made-up data."""
    text = file.read_text()
    if file.suffix == ".sql":
        return "\n".join(SQL_PROSE.findall(text))
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    kinds = [
        tokenize.COMMENT,
        tokenize.STRING,
        getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),
    ]  # since Python 3.12
    read = [token.string for token in tokens if token.type in kinds]
    if "tests" in file.parent.parts[-3:]:
        read = [string for string in read if string.startswith(("#", '"""'))]
    return "\n".join(read)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(document: Path) -> list[str]:
    text = FENCE.sub("", document.read_text())
    return [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(text)]


def file_names(root: Path) -> Set[str]:
    beneath = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    return {path.name for path in (*root.glob("*"), *beneath)}


def missing_names(text: str, file: Path, root: Path, names_there: Set[str]) -> Iterator[str]:
    """Yield names in `text` of `file` that do not exist in `root`. `names_there` are the names of all files there."""

    def find(name: str) -> Path | None:
        return next((path for path in (root / name, file.parent / name) if path.exists()), None)

    def is_there(name: str) -> bool:
        if "*" in name:
            return any(root.glob(name))
        return find(name) is not None or (name in names_there and not name.endswith(".md"))

    if file.suffix == ".md":
        for target in LINK.findall(FENCE.sub("", text)):
            path, _, section = target.partition("#")
            document = file.parent / path if path else file
            if "://" in path:
                continue
            if not document.exists() or (section and section not in map(anchor, headings(document))):
                yield target
    prose = LINE_BREAK.sub(" ", LINK_OUT.sub("", text))
    for stem, kind in FILE.findall(prose):
        if not is_there(f"{stem}.{kind}"):
            yield f"{stem}.{kind}"
    for name, quoted, following in SECTION.findall(prose):
        if document := find(name):
            titles = headings(document)
            begun = any(re.match(rf"{re.escape(title)}(?!\w)", following) for title in titles)
            if not (quoted in titles or begun):
                yield f"{name}, {quoted or re.split(r'[;:.,)]', following)[0]}"
    yield from NUMBERED.findall(prose)


def files(root: Path) -> Iterator[Path]:
    beneath = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    for path in sorted([*root.glob("*"), *beneath]):
        read = path.suffix[1:] in READ or path.name in ("Makefile", "Dockerfile", "run")
        if path.is_file() and read and path.name not in NOT_OURS:
            yield path


def test_everything_that_is_named_exists() -> None:
    names_there = file_names(ROOT) | NOT_OURS.keys()
    not_there = {}
    for file in files(ROOT):
        names = list(missing_names(file.read_text(), file, ROOT, names_there))
        if names and file.suffix in (".py", ".sql"):  # only then, since tokenizing is slow
            names = list(missing_names(prose_of(file), file, ROOT, names_there))
        if names:
            not_there[str(file.relative_to(ROOT))] = names
    assert not_there == {}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "README.md": "# One\n\n## The data's way\n",
        "docs/kpis.md": "# Figures\n\n## Service level\n\n### `Strain`, and rest\n\n```\n# no heading\n```\n",
        "ingest/store/fold.sql": "SELECT 1",
        "ingest/store/store.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        ("docs/a.md", "[level](kpis.md#service-level) ![x](../README.md) [way](../README.md#the-datas-way)", []),
        ("docs/a.md", "[level](kpis.md#service-levels)", ["kpis.md#service-levels"]),
        ("docs/a.md", "[no heading](kpis.md#no-heading)", ["kpis.md#no-heading"]),
        ("docs/a.md", "[rest](kpis.md#strain-and-rest), [here](#service-level)", ["#service-level"]),
        ("docs/a.md", "[old](../operate.md)", ["../operate.md"]),
        ("docs/a.md", "[code](https://example.org/none.py) and https://example.org/none.md", []),
        ("docs/kpis.md", "[here](#service-level)", []),
        ("docs/a.md", "`operate.md` and kpis.md", ["operate.md"]),
        ("ingest/a.py", "# as in KPIS.md, and docs/kpis.md", ["KPIS.md"]),
        ("ingest/a.py", "# see FIELD 2.3, FIELD section 4; RFC 3339, TLS 1.3", ["FIELD 2.3", "FIELD section 4"]),
        ("ingest/a.sql", "-- docs/kpis.md, Service\n-- level: and kpi_formulas", []),
        ("ingest/a.sql", "-- docs/kpis.md, Service\n-- levels", ["docs/kpis.md, Service levels"]),
        ("ingest/a.py", "'docs/kpis.md, Abandon rate; contracts differ'", ["docs/kpis.md, Abandon rate"]),
        ("ingest/a.py", '# docs/kpis.md "Service level", docs/kpis.md "Level"', ["docs/kpis.md, Level"]),
        ("docs/a.md", "docs/kpis.md, which says it, and kpis.md. And so on", []),
        ("docs/a.md", "`ingest/store/fold.sql`, `ingest/none.sql`", ["ingest/none.sql"]),
        ("docs/a.md", "`ingest/store/*.sql`, `ingest/*.js`", ["ingest/*.js"]),
        ("ingest/a.py", "# fold.sql has it, store.py too, gone.py does not", ["gone.py"]),
        ("ingest/a.py", "store.python, a.store.py.b, /etc/vigie/gone.toml, DIR/gone.txt", []),
    ],
)
def test_the_finder(tree: Path, where: str, text: str, expected: list[str]) -> None:
    file = tree / where
    if not file.exists():
        file.write_text("")
    assert list(missing_names(text, file, tree, file_names(tree))) == expected


def test_only_comments_and_docstrings_of_tests_are_read(tmp_path: Path) -> None:
    code = '"""First."""\n\nx = "second"  # third\n\n\ndef f():\n    """Fourth."""\n'
    for folder, expected in (
        ("tests", {"First", "third", "Fourth"}),
        ("pages", {"First", "second", "third", "Fourth"}),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text(code)
        read = prose_of(tmp_path / folder / "a.py")
        assert {word for word in ("First", "second", "third", "Fourth", "def", "x") if word in read} == expected


def listed(section: str) -> set[str]:
    """Return the names in the first column of the tables in a section of docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    (body,) = re.findall(rf"^##+ {section}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    return {name for cell in re.findall(r"^\| (`[^|]+`) \|", body, re.M) for name in re.findall(r"`(\w+)`", cell)}


def test_the_temp_relations_and_variables_of_ingest_are_listed() -> None:
    code = "".join(file.read_text() for kind in ("sql", "py") for file in sorted((ROOT / "ingest").rglob(f"*.{kind}")))
    created = re.findall(r"CREATE (?:OR REPLACE )?TEMP (?:TABLE|VIEW|MACRO) (\w+)", code)
    created += re.findall(r"\.register(?:ed)?\(\"(\w+)\"", code)
    assert listed("Temp relations") == set(created)
    assert listed("Session variables") == set(re.findall(r"getvariable\('(\w+)'\)", code))


@pytest.mark.parametrize("kpi", KPIS.values(), ids=KPIS)
def test_the_source_of_a_kpi_is_the_section_that_defines_it(kpi: Kpi) -> None:
    document, section = kpi.source.split(";")[0].split(", ", 1)
    (body,) = re.findall(rf"^##+ {re.escape(section)}\n(.*?)(?=^#|\Z)", (ROOT / document).read_text(), re.M | re.S)
    assert f"`{kpi.name}`" in body


def documented_events() -> dict[str, tuple[set[str], set[str]]]:
    """Return the required and the optional fields of each type of event, from the tables of docs/events.md."""
    text = (ROOT / "docs" / "events.md").read_text()
    fields = {}
    for types, required, optional in re.findall(r"^\| (`(?:call|agent)\.[^|]+) \| ([^|]*)\| ([^|]*)\|", text, re.M):
        for kind in re.findall(r"`([\w.]+)`", types):
            fields[kind] = set(re.findall(r"`(\w+)`", required)), set(re.findall(r"`(\w+)`", optional))
    return fields


def test_the_tables_of_events_match_the_contract() -> None:
    described = documented_events()
    assert described.keys() == set(contract.EVENT_TYPES)
    for of_type in contract.EVENT_CLASSES:
        kind = str(of_type.__struct_config__.tag)
        of_all = {"event_id", "ts", "source", "revision", "agent" if kind.startswith("agent.") else "call_id"}
        fields = [field for field in msgspec.structs.fields(of_type) if field.name not in of_all]
        required, optional = described[kind]
        assert required == {field.name for field in fields if field.required}, kind
        # a campaign is optional on every other type; the tables name it only where it matters
        assert optional | {"campaign"} == {field.name for field in fields if not field.required} | {"campaign"}, kind


def test_the_values_of_events_match_the_contract() -> None:
    text = (ROOT / "docs" / "events.md").read_text()
    for of_type in contract.EVENT_CLASSES:
        for field in msgspec.structs.fields(of_type):
            values = {
                value for kind in (field.type, *get_args(field.type)) for value in get_args(kind) if kind is not str
            }
            literals = {value for value in values if isinstance(value, str)}
            if literals:
                rows = re.findall(rf"^\| `{field.name}`[^|]*\| ([^|]+)\|", text, re.M)
                assert any(literals == set(re.findall(r"`(\w+)`", row.split(". Default")[0])) for row in rows), (
                    field.name
                )
