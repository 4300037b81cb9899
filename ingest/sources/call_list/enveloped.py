"""JSON objects in a stream, and those in a list inside an object, as the interfaces of many systems answer.

Also arrays, where the names of the columns are written once.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ingest.errors import UsageError
from ingest.sources.input.documents import LONGEST, Documents, Found
from ingest.sources.input.text import Decoder

Document = dict[str, Any]

ARRAYS = re.compile(r"\[\s*\[")
NAMED = ("name", "title", "label", "header", "field", "key", "id")  # what an object may call the name of its column


def objects(chunks: Iterable[bytes], encoding: str, columns_of: Callable[[Document], int]) -> Iterator[Found]:
    """Yield the objects that are calls, or faults, with their text.

    `columns_of` says how many of the columns that a call needs an object has. An object with a list of objects inside
    that have more of them is an envelope: these are yielded. Raises UsageError if the text is not in `encoding`.
    """
    documents = Documents()
    for piece in _pieces(chunks, encoding, columns_of):
        for found in documents.feed(piece):
            yield from _opened(found, columns_of)
    for found in documents.finish():
        yield from _opened(found, columns_of)


def calls_in(
    document: Document, columns_of: Callable[[Document], int], own: int | None = None
) -> list[Document] | None:
    """The calls in an envelope, of all its lists of calls; None if it has not more columns inside than its `own`."""

    def most(objects: list[Document]) -> int:
        return max(map(columns_of, objects))

    best = max(map(most, _lists(document)), default=0)
    if best <= (columns_of(document) if own is None else own):
        return None
    return [call for calls in _lists(document, lambda objects: most(objects) == best) for call in calls]


def _opened(found: Found, columns_of: Callable[[Document], int]) -> Iterator[Found]:
    document, _ = found
    calls = calls_in(document, columns_of) if isinstance(document, dict) else None
    if calls is None:
        yield found
        return
    for call in calls:
        yield call, json.dumps(call, ensure_ascii=False)


def _lists(node: Any, is_wanted: Callable[[list[Document]], bool] | None = None) -> Iterator[list[Document]]:
    """Yield the lists of objects inside, the outer ones first; of the wanted ones none that is inside another."""
    if isinstance(node, list) and node and all(isinstance(each, dict) for each in node):
        is_chosen = is_wanted is not None and is_wanted(node)
        if is_chosen or is_wanted is None:
            yield node
        if is_chosen:
            return
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _lists(value, is_wanted)


def _name(column: Document) -> Any:
    """The name that an object has for its column."""
    return next((column[key] for key in NAMED if key in column), None)


def _pieces(chunks: Iterable[bytes], encoding: str, columns_of: Callable[[Document], int]) -> Iterator[bytes]:
    """Yield the text as UTF-8. Of an envelope that is longer than any object of a stream, only the objects inside."""
    decoder = Decoder(encoding)
    beginning = ""
    try:
        pieces = _decoded(chunks, decoder)
        for piece in pieces:
            beginning += piece
            if len(beginning) > LONGEST:
                break
        is_one = len(beginning) <= LONGEST or _is_envelope(beginning) or is_of_arrays(beginning)
        if is_one and ARRAYS.search(beginning):
            beginning += "".join(pieces)
            if rows := of_arrays(beginning):
                yield from (json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n" for row in rows)
                return
            if is_of_arrays(beginning):
                raise UsageError(
                    "The rows of this list are arrays without the names of their columns; put an array of names before"
                    " them, or make each row an object."
                )
        if len(beginning) > LONGEST and _is_envelope(beginning):
            whole = beginning + "".join(pieces)
            try:
                document = json.loads(whole)
            except ValueError:
                yield whole.encode(errors="replace")
                return
            calls = calls_in(document, columns_of) or []
            yield from (json.dumps(call, ensure_ascii=False).encode(errors="replace") + b"\n" for call in calls)
            return
        yield beginning.encode(errors="replace")
        for piece in pieces:
            yield piece.encode(errors="replace")
    except UnicodeError as error:
        reason = getattr(error, "reason", "it has no byte-order mark")
        raise UsageError(f"The list is not {encoding} ({reason}); name its encoding under [file].") from error


def is_of_arrays(text: str) -> bool:
    """Whether a text is an array of arrays."""
    return ARRAYS.match(text.lstrip("\ufeff \t\r\n\x00")) is not None


def of_arrays(text: str) -> list[Document]:
    """The rows of a document in which rows are arrays, as objects; none for anything else."""
    try:
        return _from_arrays(json.loads(text.lstrip("\ufeff")))
    except (ValueError, RecursionError):
        return []


def _from_arrays(node: Any) -> list[Document]:
    """The rows of all tables inside whose rows are arrays, as objects.

    The names of the columns are in a list beside the rows, as texts or in objects, or in the first row.
    """
    found: list[Document] = []
    if _is_table(node) and _names(node[0], len(node[0])):
        found += [dict(zip(node[0], row, strict=False)) for row in node[1:]]
    elif isinstance(node, dict):
        for rows in filter(_is_table, node.values()):
            beside = (_names(value, len(rows[0])) for value in node.values() if value is not rows)
            if names := next(filter(None, beside), None):
                found += [dict(zip(names, row, strict=False)) for row in rows]
            else:
                found += _from_arrays(rows)
        for value in node.values():
            found += [] if _is_table(value) else _from_arrays(value)
    elif isinstance(node, list):
        for value in node:
            found += _from_arrays(value)
    return found


def _is_table(node: Any) -> bool:
    return isinstance(node, list) and bool(node) and all(isinstance(row, list) and row for row in node)


def _names(node: Any, count: int) -> list[str] | None:
    """The names of `count` columns; None if the node is something else."""
    if not isinstance(node, list) or len(node) != count:
        return None
    names: list[str] = [_name(each) if isinstance(each, dict) else each for each in node]
    return names if all(isinstance(name, str) and name for name in names) and len(set(names)) == count else None


def _decoded(chunks: Iterable[bytes], decoder: Decoder) -> Iterator[str]:
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _is_envelope(beginning: str) -> bool:
    """Whether the text begins with an object that does not end in it."""
    text = beginning.lstrip("\ufeff \t\r\n\x00")
    if not text.startswith("{"):
        return False
    try:
        json.JSONDecoder().raw_decode(text)
    except ValueError:
        return True
    return False
