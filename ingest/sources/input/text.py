"""Bytes of a text, in pieces, to characters. A byte-order mark at the beginning counts more than a named encoding."""

import codecs
from collections.abc import Iterable, Iterator

#: The mark of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST_MARK = 4
#: UTF-16 of two Latin characters without a mark, by which of its bytes are NULs.
UNMARKED: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}


def marked(beginning: bytes) -> str | None:
    """The encoding that the byte-order mark at the beginning of a text names; None without one."""
    return next((encoding for mark, encoding in MARKS if beginning.startswith(mark)), None)


def as_utf8(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a text in UTF-16 or UTF-32 as UTF-8, and of any other text as they are."""
    beginning, is_known = b"", False
    decoder: codecs.IncrementalDecoder | None = None
    for piece in pieces:
        come = beginning + piece
        if not is_known and len(come) < LONGEST_MARK:
            beginning = come
            yield b""
            continue
        if not is_known and (encoding := _wide(come)):
            decoder = codecs.getincrementaldecoder(encoding)("replace")
        beginning, is_known = b"", True
        yield decoder.decode(come).encode() if decoder else come
    if beginning:
        yield beginning
    if decoder:
        yield decoder.decode(b"", True).encode()


def _wide(beginning: bytes) -> str | None:
    """The encoding of a text with more than one byte for each character, by its mark or its first two characters."""
    encoding = marked(beginning)
    if encoding in ("utf-16", "utf-32"):
        return encoding
    nuls = [byte == 0 for byte in beginning[:LONGEST_MARK]]
    return UNMARKED.get(tuple(nuls))


class Decoder:
    """Decodes piece by piece; `encoding` is that of a text without a byte-order mark."""

    def __init__(self, encoding: str, errors: str = "strict") -> None:
        self._encoding, self._errors = encoding, errors
        self._beginning = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, piece: bytes, final: bool = False) -> str:
        if self._decoder is None:
            piece = self._beginning + piece
            if len(piece) < LONGEST_MARK and not final:
                self._beginning = piece
                return ""
            self._decoder = codecs.getincrementaldecoder(marked(piece) or self._encoding)(self._errors)
        return self._decoder.decode(piece, final)
