"""JSON objects in a stream: one a line, one after the other as Kinesis and Firehose write them, or in an array."""

import codecs
import json
import re
from typing import Any

from ingest.sources.events import Rejected

LONGEST = 1 << 20  # characters of one object: Kinesis takes no more
BETWEEN = re.compile(r"[\s,\[\]\x00\ufeff]*")
NEXT = re.compile(r"\n(?=\{)")

_decode = json.JSONDecoder().raw_decode


Found = tuple[dict[str, Any] | Rejected, str]  # an object or what is none, and its text


class Documents:
    """Takes a stream piece by piece, and gives the objects that are whole."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, piece: bytes) -> list[Found]:
        self._rest += self._text.decode(piece)
        return self._take(is_all=False)

    def finish(self) -> list[Found]:
        """What the end of the stream makes of the rest."""
        self._rest += self._text.decode(b"", final=True)
        return self._take(is_all=True)

    def _take(self, is_all: bool) -> list[Found]:
        found: list[Found] = []
        buffer, at = self._rest, _end(BETWEEN, self._rest, 0)
        while at < len(buffer):
            value, end, fault = _object(buffer, at)
            if value is None:
                following = NEXT.search(buffer, at)
                if following is None and not is_all and len(buffer) - at < LONGEST:
                    break  # its end may be still to come
                end = following.end() if following else len(buffer)
                broken = buffer[at:end].rstrip()
                found.append((Rejected(broken, fault), broken))
            else:
                found.append((value, buffer[at:end]))
            at = _end(BETWEEN, buffer, end)
        self._rest = buffer[at:]
        return found


def _object(text: str, at: int) -> tuple[dict[str, Any] | None, int, str]:
    """The object that begins at `at` and where it ends, or None and why it is none."""
    if text[at] != "{":
        return None, at, "Not a JSON object."
    try:
        value, end = _decode(text, at)
    except (ValueError, RecursionError) as error:  # a JSONDecodeError is a ValueError
        return None, at, f"Not JSON: {getattr(error, 'msg', 'it cannot be read')}."
    return value, end, ""


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
