"""`make generated` writes metrics/published/generated.sql: the SQL of every macro and view as it is published.

Nothing reads the file. It is for people: a change of a figure shows in its diff.
"""

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from metrics.published.objects import DAILY, macros

FILE = Path(__file__).with_name("generated.sql")

INTRODUCTION = """\
-- The macros and the view of the published file. Written by `make generated` from metrics/kpis: change that, then write
-- it again.
"""

WIDTH = 120
STEP = 4  # spaces that the further lines of a broken line are indented by
TOKEN = re.compile(r"'(?:[^']|'')*'|[(){}\[\],]|\w+|[^\w\s'(){}\[\],]+|\s+")
BEFORE = (  # words before which a line is broken, the first that it has; lists are broken after commas
    {"FROM", "JOIN", "LEFT", "CROSS", "WHERE", "GROUP", "ORDER", "UNION"},
    {"THEN", "ELSE"},
    {","},
    {"OR"},
    {"AND"},
    {"BETWEEN … AND"},
    {"FILTER", "OVER"},
    {"/", "+", "-", "=", "||"},
    {"AS"},
)


def text() -> str:
    """Return all statements as one script."""
    script = INTRODUCTION + "".join(f"\n{statement};\n" for statement in (*macros().values(), DAILY))
    return "".join(f"{line}\n" for long in script.splitlines() for line in broken(long))


def broken(line: str, step: int = STEP) -> list[str]:
    """Return `line` as lines of at most WIDTH characters, broken first where the fewest brackets are open.

    The parts of a list share lines, other parts have one each. A string that is longer still is continued in the next
    line, as SQL allows. Further lines are indented by `step` spaces more.
    """
    if len(line) <= WIDTH or line.lstrip().startswith("--"):
        return [line]
    margin = line[: len(line) - len(line.lstrip())]
    tokens = TOKEN.findall(line.strip())
    places = {}  # index of the token before which the line may be broken: brackets open there, and what makes it so
    for i, depth, word in _places(tokens):
        rank = next((rank for rank, words in enumerate(BEFORE) if word in words), None)
        if rank is not None and i < len(tokens):
            places[i] = (depth, rank)
    if not places:
        return _broken_string(line, margin)
    best = min(places.values())
    cuts = [0, *(i for i, place in places.items() if place == best), len(tokens)]
    parts = ["".join(tokens[a:b]).strip() for a, b in itertools.pairwise(cuts)]
    further = margin + " " * step
    lines = [margin + parts[0]]
    for part in parts[1:]:
        if "," in BEFORE[best[1]] and len(f"{lines[-1]} {part}") <= WIDTH:
            lines[-1] += f" {part}"
        else:
            lines.append(further + part)
    if len(lines) == 1:
        return lines
    first, *rest = lines
    return [*broken(first, step + STEP), *(short for long in rest for short in broken(long))]


def _places(tokens: list[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the index of a token, the brackets open there and the word that a line may be broken for."""
    depth = 0
    ranges = set()  # depths at which the next AND is that of a BETWEEN
    for i, token in enumerate(tokens):
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif token == ",":
            yield i + 1, depth, token
        elif token == "BETWEEN":
            ranges.add(depth)
        elif token == "AND" and depth in ranges:
            ranges.remove(depth)
            yield i, depth, "BETWEEN … AND"
        elif i and not (token == "JOIN" and tokens[i - 2] in ("LEFT", "CROSS")):
            yield i, depth, token


def _broken_string(line: str, margin: str) -> list[str]:
    """Break a string at its last space that fits; the rest of it is a string of its own."""
    end = line.rfind(" ", len(margin) + 1, WIDTH - 1) + 1
    if "'" not in line or end <= len(margin) + 1:
        return [line]
    return [f"{line[:end]}'", *broken(f"{margin}'{line[end:]}")]


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {FILE}\n")
