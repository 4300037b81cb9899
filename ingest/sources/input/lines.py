"""The lines of a text that comes in pieces."""

from collections.abc import Callable, Iterable, Iterator

from ingest.sources.input.follow import LONGEST_LINE


def complete_lines(pieces: Iterable[bytes], is_cut: Callable[[], bool] = lambda: False) -> Iterator[list[bytes]]:
    """Yield the lines that are complete after each piece; the last one needs no newline, unless the text `is_cut`."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        yield lines
    if rest and not is_cut():
        yield [rest]
