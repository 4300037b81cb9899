"""The rows of a call list: CSV with a header, a table that a database printed, or JSON objects."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from ingest.errors import UsageError
from ingest.sources.call_list.calls import Row
from ingest.sources.call_list.enveloped import objects
from ingest.sources.call_list.mapping import Mapping
from ingest.sources.call_list.sample import two_lines
from ingest.sources.events import Rejected
from ingest.sources.input.text import Decoder

Found = tuple[Row | Rejected, str]  # a row, or a fault, with its text

TITLE_LINES = 50  # lines above the header, at most
RULE = re.compile(r"[-+=|\s]*-[-+=|\s]*")  # between the header and the rows of a printed table
FOOTER = re.compile(r"\(\d+ \w+\)")  # (3 rows)
BLANKS = re.compile(r"\s+")


class NoHeader(UsageError):
    """None of the first lines has a column that the mapping names."""


def rows(chunks: Iterable[bytes], mapping: Mapping) -> Iterator[Found]:
    """Yield the rows of a list; raises UsageError when the list does not match the mapping."""
    return _of_json(chunks, mapping) if mapping.file.format == "json" else _of_csv(chunks, mapping)


def _of_json(chunks: Iterable[bytes], mapping: Mapping) -> Iterator[Found]:
    needed = [name for field in ("call_id", "queued_at") for name in mapping.names(field)]

    def columns_of(document: dict[str, Any]) -> int:
        value = _path(document)
        return sum(value(name) is not None for name in needed)

    for found, text in objects(chunks, mapping.file.encoding, columns_of):
        yield found if isinstance(found, Rejected) else _path(found), text


def _path(document: dict[str, Any]) -> Row:
    def value(path: str) -> Any:
        node: Any = document
        if path in document:
            return document[path]
        for name in path.split("."):
            node = node.get(name) if isinstance(node, dict) else None
        return node

    return value


def _of_csv(chunks: Iterable[bytes], mapping: Mapping) -> Iterator[Found]:
    lines = _Lines(chunks, mapping.file.encoding)
    records = _records(lines, mapping.file.delimiter)
    header, above = _header(records, mapping)
    for text in above:
        yield Rejected(text, "A line above the header that looks like a row."), text
    positions = {_name(name): place for place, name in enumerate(header)}
    for fields, text in records:
        if isinstance(fields, Rejected):
            yield fields, text
        elif (fitted := _fitted(fields, len(header))) is None:
            yield Rejected(text, f"{len(fields)} fields, where the header names {len(header)}."), text
        elif fitted != header:  # a list made of several repeats its header
            yield _row(fitted, positions), text


def _row(fields: list[str], positions: dict[str, int]) -> Row:
    return lambda name: fields[positions[_name(name)]]


def _records(lines: "_Lines", delimiter: str) -> Iterator[tuple[list[str] | Rejected, str]]:
    """Yield the fields of each record that has any, with its text."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    is_table = delimiter == "|"
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            text = lines.since_last()
            fault = re.sub(r" '.*", "", str(error))  # it may quote the list
            yield Rejected(text, f"Not CSV: {fault}."), text
            continue
        text = lines.since_last()
        if fields is None:
            return
        if is_table and (RULE.fullmatch(text) or FOOTER.fullmatch(text.strip())):
            continue
        if is_table and text.startswith("|") and text.rstrip().endswith("|"):
            fields = fields[1:-1]
        if any(map(str.strip, fields)):
            yield fields, text


def _header(records: Iterator[tuple[list[str] | Rejected, str]], mapping: Mapping) -> tuple[list[str], list[str]]:
    """The first line that has all columns that the mapping names, and the lines above it that are no title."""
    needed = {_name(name): name for name in mapping.all_names()}
    best: list[str] = []
    above: list[tuple[int, str]] = []
    before: list[str] = []
    for number, (fields, text) in enumerate(records):
        if number == TITLE_LINES:
            break
        if isinstance(fields, Rejected):
            continue
        names = [_name(field) for field in fields]
        if not needed.keys() <= set(names) and (both := two_lines(before, fields)):
            names, fields = [_name(field) for field in both], both
            above = above[:-1] if needed.keys() <= set(names) else above
        before = fields
        if needed.keys() <= set(names):
            twice = next((name for name in needed if names.count(name) > 1), None)
            if twice is not None:
                raise UsageError(f"The list has the column {needed[twice]!r} twice; give each its own name.")
            return fields, [line for cells, line in above if cells * 2 > len(fields)]
        above.append((sum(map(bool, names)), text))
        if len(needed.keys() & set(names)) > len(needed.keys() & set(best)):
            best = names
    missing = ", ".join(repr(name) for key, name in needed.items() if key not in best)
    if best:
        raise UsageError(f"The list has no column {missing}; name those that it has under [columns].")
    raise NoHeader(f"The list has no column {missing}, and no other column of [columns].")


def _name(text: str) -> str:
    """A column's name, however it is typed."""
    return BLANKS.sub(" ", unicodedata.normalize("NFC", text.replace("\ufeff", ""))).strip().casefold()


def _fitted(fields: list[str], count: int) -> list[str] | None:
    """As many fields as the header has: a delimiter at the end of a line begins no column."""
    if len(fields) > count and not any(map(str.strip, fields[count:])):
        return fields[:count]
    return fields if len(fields) == count else None


class _Lines:
    """The lines of a text. `since_last` returns what was read since its last call."""

    def __init__(self, chunks: Iterable[bytes], encoding: str) -> None:
        self._lines = _decoded(chunks, encoding)
        self._read: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._read.append(line)
        return line

    def since_last(self) -> str:
        text, self._read = "".join(self._read).rstrip("\r\n"), []
        return text


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = Decoder(encoding)
    rest = ""
    try:
        for chunk in chunks:
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from (line + "\n" for line in lines)
        rest += decoder.decode(b"", final=True)
    except UnicodeError as error:
        reason = getattr(error, "reason", "it has no byte-order mark")
        raise UsageError(f"The list is not {encoding} ({reason}); name its encoding under [file].") from error
    if rest:
        yield rest
