"""JSON objects in a stream: one per line, without separators as Kinesis and Firehose write them, or in an array.

Other forms that a source knows may stand between them, one per line.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ingest.sources.events import Rejected
from ingest.sources.input.text import Decoder

LONGEST = 1 << 20  # characters of one object: the limit of Kinesis
LONGEST_ANSWER = 1 << 26  # of a list of objects, as an API answers
BETWEEN = re.compile(r"[\s,\[\]\x00\ufeff]*")
NEXT = re.compile(r"\n(?=\{)")
NEXT_LINE = re.compile(r"\n")

_decode = json.JSONDecoder().raw_decode


Found = tuple[dict[str, Any] | Rejected, str]  # an object, or a fault, with its text


class Documents:
    """Takes a stream piece by piece, and returns the objects that are complete.

    `longest` is the limit of one object [characters]. `read_line` makes an object of a line that is no JSON, or None.
    """

    def __init__(self, longest: int = LONGEST, read_line: Callable[[str], dict[str, Any] | None] | None = None) -> None:
        self._longest = longest
        self._read_line = read_line
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
            is_line = self._read_line is not None and buffer[at] != "{"
            if is_line:
                value, end = self._line(buffer, at, is_all)
            if value is None:
                following = (NEXT_LINE if is_line else NEXT).search(buffer, at)
                if following is None and not is_all and len(buffer) - at < self._longest:
                    break  # its end may still come
                end = following.end() if following else len(buffer)
                broken = buffer[at:end].rstrip()
                objects.append((Rejected(broken, fault), broken))
            else:
                objects.append((value, buffer[at:end]))
            at = _end(BETWEEN, buffer, end)
        self._rest = buffer[at:]
        return objects

    def _line(self, text: str, at: int, is_all: bool) -> tuple[dict[str, Any] | None, int]:
        """(what is made of the line that begins at `at`, where it ends), or (None, `at`)."""
        end_of_line = NEXT_LINE.search(text, at)
        if self._read_line is None or (end_of_line is None and not is_all):
            return None, at
        end = end_of_line.start() if end_of_line else len(text)
        return self._read_line(text[at:end]), end


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
