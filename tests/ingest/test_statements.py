"""Each SQL file of ingest/ says at its top what it reads, changes and makes."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingest import statements
from tests.mutation.sql import Token, tokens
from tests.support.processes import ROOT

FILES = sorted((ROOT / "ingest").rglob("*.sql"))
NAMES = ("Reads", "Changes", "Makes")
KINDS = ("relations", "macros", "variables")
MACRO = re.compile(r"CREATE OR REPLACE TEMP MACRO (\w+)")
MACROS = {name for file in FILES for name in MACRO.findall(file.read_text())}

Imports = Mapping[str, set[str]]


def imports(text: str) -> Imports:
    """Return what SQL reads, changes and makes: names of relations, `m()` for a macro, `$v` for a variable.

    Anything it reads or changes after making it counts as made only.
    """
    found: dict[str, set[str]] = {name: set() for name in NAMES}
    made: set[str] = set()
    of = tokens(text, [(0, len(text))])
    own = _common_tables(of)
    for place, token in enumerate(of):
        before = [each.word for each in of[max(0, place - 2) : place]]
        after = of[place + 1].text if place + 1 < len(of) else ""
        if token.text == ";":
            made = set(found["Makes"])
        elif token.word == "GETVARIABLE":
            found["Reads"].add("$" + of[place + 2].text.strip("'"))
        elif token.kind != "name" or not before:
            continue
        elif token.text in MACROS and after == "(" and before[-1] != "MACRO":
            found["Reads"].add(f"{token.text}()")
        elif before[-1] == "MACRO":
            found["Makes"].add(f"{token.text}()")
        elif before[-1] in ("TABLE", "VIEW", "EXISTS", "TYPE") and _statement(of, place) == "CREATE":
            if token.word != "IF" and (before[-1] != "EXISTS" or before[0] == "NOT") and _is_made(of, place):
                found["Makes"].add(token.text)
        elif before[-1] in ("INTO", "UPDATE") or before == ["DELETE", "FROM"] or before == ["ALTER", "TABLE"]:
            if token.word != "SET" and token.text not in made:  # WHEN MATCHED THEN UPDATE SET
                found["Changes"].add(_qualified(of, place))
        elif (
            (before[-1] in ("FROM", "JOIN") and before[0] != "DISTINCT")
            or (before[-1] == "USING" and _statement(of, place) == "DELETE")
        ) and token.text not in own | made:
            found["Reads"].add(token.text)
    return found


def _common_tables(of: list[Token]) -> set[str]:
    """Return the names that WITH gives to queries."""
    words = [token.word for token in of]
    return {
        token.text
        for place, token in enumerate(of)
        if token.kind == "name"
        and words[place + 1 : place + 2] == ["AS"]
        and words[place - 1] in ("WITH", ",")
        and ("(" in words[place + 2 : place + 3] or words[place + 2 : place + 4] == ["MATERIALIZED", "("])
    }


def _statement(of: list[Token], place: int) -> str:
    """Return the word that begins the statement."""
    while place and of[place - 1].text != ";":
        place -= 1
    return of[place].word


def _is_made(of: list[Token], place: int) -> bool:
    """Return whether it is the name after CREATE, rather than one of a query further on."""
    words = []
    while place and of[place - 1].text != ";":
        place -= 1
        words.append(of[place].word)
    return set(words) <= {"CREATE", "OR", "REPLACE", "TEMP", "TABLE", "VIEW", "TYPE", "IF", "NOT", "EXISTS"}


def _qualified(of: list[Token], place: int) -> str:
    """Return a name with its database before it; a placeholder for a relation's name counts as that name."""
    if of[place + 1].text != ".":
        return of[place].text
    return f"{of[place].text}.{of[place + 2].text.strip('{}')}"


def header(text: str) -> Imports:
    """Return what the comment at the top of a file says."""
    top = re.split(r"^(?!--)", text, maxsplit=1, flags=re.M)[0].replace("\n--     ", " ")
    found = {}
    for name in NAMES:
        line = re.search(rf"^-- {name}: (.+)\.$", top, re.M)
        found[name] = set(line[1].split(", ")) if line else set()
    return found


