"""A queue_log from a pipe: read once, as it comes, with bounded memory, and told when it cannot be read in order."""

import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from ingest.errors import UsageError
from ingest.sources import names
from ingest.sources.asterisk import Switch, once
from ingest.sources.input.lines import LONGEST_LINE, complete_lines
from tests.support.processes import ROOT, named_pipe, run
from tests.support.stories.queue_log import Collected, events_of

SAMPLE = (ROOT / "samples" / "queue_log").read_bytes().splitlines(keepends=True)
MIDDLE = len(SAMPLE) // 2
LIVE_WITHIN_S = 0.2


@pytest.fixture(autouse=True)
def soon_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "LIVE_WITHIN_S", LIVE_WITHIN_S)


@contextmanager
def stalling(*pieces: bytes) -> Iterator[int]:
    """Yield a pipe in which the pieces come, each long after the one before."""
    descriptor, into = os.pipe()

    def write() -> None:
        for piece in pieces:
            os.write(into, piece)
            time.sleep(5 * LIVE_WITHIN_S)
        os.close(into)

    writer = Thread(target=write)
    writer.start()
    yield descriptor
    writer.join()
    os.close(descriptor)


def read(descriptor: int) -> Collected:
    collected = Collected()
    assert once.read_pipe(descriptor, Switch("pbx", names.Names(), None), collected, None, Flag())
    return collected


def test_a_copy_that_stalls_loses_nothing() -> None:
    text = b"".join(SAMPLE)
    with stalling(text[:1000], text[1000:1010], text[1010:]) as pipe:
        assert read(pipe).events == events_of([line.rstrip() for line in SAMPLE])


def test_a_copy_that_stalls_and_is_out_of_order_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    half = MIDDLE // 2
    with stalling(*(b"".join(part) for part in (SAMPLE[MIDDLE:], SAMPLE[:half], SAMPLE[half:MIDDLE]))) as pipe:
        read(pipe)
    assert [message for message in caplog.messages if "not in order of time and cannot be sorted" in message] == [
        "pbx: standard input is not in order of time and cannot be sorted before it ends; figures may be wrong, so "
        "write it to a file and read that with --queue-log"
    ]


def test_a_copy_that_stalls_before_it_shows_to_be_no_queue_log_is_refused() -> None:
    with stalling(b"<html>", b"Amina</html>\n") as pipe, pytest.raises(UsageError, match="Nothing was sent") as error:
        read(pipe)
    assert "Amina" not in str(error.value)


@pytest.mark.slow
def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    with named_pipe(tmp_path / "queue_log", b"".join(SAMPLE)) as pipe:
        done = run("source", "asterisk", "--queue-log", str(pipe), "--print")
    assert (done.returncode, done.stdout.count("\n")) == (0, 76), done.stderr


def test_a_pipe_without_lines_takes_bounded_memory(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.touch()
    os.truncate(endless, 8 * LONGEST_LINE)
    descriptor = os.open(endless, os.O_RDONLY)
    tracemalloc.start()
    try:
        assert read(descriptor).events == []
        assert tracemalloc.get_traced_memory()[1] < 6 * LONGEST_LINE
    finally:
        tracemalloc.stop()
        os.close(descriptor)


def test_a_line_that_does_not_end_comes_in_parts() -> None:
    found = [line for lines in complete_lines(bytes(1 << 20) for _ in range(20)) for line in lines]
    assert [len(line) >> 20 for line in found] == [17, 3]
