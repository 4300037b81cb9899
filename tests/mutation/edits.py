"""A mutant: one small fault, put into the text of a file."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple


class Edit(NamedTuple):
    """Replace the text from `start` to before `end` with `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Mutant:
    """A fault in `file`: its description, and the edits that make it, which do not overlap."""

    file: str
    line: int
    what: str
    edits: tuple[Edit, ...]
    name: str

    def text(self, original: str) -> str:
        for start, end, new in sorted(self.edits, reverse=True):
            original = original[:start] + new + original[end:]
        return original


def mutant(file: str, original: str, what: str, edits: tuple[Edit, ...]) -> Mutant:
    """Make a mutant; its name stays the same while its lines do, wherever they move in the file."""
    first, last = min(e.start for e in edits), max(e.end for e in edits)
    begin = original.rfind("\n", 0, first) + 1
    end = original.find("\n", last)
    lines = original[begin : end if end >= 0 else len(original)]
    places = [(e.start - begin, e.end - begin, e.new) for e in edits]
    before = original.count(lines, 0, begin)  # which of equal lines
    digest = hashlib.sha256(repr((file, lines, places, before)).encode()).hexdigest()[:10]
    return Mutant(file, original.count("\n", 0, first) + 1, what, edits, digest)
