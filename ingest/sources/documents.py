"""JSON objects in a stream: one per line, without separators as Kinesis and Firehose write them, or in an array."""

import json
import re
from typing import Any

from ingest.sources.events import Rejected
from ingest.sources.text import Decoder

LONGEST = 1 << 20  # characters of one object: the limit of Kinesis
BETWEEN = re.compile(r"[\s,\[\]\x00\ufeff]*")
NEXT = re.compile(r"\n(?=\{)")

_decode = json.JSONDecoder().raw_decode


Found = tuple[dict[str, Any] | Rejected, str]  # an object, or a fault, with its text


class Documents:
    """Takes a stream piece by piece, and returns the objects that are complete."""

    def __init__(self) -> None:
        self._text = Decoder("utf-8", "replace")
        self._rest = ""

    def feed(self, piece: bytes) -> list[Found]:
        self._rest += self._text.decode(piece)
        return self._take(is_all=False)

    def finish(self) -> list[Found]:
        """The objects in the rest of the stream, which has ended."""
        self._rest += self._text.decode(b"", final=True)
        return self._take(is_all=True)

    def _take(self, is_all: bool) -> list[Found]:
        objects: list[Found] = []
        buffer, at = self._rest, _end(BETWEEN, self._rest, 0)
        while at < len(buffer):
            value, end, fault = _object(buffer, at)
            if value is None:
                following = NEXT.search(buffer, at)
                if following is None and not is_all and len(buffer) - at < LONGEST:
                    break  # its end may still come
                end = following.end() if following else len(buffer)
                broken = buffer[at:end].rstrip()
                objects.append((Rejected(broken, fault), broken))
            else:
                objects.append((value, buffer[at:end]))
            at = _end(BETWEEN, buffer, end)
        self._rest = buffer[at:]
        return objects


def _object(text: str, at: int) -> tuple[dict[str, Any] | None, int, str]:
    """(the object that begins at `at`, where it ends, ""), or (None, `at`, why there is no object)."""
    if text[at] != "{":
        return None, at, "Not a JSON object."
    try:
        value, end = _decode(text, at)
    except (ValueError, RecursionError) as error:  # a JSONDecodeError is a ValueError
        return None, at, f"Not JSON: {getattr(error, 'msg', 'it cannot be read')}."
    return value, end, ""


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
