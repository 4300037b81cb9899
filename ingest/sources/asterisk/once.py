"""Reading a queue_log that is not followed: a file, or a pipe, which may never end."""

import datetime as dt
import logging
import os
import select
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
from ingest.sources.input.lines import complete_lines
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


def read_once(path: str, switch: Lines, destination: Destination, timezone: ZoneInfo | None) -> None:
    """Send what the log has."""

    def read() -> Iterator[Iterable[bytes]]:
        return complete_lines(as_utf8(chunks(path, "--queue-log")))

    if _send_kept(read, FirstLook(timezone), switch, destination, timezone):
        _finish(switch, destination)


def read_pipe(
    descriptor: int, switch: Lines, destination: Destination, timezone: ZoneInfo | None, stopped: Flag
) -> bool:
    """Send what comes until the pipe ends or `stopped` is set; return whether all of that was sent."""
    look, pipe = FirstLook(timezone), _Pipe(descriptor, stopped)
    with _kept(pipe) as read:
        is_sent = _send_kept(read, look, switch, destination, timezone)
    if is_sent and pipe.is_live:
        is_sent = _send_live(pipe, look, switch, destination)
    return is_sent and _finish(switch, destination)


def _finish(switch: Lines, destination: Destination) -> bool:
    switch.report()
    return destination.send(switch.pass_time(written_until()))


def written_until() -> dt.datetime:
    return clock.now() - UNWRITTEN


def _send_kept(read: Read, look: FirstLook, switch: Lines, destination: Destination, timezone: ZoneInfo | None) -> bool:
    """Send what can be read from its beginning again: nothing is sent before its order is known."""
    look.take(chain.from_iterable(_until_torn(read())))
    _refuse_other_text(look)
    in_order: Iterator[Iterable[bytes]] = read()
    if look.direction.jumps or look.direction.is_newest_first:
        log.warning("%s: the lines are not in order of time, so they are sorted; this needs memory", switch.source)
        sorted_lines = oldest_first(chain.from_iterable(in_order), timezone)
        in_order = iter(lambda: list(islice(sorted_lines, TOGETHER)), [])
    return all(destination.send(switch.take(lines)) for lines in in_order)


def _refuse_other_text(look: FirstLook) -> None:
    if look.fault:
        raise UsageError(
            f"Nothing was sent, because {look.fault} Name a queue_log: lines with epoch|callid|queue|agent|event, or a "
            "table with a header that has the columns time, callid, queuename, agent and event."
        )


def _send_live(pipe: "_Pipe", look: FirstLook, switch: Lines, destination: Destination) -> bool:
    """Send the lines of a pipe as they come. They cannot be sorted, because nothing may wait for the last one."""
    log.info("%s: standard input goes on; its lines are sent as they come", switch.source)
    is_told = False
    for lines in complete_lines(pipe.pieces, pipe.stopped.is_set):
        look.take(lines)
        _refuse_other_text(look)
        if look.direction.is_newest_first and look.direction.is_sure:
            raise VigieError(
                "Standard input runs backwards in time and cannot be sorted before it ends; "
                "write it to a file and read that with --queue-log."
            )
        if look.direction.jumps and not is_told:
            is_told = True
            log.warning(
                "%s: standard input is not in order of time and cannot be sorted before it ends; "
                "figures may be wrong, so write it to a file and read that with --queue-log",
                switch.source,
            )
        if not destination.send(switch.take(lines) if lines else switch.pass_time(written_until())):
            return False
    return True


class _Pipe:
    """A pipe. `is_live` once it goes on without much coming: then nobody should wait for its end."""

    def __init__(self, descriptor: int, stopped: Flag) -> None:
        self._descriptor = descriptor
        self.stopped = stopped
        self.is_live = False
        self.pieces = as_utf8(self._read())

    def keep(self, kept: IO[bytes]) -> None:
        """Write what comes to `kept` until the pipe ends or is live; whole lines, as long as it has not ended."""
        came, since = 0, 0.0
        for piece in self.pieces:
            kept.write(piece)
            came, now = came + len(piece), time.monotonic()
            since = since or (now if came else 0.0)  # a query may take long before its first row
            if since and now >= since + LIVE_WITHIN_S:
                if came < LIVE_BYTES:
                    self.is_live, self.pieces = True, chain([_cut_off_rest(kept)], self.pieces)
                    return
                came, since = 0, now
        if self.stopped.is_set():
            _cut_off_rest(kept)

    def _read(self) -> Iterator[bytes]:
        """Yield what comes; nothing, now and then, while nothing comes."""
        while not self.stopped.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_EVERY_S)
            piece = os.read(self._descriptor, CHUNK) if ready else b""
            if ready and not piece:
                return
            yield piece


def _cut_off_rest(kept: IO[bytes]) -> bytes:
    """Take what follows the last newline off the end of a file, and return it."""
    end = kept.tell()
    kept.seek(max(0, end - LONGEST_LINE))
    rest = kept.read().rpartition(b"\n")[2]
    kept.truncate(end - len(rest))
    return rest


@contextmanager
def _kept(pipe: _Pipe) -> Iterator[Read]:
    """Yield what reads, as often as needed, the lines that came before the pipe ended or was live."""
    with tempfile.TemporaryFile() as kept:
        pipe.keep(kept)

        def read() -> Iterator[Iterable[bytes]]:
            kept.seek(0)
            return complete_lines(iter(lambda: kept.read(CHUNK), b""))

        yield read


def _until_torn(lines: Iterator[Iterable[bytes]]) -> Iterator[Iterable[bytes]]:
    """Yield what can be read of an incomplete file; that it is incomplete is said when its lines are sent."""
    with suppress(VigieError):
        yield from lines
