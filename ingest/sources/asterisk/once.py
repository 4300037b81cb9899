"""Reading a queue_log that is not followed: a file, or standard input, which may be a pipe that never ends."""

import datetime as dt
import logging
import os
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from threading import Event as Flag
from typing import IO, Protocol
from zoneinfo import ZoneInfo

from ingest.errors import UsageError, VigieError
from ingest.sources.asterisk.order import FirstLook, oldest_first
from ingest.sources.delivery import Destination, Produced
from ingest.sources.input.files import CHUNK, chunks
from ingest.sources.input.follow import LONGEST_LINE
from ingest.sources.input.text import as_utf8
from metrics import clock

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2  # for new lines
TOGETHER = 10_000  # sorted lines are sent together
UNWRITTEN = dt.timedelta(seconds=2)  # lines may be written this long after what they report
# a pipe is live once less than this came within this time: a log that is being written, and not one that is copied
LIVE_WITHIN_S = 3.0
LIVE_BYTES = 1 << 18

Read = Callable[[], Iterator[Iterable[bytes]]]


class Lines(Protocol):
    """What reads the lines of a queue_log."""

    source: str

    def take(self, lines: Iterable[bytes]) -> Iterator[Produced]: ...

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]: ...

    def report(self) -> None: ...


def read_once(
    path: str, switch: Lines, destination: Destination, timezone: ZoneInfo | None, stopped: Flag | None = None
) -> None:
    """Send what the log has; a pipe that is live is read on until it ends or `stopped` is set."""
    look = FirstLook(timezone)
    if path != "-":
        is_sent = _send_kept(lambda: _lines(as_utf8(chunks(path, "--queue-log"))), look, switch, destination, timezone)
    else:
        pipe = _Pipe(stopped or Flag())
        with _kept(pipe) as read:
            is_sent = _send_kept(read, look, switch, destination, timezone)
        if is_sent and pipe.is_live:
            is_sent = _send_live(pipe, look, switch, destination)
    if is_sent:
        destination.send(switch.pass_time(written_until()))
        switch.report()


def written_until() -> dt.datetime:
    return clock.now() - UNWRITTEN


def _send_kept(read: Read, look: FirstLook, switch: Lines, destination: Destination, timezone: ZoneInfo | None) -> bool:
    """Send what can be read from its beginning again: nothing is sent before its order is known."""
    look.take(chain.from_iterable(_until_torn(read())))
    if look.fault:
        raise UsageError(
            f"Nothing was sent, because {look.fault} Name a queue_log: lines with epoch|callid|queue|agent|event, or a "
            "table with a header that has the columns time, callid, queuename, agent and event."
        )
    in_order: Iterator[Iterable[bytes]] = read()
    if look.runs_backwards:
        log.warning("%s: the lines are not in order of time, so they are sorted; this needs memory", switch.source)
        sorted_lines = oldest_first(chain.from_iterable(in_order), timezone)
        in_order = iter(lambda: list(islice(sorted_lines, TOGETHER)), [])
    return all(destination.send(switch.take(lines)) for lines in in_order)


def _send_live(pipe: "_Pipe", look: FirstLook, switch: Lines, destination: Destination) -> bool:
    """Send the lines of a pipe as they come. They cannot be sorted, because nothing may wait for the last one."""
    log.info("%s: standard input goes on; its lines are sent as they come", switch.source)
    for complete in _lines(pipe.pieces, pipe.stopped):
        lines = list(complete)
        look.take(lines)
        if look.is_newest_first and look.is_sure:
            raise VigieError(
                "Standard input runs backwards in time and cannot be sorted before it ends; "
                "write it to a file and read that with --queue-log."
            )
        if not destination.send(switch.take(lines) if lines else switch.pass_time(written_until())):
            return False
    return True


class _Pipe:
    """Standard input. `is_live` once it goes on without much coming: then nobody should wait for its end."""

    def __init__(self, stopped: Flag) -> None:
        self.stopped = stopped
        self.is_live = False
        self.pieces = as_utf8(self._read())

    def keep(self, kept: IO[bytes]) -> None:
        """Write what comes to `kept` until the pipe ends or is live; whole lines, as long as it has not ended."""
        rest, came, since = b"", 0, 0.0
        for piece in self.pieces:
            *whole, rest = (rest + piece).rpartition(b"\n")
            kept.writelines(whole)
            came, now = came + len(piece), time.monotonic()
            since = since or (now if came else 0.0)  # a query may take long before its first row
            if since and now >= since + LIVE_WITHIN_S:
                if came < LIVE_BYTES:
                    self.is_live, self.pieces = True, chain([rest], self.pieces)
                    return
                came, since = 0, now
        if not self.stopped.is_set():
            kept.write(rest)

    def _read(self) -> Iterator[bytes]:
        """Yield what comes; nothing, now and then, while nothing comes."""
        descriptor = sys.stdin.fileno()
        while not self.stopped.is_set():
            ready, _, _ = select.select([descriptor], [], [], LOOK_EVERY_S)
            piece = os.read(descriptor, CHUNK) if ready else b""
            if ready and not piece:
                return
            yield piece


@contextmanager
def _kept(pipe: _Pipe) -> Iterator[Read]:
    """Yield what reads, as often as needed, the lines that came before the pipe ended or was live."""
    with tempfile.TemporaryFile() as kept:
        pipe.keep(kept)

        def read() -> Iterator[Iterable[bytes]]:
            kept.seek(0)
            return _lines(iter(lambda: kept.read(CHUNK), b""))

        yield read


def _until_torn(lines: Iterator[Iterable[bytes]]) -> Iterator[Iterable[bytes]]:
    """Yield what can be read of an incomplete file; that it is incomplete is said when its lines are sent."""
    with suppress(VigieError):
        yield from lines


def _lines(pieces: Iterable[bytes], stopped: Flag | None = None) -> Iterator[Iterable[bytes]]:
    """Yield the lines that are complete after each piece; the last one needs no newline, unless we were `stopped`."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        yield lines
    if rest and not (stopped and stopped.is_set()):
        yield [rest]
