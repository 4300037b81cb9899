"""Send a file of NDJSON events to Kafka, one record per line, as fast as possible or at the events' own pace."""

import argparse
import datetime as dt
import gzip
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, cast

import msgspec
from kafka.util import ensure_valid_topic_name

from ingest.cli import Parser
from ingest.errors import UsageError, VigieError
from ingest.topic.producing import Record, deliver, open_producer
from ingest.topic.servers import IN_THE_CLEAR, Security, security
from metrics import clock

GZIP = b"\x1f\x8b"  # how a gzip file starts
CHUNK = 1 << 18  # bytes read at once
MOST_AT_ONCE = 5_000  # records that a late replay sends together
LONGEST_SLEEP_S = 3600.0
INSTANTS = ("ts", "asked_for_human_at")  # the fields that --shift-to-now moves
MAX_SPEED = float("inf")


class Head(msgspec.Struct, gc=False):
    """The fields that are needed to send a line. `Any`: the consumer checks whether it keeps the contract."""

    call_id: Any = None
    agent: Any = None
    ts: Any = None


_head = msgspec.json.Decoder(Head)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="NDJSON, plain or gzip; - for standard input")
    parser.option("--speed", default="max", type=_speed, help="1 for real time, 60 for an hour a minute, or max")
    parser.flag(
        "--shift-to-now",
        help="move all timestamps so that no event is ahead of the time at which it is sent, and the newest (at a "
        "speed below 1, the oldest) is exactly at that time",
    )
    parser.kafka_options()


def main(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both are the KeyboardInterrupt of send_file
    acknowledged = send_file(
        options.file,
        options.bootstrap_servers,
        options.topic,
        speed=options.speed,
        shift_to_now=options.shift_to_now,
        secured=security(options),
    )
    sys.stdout.write(f"{acknowledged} lines acknowledged by {options.bootstrap_servers}, topic {options.topic}\n")
    return 0


def send_file(
    file: str,
    bootstrap_servers: str,
    topic: str,
    *,
    speed: float = MAX_SPEED,
    shift_to_now: bool = False,
    secured: Security = IN_THE_CLEAR,
) -> int:
    """Send the lines of `file` (- for standard input) and return how many Kafka acknowledged: all of them.

    Raises UsageError for a file, a topic or a broker that cannot be used, VigieError for failures while sending.
    """
    try:
        ensure_valid_topic_name(topic)
    except ValueError as error:
        raise UsageError(f"Topic {topic!r} cannot be used: {error}.") from error
    twice = speed != MAX_SPEED or shift_to_now
    acknowledged = 0
    with ExitStack() as stack:
        try:
            source = _open(file, stack, twice=twice)
            span = _span(source) if twice else None
            producer = open_producer(bootstrap_servers, secured)
            stack.callback(producer.close, timeout=5)
            for records in _batches(source, span, speed, shift_to_now):
                acknowledged += deliver(producer, topic, records)
        except (OSError, EOFError, zlib.error) as error:
            name = "Standard input" if file == "-" else file
            raise VigieError(
                f"{name} cannot be read to its end ({error}); {acknowledged} lines before that were acknowledged, "
                "and an event counts once: send it again when the file is complete."
            ) from error
        except KeyboardInterrupt:
            raise VigieError(
                f"Stopped after {acknowledged} lines were acknowledged; "
                "the file may be sent again, since an event counts once."
            ) from None
    return acknowledged


def _open(file: str, stack: ExitStack, *, twice: bool) -> IO[bytes]:
    """Open `file` (- for standard input), decompressed; `twice`: so that it can be read again."""
    raw: IO[bytes]
    if file != "-":
        try:
            raw = stack.enter_context(open(file, "rb"))  # noqa: SIM115  the stack closes it
        except OSError as error:
            raise UsageError(
                f"{file} cannot be read ({error.strerror}); name a file of NDJSON events, or - for standard input."
            ) from error
    elif twice:
        raw = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  the stack closes it
        shutil.copyfileobj(sys.stdin.buffer, raw)
        raw.seek(0)
    else:
        raw = sys.stdin.buffer
    if cast(Any, raw).peek(2)[:2] == GZIP:
        return stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=raw)))
    return raw


def _lines(source: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines, without blank ones: those of a pipe as they come, those of a file in chunks."""
    # read1 returns what a pipe has; for a compressed file it returns only little at a time
    read = source.read if source.seekable() else cast(Any, source).read1
    rest = b""
    while chunk := read(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [line for line in lines if line.strip()]
    if rest.strip():
        yield [rest]


def _span(source: IO[bytes]) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the oldest and the newest `ts` of all lines, and go back to the start; `None` if none has one."""
    oldest = newest = None
    for lines in _lines(source):
        for line in lines:
            ts = _instant(_decode(line).ts)
            if ts is not None:
                oldest = ts if oldest is None or ts < oldest else oldest
                newest = ts if newest is None or ts > newest else newest
    source.seek(0)
    return None if oldest is None or newest is None else (oldest, newest)


def _batches(
    source: IO[bytes], span: tuple[dt.datetime, dt.datetime] | None, speed: float, shift: bool
) -> Iterator[list[Record]]:
    """Yield the records that are due, and sleep until the next one is."""
    started, now = time.monotonic(), clock.now()
    by = _shift(*span, now, speed) if shift and span else None
    due: list[Record] = []
    for lines in _lines(source):
        for line in lines:
            head = _decode(line)
            if span and speed != MAX_SPEED and (ts := _instant(head.ts)):
                at = started + (ts - span[0]).total_seconds() / speed
                if due and (at > time.monotonic() or len(due) >= MOST_AT_ONCE):
                    yield due
                    due = []
                while (wait := at - time.monotonic()) > 0:
                    time.sleep(min(wait, LONGEST_SLEEP_S))
            key = head.call_id or head.agent
            due.append((key.encode() if isinstance(key, str) else b"", _moved(line, by) if by else line))
        if speed == MAX_SPEED:
            yield due
            due = []
    yield due


def _shift(oldest: dt.datetime, newest: dt.datetime, now: dt.datetime, speed: float) -> dt.timedelta:
    """Return by how much to move events, so that none is ahead of the time at which it is sent.

    The consumer rejects events from the future. In real time or slower, the oldest moves to `now`, when it is sent.
    Faster, the newest moves to the time when it is sent, `span / speed` after `now`.
    """
    if speed <= 1:
        return now - oldest
    return now + (newest - oldest) * (1 / speed) - newest  # 1 / speed: infinity is a speed


def _moved(line: bytes, by: dt.timedelta) -> bytes:
    """Return `line` with its timestamps moved and everything else as it is; unchanged if it has none."""
    try:
        fields = _fields.decode(line)
        instants = {name: _instant(msgspec.json.decode(fields[name])) for name in INSTANTS if name in fields}
        moved = {
            name: msgspec.Raw(msgspec.json.encode((instant + by).isoformat().replace("+00:00", "Z")))
            for name, instant in instants.items()
            if instant is not None
        }
        return msgspec.json.encode(fields | moved) if moved else line
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return line


def _decode(line: bytes) -> Head:
    try:
        return _head.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Head()  # sent as it is: the consumer keeps it as a dead letter


def _instant(value: object) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = msgspec.convert(value, dt.datetime)
        return None if instant.tzinfo is None else instant.astimezone(dt.UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def _speed(text: str) -> float:
    if text == "max":
        return MAX_SPEED
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < MAX_SPEED:
        raise argparse.ArgumentTypeError(f"{text!r} is neither max nor a number above 0")
    return speed
