"""The faults that mutation testing inserts: every kind is made, and every mutant is still valid SQL or Python."""

import pytest

from tests.mutation import python, sql
from tests.mutation.__main__ import FILES, PATHS, mutants_of
from tests.mutation.edits import mutant


def mutants(text: str) -> set[str]:
    faults = sql.faults(sql.tokens(text, [(0, len(text))]))
    return {" ".join(mutant("x.sql", text, what, edits).text(text).split()) for what, edits in faults}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "SELECT a FROM t WHERE b < c", {"SELECT a FROM t WHERE b <= c", "SELECT a FROM t"}, id="a boundary"
        ),
        pytest.param(
            "SELECT a FROM t WHERE b AND c IS NULL",
            {"SELECT a FROM t WHERE b", "SELECT a FROM t WHERE c IS NULL"},
            id="a conjunct",
        ),
        pytest.param(
            "SELECT a FROM t WHERE (b OR c) AND d",
            {
                "SELECT a FROM t WHERE ( c) AND d",
                "SELECT a FROM t WHERE (b ) AND d",
                "SELECT a FROM t WHERE d",
                "SELECT a FROM t WHERE (b OR c)",
            },
            id="in brackets",
        ),
        pytest.param("SELECT min(a) FROM t", {"SELECT max(a) FROM t"}, id="an aggregate"),
        pytest.param("FROM t ANTI JOIN u USING (a)", {"FROM t SEMI JOIN u USING (a)"}, id="a join"),
        pytest.param(
            "FROM t LEFT JOIN u ON t.a = u.a",
            {"FROM t JOIN u ON t.a = u.a", "FROM t LEFT JOIN u ON t.a != u.a"},
            id="an outer join",
        ),
        pytest.param(
            "SELECT CASE WHEN a THEN b ELSE c END",
            {"SELECT CASE WHEN NOT (a) THEN b ELSE c END", "SELECT CASE WHEN a THEN b END"},
            id="a branch of CASE",
        ),
        pytest.param(
            "FROM t UNION ALL FROM u",
            {"FROM t UNION FROM u", "FROM t", "FROM u"},
            id="a branch of UNION",
        ),
        pytest.param("SELECT coalesce(a, b)", {"SELECT coalesce( b)", "SELECT coalesce(a )"}, id="an argument"),
        pytest.param(
            "DELETE FROM t; FROM u;",
            {"FROM u;"},
            id="a statement",
        ),
        pytest.param("SELECT 'a < b' -- c < d", set(), id="strings and comments are left alone"),
        pytest.param(
            "SELECT x FROM t ORDER BY a, b",
            {f"SELECT x FROM t ORDER BY {keys}" for keys in ("a DESC, b", "a, b DESC", "b", "a")},
            id="an order",
        ),
    ],
)
def test_sql(text: str, expected: set[str]) -> None:
    assert mutants(text) == expected


def test_python() -> None:
    text = """
def f(self):
    self.a()
    self.b(f"DELETE FROM t WHERE c < {1}" " AND d")
    return 1 if x else 2
"""
    faults = {what for what, _ in python.faults(text)}
    assert {
        "without: self.a()",
        "after the next: self.a()",
        "< → <=",
        "without AND d",
        "if not: x",
        "1 plus 1",
    } <= faults


@pytest.mark.parametrize("file", FILES)
def test_every_mutant_is_another_text(file: str) -> None:
    original = PATHS[file].read_text()
    mutants = mutants_of(file)
    assert mutants and len({each.name for each in mutants}) == len(mutants)
    for each in mutants:
        assert each.text(original) != original
        if file.endswith(".py"):
            compile(each.text(original), file, "exec")


def test_a_mutant_keeps_its_name_when_it_moves() -> None:
    def names(text: str) -> set[str]:
        faults = sql.faults(sql.tokens(text, [(0, len(text))]))
        return {mutant("x.sql", text, what, edits).name for what, edits in faults}

    assert names("SELECT min(a)\nFROM t") == names("-- a comment\n\nSELECT min(a)\nFROM t") != set()
