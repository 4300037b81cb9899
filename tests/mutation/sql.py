"""Faults for SQL: a token is replaced, or a part that the rest can do without is left out.

A text is a list of tokens with their positions in a file: a .sql file, or the adjacent strings of a literal in Python.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.mutation.edits import Edit

TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|\\n)
    | (?P<hole>\{\w+(?:\(.*?\))?[^{}\s]*\}|\{[^{}"']*\[[^{}]*\]\})
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"[^"]*"|[A-Za-z_][A-Za-z_0-9]*)
    | (?P<number>\d+(?:\.\d+)?(?:e\d+)?)
    | (?P<sign><=|>=|!=|<>|\|\||::|:=|->>|//|.)
    """,
    re.VERBOSE | re.DOTALL,
)
EXCHANGED = {
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "!=", "!=": "=", "+": "-", "-": "+", "/": "*"},
    **{"MIN": "max", "MAX": "min", "ANTI": "SEMI", "SEMI": "ANTI"},
    **{"ARG_MIN": "arg_max", "ARG_MAX": "arg_min", "ARG_MIN_NULL": "arg_min", "ARG_MAX_NULL": "arg_max"},
    **{"LEAST": "greatest", "GREATEST": "least", "LEAD": "lag", "LAG": "lead", "LAST_VALUE": "first_value"},
    **{"TRUE": "false", "FALSE": "true", "MAX_BY": "min_by", "BOOL_OR": "bool_and"},
}
#: Not tried where the condition is left out too: whatever detects one detects the other.
NEGATED = {"=", "!=", "IS", "IN", "EXISTS", "NOT"}
OPTIONAL = {"LEFT", "DESC", "DISTINCT"}
OPEN, CLOSE = {"(", "[", "{"}, {")", "]", "}"}
CLAUSES = {
    *("SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "QUALIFY", "UNION", "WINDOW", "RETURNING", "LIMIT"),
    *("JOIN", "LEFT", "ANTI", "SEMI", "ON", "USING", "WHEN", "THEN", "ELSE", "END", "AS", "SET", "CASE", "BETWEEN"),
}
#: An argument of these functions can be left out without changing the meaning of the others.
OF_ANY_NUMBER = {"COALESCE", "LEAST", "GREATEST"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "name" else self.text


Fault = tuple[str, tuple[Edit, ...]]


def tokens(text: str, pieces: Sequence[tuple[int, int]]) -> list[Token]:
    """Read the SQL in `pieces`, each from its start to before its end in `text`."""
    found: list[Token] = []
    depth = 0
    for start, end in pieces:
        for match in TOKEN.finditer(text, start, end):
            kind = match.lastgroup or ""
            if kind == "space":
                continue
            if match[0] in CLOSE:
                depth -= 1
            found.append(Token(kind, match[0], match.start(), match.end(), depth))
            if match[0] in OPEN:
                depth += 1
    return found


def faults(of: list[Token]) -> Iterator[Fault]:
    """Yield each fault: its description and its edits."""
    for place, token in enumerate(of):
        if token.word in NEGATED and _is_left_out(of, place):
            continue
        for make in (_exchanged, _left_out, _nullness, _branches, _listed, _unions, _clauses):
            yield from make(of, place, token)
    yield from _statements(of)


def _without(gone: Sequence[Token]) -> tuple[Edit, ...]:
    return tuple(Edit(t.start, t.end, " ") for t in gone)


def _text_of(gone: Sequence[Token]) -> str:
    text = " ".join(t.text for t in gone)
    return text if len(text) <= 70 else f"{text[:45]} … {text[-20:]}"


def _word(of: list[Token], place: int) -> str:
    return of[place].word if 0 <= place < len(of) else ""


def _exchanged(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    if token.kind in ("text", "hole"):
        return
    before, after = _word(of, place - 1), _word(of, place + 1)
    if token.kind == "number":
        new = f"{float(token.text) + 1}" if "." in token.text else f"{token.text}0" if "e" in token.text else None
        yield f"{token.text} plus 1", (Edit(token.start, token.end, new or str(int(token.text) + 1)),)
        return
    is_call = after == "("
    word = token.word
    if word in ("MIN", "MAX", "LEAST", "GREATEST", "LEAD", "LAG", "LAST_VALUE") and not is_call:
        return
    if word in ("+", "-") and (before in ("", "(", ",", "THEN") or after == ">"):
        return
    if word in EXCHANGED and after != "REPLACE":
        yield f"{token.text} → {EXCHANGED[word]}", (Edit(token.start, token.end, EXCHANGED[word]),)
    if word == "JOIN" and before not in ("LEFT", "ANTI", "SEMI"):
        yield "JOIN → LEFT JOIN", (Edit(token.start, token.end, "LEFT JOIN"),)
        return
    if word == "UNION":
        if after == "ALL":
            yield "UNION ALL → UNION", _without([of[place + 1]])
        else:
            yield "UNION → UNION ALL", (Edit(token.end, token.end, " ALL"),)


def _left_out(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    before, after = _word(of, place - 1), _word(of, place + 1)
    if token.word in OPTIONAL and before not in ("IS", "NOT"):
        gone = [token]
        if token.word == "DISTINCT" and after == "ON":
            return
        yield f"without {token.text}", _without(gone)
    if token.word == "NOT" and after in ("IN", "EXISTS"):
        yield f"NOT {after} → {after}", _without([token])
    if token.word in ("IN", "EXISTS") and before not in ("NOT",):
        yield f"{token.text} → NOT {token.text}", (Edit(token.start, token.start, "NOT "),)
    if token.word == "IGNORE" and after == "NULLS":
        yield "without IGNORE NULLS", _without(of[place : place + 2])
    if token.word == "FILTER" and after == "(":
        gone = of[place : _closing(of, place + 1) + 1]
        yield f"without {_text_of(gone)}", _without(gone)


def _nullness(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    if token.word != "IS":
        return
    if _word(of, place + 1) == "NOT":
        yield f"IS NOT → IS {_word(of, place + 2)}", _without([of[place + 1]])
    else:
        yield f"IS {_word(of, place + 1)} → IS NOT", (Edit(token.end, token.end, " NOT"),)


def _branches(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    """Leave out a branch of a CASE, or take it when it should not be."""
    if token.word not in ("WHEN", "ELSE"):
        return
    depth, nested, until = token.depth, 0, place + 1
    then = None
    while until < len(of):
        if of[until].word == "CASE":
            nested += 1
        elif of[until].word == "END" and nested:
            nested -= 1
        elif not nested and of[until].depth == depth:
            if of[until].word == "THEN":
                then = until
            if of[until].word in ("WHEN", "ELSE", "END"):
                break
        until += 1
    if token.word == "WHEN" and then is not None and _word(of, place + 1) not in ("MATCHED", "NOT"):
        only = of[until].word != "WHEN" and not _earlier_when(of, place)
        if not only:
            yield f"without {_text_of(of[place:until])}", _without(of[place:until])
        condition = of[place + 1 : then]
        edits = (Edit(condition[0].start, condition[0].start, "NOT ("), Edit(condition[-1].end, condition[-1].end, ")"))
        if condition[0].kind != "text":
            yield f"WHEN NOT ({_text_of(condition)})", edits
    if token.word == "ELSE":
        yield f"without {_text_of(of[place:until])}", _without(of[place:until])


def _earlier_when(of: list[Token], place: int) -> bool:
    nested, depth = 0, of[place].depth
    for token in reversed(of[:place]):
        if token.word == "END":
            nested += 1
        elif token.word == "CASE":
            if not nested:
                return False
            nested -= 1
        elif token.word == "WHEN" and not nested and token.depth == depth:
            return True
    return False


def _closing(of: list[Token], place: int) -> int:
    depth = of[place].depth
    return next(n for n in range(place + 1, len(of)) if of[n].depth == depth and of[n].text in CLOSE)


def _split(of: list[Token], begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts between the commas of a list from `begin` to before `end`."""
    depth = of[begin].depth
    commas = [n for n in range(begin, end) if of[n].text == "," and of[n].depth == depth]
    edges = [begin - 1, *commas, end]
    return [(first + 1, last) for first, last in itertools.pairwise(edges)]


def _listed(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    """Leave out one of several arguments, items or keys; reverse an order."""
    if token.word == "BY" and _word(of, place - 1) in ("ORDER", "PARTITION", "GROUP"):
        begin, end = place + 1, _end_of_keys(of, place + 1)
        if begin == end:
            return
        parts = _split(of, begin, end)
        if _word(of, place - 1) == "ORDER":
            for first, last in parts:
                if of[last - 1].word != "DESC" and _word(of, first) != "ALL":
                    edit = Edit(of[last - 1].end, of[last - 1].end, " DESC")
                    yield f"ORDER BY {_text_of(of[first:last])} DESC", (edit,)
        if len(parts) == 1 and _word(of, place - 1) == "PARTITION":
            yield f"without {_text_of(of[place - 1 : end])}", _without(of[place - 1 : end])
    elif token.text == "(" and (
        _word(of, place - 1) in OF_ANY_NUMBER | {"IN", "USING"}
        or of[place - 1].kind != "name"
        or _word(of, place - 1) in CLAUSES | {"BY", "FROM"}
    ):
        begin, end = place + 1, _closing(of, place)
        if begin == end or _word(of, begin) in ("SELECT", "FROM", "WITH"):
            return
        parts = _split(of, begin, end)
    else:
        return
    if len(parts) < 2:
        return
    for number, (first, last) in enumerate(parts):
        gone = of[first : last + 1] if number < len(parts) - 1 else of[first - 1 : last]
        yield f"{_word(of, place - 1)} {_word(of, place)} without {_text_of(of[first:last])}", _without(gone)


def _end_of_keys(of: list[Token], begin: int) -> int:
    """Return where the list of keys of an ORDER BY, PARTITION BY or GROUP BY ends."""
    for place in range(begin, len(of)):
        if of[place].depth < of[begin].depth or of[place].text == ";":
            return place
        if of[place].depth == of[begin].depth and of[place].word in (CLAUSES - {"CASE", "WHEN", "THEN", "ELSE", "END"}):
            return place
    return len(of)


def _unions(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    """Leave out a branch of a UNION."""
    if token.word != "UNION":
        return
    begin = place + 1
    while _word(of, begin) in ("ALL", "BY", "NAME"):
        begin += 1
    end = next(
        (
            n
            for n in range(begin, len(of))
            if of[n].depth < token.depth or (of[n].depth == token.depth and of[n].word in ("UNION", ";"))
        ),
        len(of),
    )
    yield f"without {_text_of(of[place:end])}", _without(of[place:end])
    first = place
    while first and not (of[first - 1].depth < token.depth or of[first - 1].word in (";", "UNION")):
        first -= 1
    if of[first - 1].word == "UNION":
        return  # left out as the branch to the right of the one before
    while first < place and not (of[first].depth == token.depth and of[first].word in ("SELECT", "FROM")):
        first += 1
    if first < place:
        yield f"without {_text_of(of[first:begin])}", _without(of[first:begin])


def _clauses(of: list[Token], place: int, token: Token) -> Iterator[Fault]:
    """Leave out a conjunct, or a whole condition."""
    if token.word in ("WHERE", "HAVING", "QUALIFY"):
        end = _end_of_condition(of, place + 1, token.depth)
        if _word(of, end) not in ("AND", "OR") and not any(
            t.depth == token.depth and t.word in ("AND", "OR") for t in of[place:end]
        ):
            yield f"without {_text_of(of[place:end])}", _without(of[place:end])
    if token.word in ("AND", "OR") and _word(of, place + 1) != "REPLACE":
        end = _end_of_condition(of, place + 1, token.depth, {"AND", "OR"})
        yield f"without {_text_of(of[place:end])}", _without(of[place:end])
        first = place
        while first and not (
            of[first - 1].depth < token.depth
            or (of[first - 1].depth == token.depth and _ends_condition(of, first - 1, {"AND", "OR"}))
        ):
            first -= 1
        if of[first - 1].word not in ("AND", "OR"):  # otherwise left out as the part after that one
            yield f"without {_text_of(of[first : place + 1])}", _without(of[first : place + 1])


def _ends_condition(of: list[Token], place: int, also: set[str]) -> bool:
    word = of[place].word
    return word in also | (CLAUSES - {"CASE", "END"}) | {";", ",", ":"} and not (
        word == "FROM" and _word(of, place - 1) == "DISTINCT"
    )


def _end_of_condition(of: list[Token], begin: int, depth: int, also: set[str] = frozenset()) -> int:  # type: ignore[assignment]
    nested = 0
    for place in range(begin, len(of)):
        token = of[place]
        if token.depth < depth:
            return place
        if token.depth == depth:
            if token.word == "CASE":
                nested += 1
            elif token.word == "END" and nested:
                nested -= 1
            elif not nested and (token.word == "END" or _ends_condition(of, place, also)):
                return place
    return len(of)


def _is_left_out(of: list[Token], place: int) -> bool:
    """Return whether this token's condition can be left out, alone or with its clause."""
    depth, first = of[place].depth, place
    while first and of[first - 1].depth >= depth and not _ends_condition(of, first - 1, {"AND", "OR"}):
        first -= 1
    end = _end_of_condition(of, place, depth, {"AND", "OR"})
    ends = {_word(of, first - 1), _word(of, end)}
    return bool(ends & {"AND", "OR", "WHERE", "HAVING", "QUALIFY", "WHEN"})


def _statements(of: list[Token]) -> Iterator[Fault]:
    """Leave out a DELETE or an INSERT among several statements."""
    begin = 0
    ends = [n for n, t in enumerate(of) if t.text == ";" and t.depth == 0]
    for end in ends:
        if of[begin].word in ("DELETE", "INSERT"):
            yield f"without {_text_of(of[begin:end])}", _without(of[begin : end + 1])
        begin = end + 1
