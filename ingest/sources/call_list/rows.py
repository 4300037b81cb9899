"""The rows of a call list, as CSV with a header or as JSON objects."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from typing import Any

from ingest.errors import UsageError
from ingest.sources.call_list.calls import Row
from ingest.sources.call_list.mapping import Mapping
from ingest.sources.documents import Documents
from ingest.sources.events import Rejected

Found = tuple[Row | Rejected, str]  # a row, or a fault, with its text


def rows(chunks: Iterable[bytes], mapping: Mapping) -> Iterator[Found]:
    """Yield the rows of a list; raises UsageError when the list does not match the mapping."""
    return _of_json(chunks) if mapping.file.format == "json" else _of_csv(chunks, mapping)


def _of_json(chunks: Iterable[bytes]) -> Iterator[Found]:
    documents = Documents()
    for chunk in chunks:
        for document, text in documents.feed(chunk):
            yield document if isinstance(document, Rejected) else _path(document), text
    for document, text in documents.finish():
        yield document if isinstance(document, Rejected) else _path(document), text


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
    reader = csv.reader(lines, delimiter=mapping.file.delimiter, strict=True)
    header: list[str] | None = None
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            text = lines.since_last()
            yield Rejected(text, f"Not CSV: {error}."), text
            continue
        text = lines.since_last()
        if fields is None:
            return
        if not any(map(str.strip, fields)):
            continue
        if header is None:
            header = [name.strip() for name in fields]
            _check(header, mapping)
        elif len(fields) != len(header):
            yield Rejected(text, f"{len(fields)} fields, where the header names {len(header)}."), text
        else:
            yield dict(zip(header, fields, strict=True)).get, text


def _check(header: list[str], mapping: Mapping) -> None:
    missing = [name for name in mapping.all_names() if name not in header]
    if missing:
        raise UsageError(
            f"The list has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, header))}."
        )


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
    is_utf_8 = codecs.lookup(encoding).name == "utf-8"
    decoder = codecs.getincrementaldecoder("utf-8-sig" if is_utf_8 else encoding)()
    rest = ""
    try:
        for chunk in chunks:
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from (line + "\n" for line in lines)
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UsageError(f"The list is not {encoding} ({error.reason}); name its encoding under [file].") from error
    if rest:
        yield rest
