"""Reads SQL from the files beside the code that runs it."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PART = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def read(name: str) -> str:
    """The text of a file."""
    return (HERE / name).read_text()


def read_parts(name: str) -> dict[str, str]:
    """The parts of a file, by the names in the lines `-- name: …` above them.

    A part does not end with a semicolon: it may be used within another query.
    """
    _, *parts = PART.split(read(name))
    return {part: text.rstrip().removesuffix(";") for part, text in zip(parts[::2], parts[1::2], strict=True)}