def written(found: Imports) -> str:
    """Return the lines of a header."""
    lines = []
    for name in NAMES:
        if found[name] or name != "Changes":
            names = sorted(found[name], key=lambda each: (each.startswith("$"), each.endswith("()"), each))
            line = f"-- {name}:"
            for each in [*(f"{one}," for one in names[:-1]), f"{names[-1]}."] if names else ["nothing."]:
                if len(line) + len(each) >= 120:
                    lines.append(line)
                    line = "--    "
                line += f" {each}"
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_the_header_of_a_file_says_what_it_reads_changes_and_makes(file: Path) -> None:
    assert header(file.read_text()) == {
        name: names or ({"nothing"} if name != "Changes" else set())
        for name, names in imports(file.read_text()).items()
    }, f"The header should be:\n{written(imports(file.read_text()))}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("SELECT a FROM t JOIN u USING (a);", ("t u", "", ""), id="a query"),
        pytest.param("CREATE TEMP TABLE t AS SELECT * FROM u; DELETE FROM t; FROM t;", ("u", "", "t"), id="its own"),
        pytest.param("CREATE OR REPLACE TEMP TABLE t AS FROM t LIMIT 0;", ("t", "", "t"), id="what was there before"),
        pytest.param("CREATE TABLE IF NOT EXISTS t (a INTEGER);", ("", "", "t"), id="a table, if it is not there"),
        pytest.param("WITH w AS (FROM t), x AS MATERIALIZED (FROM w) FROM x;", ("t", "", ""), id="common tables"),
        pytest.param("INSERT INTO t SELECT a FROM u WHERE a IS DISTINCT FROM b;", ("u", "t", ""), id="INSERT"),
        pytest.param("INSERT INTO snapshot.{t} BY NAME FROM u;", ("u", "snapshot.t", ""), id="another database"),
        pytest.param("DELETE FROM t x USING u y WHERE x.a = y.a;", ("u", "t", ""), id="DELETE"),
        pytest.param("DELETE FROM t WHERE a IN (FROM u);", ("u", "t", ""), id="a query within"),
        pytest.param("MERGE INTO t USING (FROM u) WHEN MATCHED THEN UPDATE SET a = 1;", ("u", "t", ""), id="MERGE"),
        pytest.param("UPDATE t SET a = 1 FROM u;", ("u", "t", ""), id="UPDATE"),
        pytest.param("ALTER TABLE t ADD COLUMN a INTEGER;", ("", "t", ""), id="ALTER"),
        pytest.param(
            "SELECT getvariable('v'), later(a, 1) FROM t;", ("$v later() t", "", ""), id="a variable, a macro"
        ),
        pytest.param("CREATE OR REPLACE TEMP MACRO m(a) AS a;", ("", "", "m()"), id="making a macro"),
        pytest.param("SELECT 1 FROM ({archived}); -- FROM u", ("", "", ""), id="no placeholder and no comment"),
    ],
)
def test_what_sql_reads_changes_and_makes(text: str, expected: tuple[str, str, str]) -> None:
    assert imports(text) == {name: set(names.split()) for name, names in zip(NAMES, expected, strict=True)}


def test_the_parts_of_a_file_are_queries() -> None:
    parts = statements.read_parts("store/recall.sql")
    assert parts["calls_of_incoming"] == "SELECT call_id FROM incoming_events UNION SELECT call_id FROM known_events"


def test_every_part_of_a_file_is_executed_and_every_part_that_is_executed_is_there() -> None:
    code = "".join(file.read_text() for file in sorted((ROOT / "ingest").rglob("*.py")))
    files = dict(re.findall(r'^([A-Z]+) = statements\.read_parts\("(.+)"\)$', code, re.M))
    assert set(files.values()) == {
        f"{file.parent.name}/{file.name}" for file in FILES if statements.PART.search(file.read_text())
    }
    for constant, name in files.items():
        assert set(re.findall(rf'{constant}\["(\w+)"\]', code)) == statements.read_parts(name).keys()
