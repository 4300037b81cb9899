"""JSON objects in a stream, and those in a list inside an object, as the interfaces of many systems answer."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ingest.errors import UsageError
from ingest.sources.input.documents import LONGEST, Documents, Found
from ingest.sources.input.text import Decoder

Document = dict[str, Any]


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
