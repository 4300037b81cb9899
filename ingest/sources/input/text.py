"""Bytes of a text, in pieces, to characters. A byte-order mark at the beginning counts more than a named encoding."""

import codecs

#: The mark of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST_MARK = 4


def marked(beginning: bytes) -> str | None:
    """The encoding that the byte-order mark at the beginning of a text names; None without one."""
    return next((encoding for mark, encoding in MARKS if beginning.startswith(mark)), None)


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
