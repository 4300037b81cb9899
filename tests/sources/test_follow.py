"""A log followed through its rotations: every line once, in order, whatever happens to the file and to its reader."""

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from fcntl import ioctl
from functools import partial
from pathlib import Path
from termios import FIONREAD
from types import FrameType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from ingest.errors import UsageError, VigieError
from ingest.sources.input import follow
from ingest.sources.input.bookmark import Bookmark
from ingest.sources.input.follow import Followed, Position
from ingest.topic.broker import Broker, running_broker
from tests.support import forks
from tests.support.forks import Program
from tests.support.processes import ROOT, WITHIN_S, command, environment, free_port, one_sentence, run, wait_for

pytestmark = pytest.mark.slow

Steps = list[tuple[int, Callable[[], None]]]  # number of lines of the reader's code to run first, then the step
TraceFunction = Callable[[FrameType, str, object], object]


class Writer:
    """Writes a log and rotates it, as Asterisk and logrotate do; each file is a second younger than the last one."""

    def __init__(self, home: Path) -> None:
        self.path = home / "queue_log"
        self.lines: list[bytes] = []
        self._clock = 1_700_000_000
        self._file = self.path.open("ab", buffering=0)

    def write(self, count: int) -> None:
        for _ in range(count):
            self.lines.append(b"17000%05d|1.%d|q|NONE|ABANDON|1|1|3" % (len(self.lines), len(self.lines)))
            self._file.write(self.lines[-1] + b"\n")
        self._age(self.path)

    def write_slowly(self) -> None:
        """Write half a line; the rest follows with the next lines."""
        self.lines.append(b"17000%05d|1.%d|q|NONE|ABANDON|9|9|9" % (len(self.lines), len(self.lines)))
        self._file.write(self.lines[-1][:7])
        self._rest = self.lines[-1][7:] + b"\n"

    def finish_line(self) -> None:
        self._file.write(self._rest)
        self._age(self.path)

    def rename(self, late: int = 0) -> None:
        """Rename and create; the writer goes on in the old file for `late` lines, until it is told to reopen."""
        self._shift()
        self.path.rename(self._numbered(1))
        self.path.touch()
        self.write_to(self._numbered(1), late)
        self._reopen()

    def copy_and_truncate(self) -> None:
        self.begin_to_copy()
        self.finish_copy()
        self.truncate()

    def begin_to_copy(self) -> None:
        """Copy the first half of the log."""
        self._shift()
        with self.path.open("rb") as log:
            self._numbered(1).write_bytes(log.read(self.path.stat().st_size // 2))
        self._age(self._numbered(1))

    def finish_copy(self) -> None:
        """Copy everything, with what was written meanwhile; nobody could save lines between here and `truncate`."""
        shutil.copyfile(self.path, self._numbered(1))
        self._age(self._numbered(1))

    def truncate(self) -> None:
        os.truncate(self.path, 0)
        self._age(self.path)

    def pack(self, number: int = 1) -> None:
        """Compress a rotated file, by default the newest."""
        plain = self._numbered(number)
        if plain.exists():
            packed = Path(f"{plain}.gz")
            with gzip.open(packed, "wb") as file:
                file.write(plain.read_bytes())
            os.utime(packed, ns=(plain.stat().st_mtime_ns,) * 2)
            plain.unlink()

    def begin_to_pack(self) -> None:
        """Compress half of the newest rotated file; the unfinished file is the youngest, beside the plain one."""
        if self._numbered(1).exists():
            half = gzip.compress(self._numbered(1).read_bytes())
            Path(f"{self._numbered(1)}.gz").write_bytes(half[: len(half) // 2])

    def write_to(self, path: Path, count: int) -> None:
        for _ in range(count):
            self.lines.append(b"17000%05d|1.%d|q|NONE|ABANDON|2|2|2" % (len(self.lines), len(self.lines)))
            self._file.write(self.lines[-1] + b"\n")
        self._age(path)

    def close(self) -> None:
        self._file.close()

    def _reopen(self) -> None:
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"queue_log.{number}")

    def _shift(self) -> None:
        for number in range(20, 0, -1):
            for suffix in ("", ".gz"):
                old = Path(f"{self._numbered(number)}{suffix}")
                if old.exists():
                    old.rename(f"{self._numbered(number + 1)}{suffix}")

    def _age(self, path: Path) -> None:
        self._clock += 1
        os.utime(path, (self._clock, self._clock))


@contextmanager
def writing() -> Iterator[Writer]:
    with tempfile.TemporaryDirectory() as home, closing(Writer(Path(home))) as writer:
        yield writer


class Reading:
    """A reader that can be restarted where it stopped."""

    def __init__(self, path: Path) -> None:
        self.lines: list[bytes] = []
        self._followed = Followed(path)
        self._path = path

    def read(self) -> None:
        while lines := self._followed.read():
            self.lines += lines

    def restart(self) -> None:
        position = self._followed.position
        self._followed.close()
        kept = msgspec.json.decode(msgspec.json.encode(position), type=Position | None)
        self._followed = Followed(self._path, kept)

    def close(self) -> None:
        self._followed.close()


WRITES = st.builds(lambda n: ("write", n), st.integers(1, 60))
STEPS = st.one_of(
    WRITES,
    st.sampled_from([("rename", 0), ("rename", 3), ("copy_and_truncate", None)]),
    st.sampled_from([("begin_to_pack", None), ("pack", None)]),
    st.sampled_from([("read", None), ("restart", None), ("read", None)]),
)


@given(st.lists(STEPS, max_size=25))
def test_every_line_is_read_once_in_order_through_any_rotation(steps: list[tuple[str, int | None]]) -> None:
    with writing() as writer:
        writer.write(1)
        with closing(Reading(writer.path)) as reading:
            reading.read()
            for step, count in steps:
                # an empty log is not rotated (notifempty), and nobody could tell empty files apart
                if step in ("rename", "copy_and_truncate") and not writer.path.stat().st_size:
                    continue
                of = reading if hasattr(reading, step) else writer
                getattr(of, step)(*([] if count is None else [count]))
            writer.write(1)
            reading.read()
            assert reading.lines == writer.lines


@contextmanager
def between_its_steps(steps: Iterable[tuple[int, Callable[[], None]]]) -> Iterator[None]:
    """Do each step after the reader has run so many more lines of its code; do the remaining ones at the end."""
    left = deque(steps)
    to_run = left[0][0] if left else 0

    def line(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal to_run
        if frame.f_code.co_filename != follow.__file__:
            return None
        if event == "line":
            to_run -= 1
            while left and to_run < 0:
                left.popleft()[1]()
                to_run = left[0][0] if left else 0
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        yield
    finally:
        sys.settrace(before)
    for _, step in left:
        step()


COPYING = ("begin_to_copy", "finish_copy", "truncate")


class Rotation:
    """Rotates a log while it is read, in any possible order; impossible steps are left out."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._copied = 0  # steps of COPYING already done

    def do(self, step: str) -> None:
        is_filled = self._writer.path.stat().st_size > 0
        if step == "copy" and (self._copied or is_filled):  # an empty log is not rotated (notifempty)
            getattr(self._writer, COPYING[self._copied])()
            self._copied = (self._copied + 1) % len(COPYING)
        elif step == "write" and self._copied < 2:  # later lines would be lost to any reader
            self._writer.write(2)
        elif not self._copied and (step == "pack" or (step == "rename" and is_filled)):
            getattr(self._writer, step)()

    def finish(self) -> None:
        while self._copied:
            self.do("copy")
        self._writer.write(1)


WHILE_READING = st.tuples(st.integers(0, 60), st.sampled_from(["write", "copy", "copy", "copy", "rename", "pack"]))


@settings(max_examples=300)
@given(st.integers(0, 2), st.lists(st.sampled_from(["write", "copy", "rename"]), max_size=8), st.lists(WHILE_READING))
def test_every_line_is_read_once_in_order_whatever_happens_during_a_read(
    lines: int, before: list[str], meanwhile: list[tuple[int, str]]
) -> None:
    with writing() as writer, closing(Reading(writer.path)) as reading:
        rotation = Rotation(writer)
        writer.write(lines)
        for step in before:
            rotation.do(step)
        with between_its_steps((after, partial(rotation.do, step)) for after, step in meanwhile):
            reading.read()
            reading.restart()
            reading.read()
            reading.read()
        rotation.finish()
        reading.read()
        assert reading.lines == writer.lines


def half_copied(writer: Writer, lines: int) -> Steps:
    writer.write(40)
    writer.begin_to_copy()
    return [(lines, writer.finish_copy), (0, writer.truncate), (lines, partial(writer.write, 3))]


def rotated_and_regrown(writer: Writer, lines: int) -> Steps:
    writer.write(40)
    return [(lines, writer.copy_and_truncate), (0, partial(writer.write, 50))]


def two_to_read(writer: Writer) -> None:
    for _ in range(2):
        writer.write(4)
        writer.copy_and_truncate()
    writer.write(4)


def two_to_read_and_rotated(writer: Writer, lines: int) -> Steps:
    two_to_read(writer)
    return [(lines, writer.copy_and_truncate), (0, partial(writer.write, 4))]


def two_to_read_and_the_older_packed(writer: Writer, lines: int) -> Steps:
    two_to_read(writer)
    return [(lines, partial(writer.pack, 2))]


@pytest.mark.parametrize(
    "happens", [half_copied, rotated_and_regrown, two_to_read_and_rotated, two_to_read_and_the_older_packed]
)
def test_a_rotation_may_come_after_any_line_of_our_code(
    happens: Callable[[Writer, int], Steps],
) -> None:
    """The log was copied and truncated while it was read, and is rotated again while its copy is read to the end."""
    for lines in range(120):
        with writing() as writer, closing(Reading(writer.path)) as reading:
            writer.write(5)
            reading.read()
            writer.copy_and_truncate()
            reading.read()
            with between_its_steps(happens(writer, lines)):
                reading.read()
                reading.read()
            reading.read()
            assert (lines, reading.lines) == (lines, writer.lines)


def test_half_a_line_does_not_identify_a_log() -> None:
    with writing() as writer, closing(Reading(writer.path)) as reading:
        writer.write(1)
        reading.read()
        writer.copy_and_truncate()
        writer.write_slowly()
        reading.read()
        writer.finish_line()
        writer.copy_and_truncate()
        writer.write(50)
        reading.read()
        assert reading.lines == writer.lines


def test_lines_copied_away_before_the_first_look_at_an_empty_log_are_read() -> None:
    with writing() as writer, closing(Reading(writer.path)) as reading:
        reading.read()
        writer.write(3)
        writer.copy_and_truncate()
        writer.write(50)
        reading.read()
        assert reading.lines == writer.lines


def test_a_reader_without_a_saved_position_begins_with_the_oldest_rotated_file() -> None:
    with writing() as writer:
        for rotate in (writer.copy_and_truncate, writer.rename, writer.copy_and_truncate):
            writer.write(3)
            rotate()
            writer.pack()
        writer.write(2)
        with closing(Reading(writer.path)) as reading:
            reading.read()
            assert reading.lines == writer.lines


def test_remaining_files_are_read_when_the_one_at_the_position_was_removed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with writing() as writer:
        writer.write(3)
        writer.copy_and_truncate()
        writer.write(3)
        with closing(Reading(writer.path)) as reading:
            reading.read()
            writer.write(2)
            for _ in range(3):
                writer.copy_and_truncate()
                writer.write(4)
            writer.path.with_name("queue_log.3").unlink()
            reading.restart()
            reading.read()
            assert reading.lines == writer.lines[:6] + writer.lines[8:]
    assert ["lines that were removed are missing" in message for message in caplog.messages] == [True]


def test_half_a_line_is_not_a_line_yet() -> None:
    with writing() as writer:
        writer.write(2)
        with closing(Reading(writer.path)) as reading:
            writer.write_slowly()
            reading.read()
            assert reading.lines == writer.lines[:2]
            reading.restart()
            writer.finish_line()
            reading.read()
            assert reading.lines == writer.lines


def test_half_a_line_at_the_end_of_a_rotated_file_is_a_line() -> None:
    with writing() as writer:
        writer.write(2)
        with closing(Reading(writer.path)) as reading:
            reading.read()
            writer.write_slowly()
            writer.rename()
            writer.write(1)
            reading.read()
            assert reading.lines == [*writer.lines[:2], writer.lines[2][:7], writer.lines[3]]


def test_a_line_of_many_megabytes_is_returned_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    path.write_bytes(b"x" * (40 << 20) + b"\nlast\n")
    with closing(Reading(path)) as reading:
        reading.read()
        assert reading.lines[-1] == b"last"
        assert sum(map(len, reading.lines[:-1])) == 40 << 20


def test_a_log_rewritten_without_a_copy_is_read_from_its_beginning_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "queue_log"
    path.write_bytes(b"1|a\n2|b\n")
    with closing(Reading(path)) as reading:
        reading.read()
        path.write_bytes(b"3|c\n")
        reading.read()
        assert reading.lines == [b"1|a", b"2|b", b"3|c"]
    assert ["was truncated, and no copy beside it" in message for message in caplog.messages] == [True]


def test_a_position_that_cannot_be_found_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "queue_log"
    path.write_bytes(b"1|a\n")
    with closing(Reading(path)) as reading:
        reading.read()
        path.unlink()
        path.write_bytes(b"2|b\n")
        reading.restart()
        reading.read()
        assert reading.lines == [b"1|a", b"2|b"]
    assert ["lines that were removed are missing" in message for message in caplog.messages] == [True]


def test_a_truncated_compressed_log_stops_with_one_sentence(tmp_path: Path) -> None:
    log, packed = tmp_path / "queue_log", tmp_path / "queue_log.1.gz"
    old = b"".join(b"17000%05d|1.%d|q|NONE|ABANDON|1|1|3\n" % (number, number) for number in range(1_000))
    log.write_bytes(b"new\n")
    packed.write_bytes(gzip.compress(old)[:-9])
    position = Position.at(old.index(b"\n") + 1, old[:1024])
    with closing(Followed(log, position)) as followed, pytest.raises(VigieError) as error:
        followed.read()
    assert str(error.value).startswith(f"{packed} cannot be read to its end")


def test_a_compressed_log_that_cannot_be_opened_stops_with_one_sentence(tmp_path: Path) -> None:
    log, packed = tmp_path / "queue_log", tmp_path / "queue_log.1.gz"
    log.write_bytes(b"new\n")
    packed.write_bytes(b"not packed")
    with closing(Followed(log)) as followed, pytest.raises(VigieError, match=r"1\.gz cannot be read to its end"):
        followed.read()


def test_no_log_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"queue_log cannot be read .* name a log with --queue-log"):
        Followed(tmp_path / "queue_log")


# The bookmark


def test_a_bookmark_that_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "pbx.json").write_text("{")
    log = tmp_path / "queue_log"
    log.touch()
    options = ("--queue-log", str(log), "--follow", "--data-dir", str(tmp_path), "--source", "pbx")
    message = one_sentence(run("source", "asterisk", *options))
    assert "pbx.json cannot be understood; remove it" in message


def test_a_source_is_followed_by_one_process(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.touch()
    with closing(Bookmark(tmp_path, "pbx")):
        options = ("--queue-log", str(log), "--follow", "--data-dir", str(tmp_path), "--source", "pbx")
        assert "is being followed by another process" in one_sentence(run("source", "asterisk", *options))


# The command, as a process


@contextmanager
def following(log: Path, servers: str, topic: str, home: Path) -> Iterator[Program]:
    options = ("--follow", "--queue-log", str(log), "--bootstrap-servers", servers, "--topic", topic)
    arguments = ["source", "asterisk", *options, "--data-dir", str(home), "--source", "pbx"]
    output = home / "source.log"
    process = Program(forks.ingest, *arguments, cwd=ROOT, environment=environment(), stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def in_topic(servers: str, topic: str, partitions: int = 4) -> list[bytes]:
    """Return every line of every record."""
    return [line for _, value in records_in(servers, topic, partitions) for line in value.split(b"\n")]


def records_in(servers: str, topic: str, partitions: int = 4) -> list[tuple[bytes, bytes]]:
    """Return the key and the value of every record."""
    with closing(KafkaConsumer(bootstrap_servers=servers, fetch_max_wait_ms=50)) as consumer:
        logs = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(logs)
        consumer.seek_to_beginning(*logs)
        found: list[tuple[bytes, bytes]] = []
        quiet = 0
        while quiet < 3:
            records = consumer.poll(timeout_ms=200)
            quiet = 0 if records else quiet + 1
            found += [(record.key, record.value) for batch in records.values() for record in batch]
        return found


def call(number: int) -> list[bytes]:
    """Return a call's lines: entered, answered, ended."""
    at, callid = 1773129600 + 10 * number, f"{1773129600 + 10 * number}.{number}"
    steps = (f"q|NONE|ENTERQUEUE||06{number:08}|1", "q|SIP/9|CONNECT|3|1.2|1", "q|SIP/9|COMPLETEAGENT|3|5|1")
    return [f"{at + after}|{callid}|{step}\n".encode() for after, step in zip((0, 3, 8), steps, strict=True)]


def events(lines: list[bytes]) -> set[bytes]:
    """Return the events of the lines when they are read in one go."""
    with tempfile.NamedTemporaryFile() as log:
        log.write(b"".join(lines))
        log.flush()
        done = run("source", "asterisk", "--queue-log", log.name, "--source", "pbx", "--print")
    assert done.returncode == 0, done.stderr
    return {line.encode() for line in done.stdout.splitlines()}


@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_a_followed_log_is_sent_once_although_it_is_rotated_and_the_process_killed(
    broker: Broker, topic: str, tmp_path: Path, rotation: str
) -> None:
    log, servers = tmp_path / "queue_log", broker.bootstrap_servers
    log.touch()
    written: list[bytes] = []
    chance = random.Random(7)

    def write(calls: int) -> None:
        for _ in range(calls):
            lines = call(len(written) // 3)
            written.extend(lines)
            with log.open("ab") as file:
                file.writelines(lines)

    def rotate(number: int) -> None:
        rotated = tmp_path / f"queue_log-2026031{number}"
        if rotation == "rename":
            log.rename(rotated)
        else:
            shutil.copyfile(log, rotated)
            os.truncate(log, 0)

    for round in range(4):
        with following(log, servers, topic, tmp_path) as process:
            write(40)
            # killed at any point, once before it has done anything
            wait_for(lambda: process.poll() is None and (tmp_path / "source.log").stat().st_size, "the source to start")
            time.sleep(chance.random() * 0.5)  # any instant will do: the promise must hold at each
            write(20)
            process.send_signal(signal.SIGKILL)
            process.wait()
        write(10)
        rotate(round)
        write(10)
        if round == 2:  # rotated twice while nobody reads
            rotate(8)
            write(10)
    with following(log, servers, topic, tmp_path) as process:
        expected = events(written)
        wait_for(lambda: set(in_topic(servers, topic)) >= expected, "all events in the topic")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    assert set(in_topic(servers, topic)) == expected
    logged = (tmp_path / "source.log").read_text()
    assert "Traceback" not in logged
    assert "missing" not in logged


def test_a_first_run_that_ended_before_it_saved_a_position_has_lost_nothing(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    log, written = tmp_path / "queue_log", [call(number) for number in range(3)]
    log.write_bytes(b"".join(written[0]))
    with following(log, f"127.0.0.1:{free_port()}", topic, tmp_path) as process:  # no Kafka here
        assert process.wait(WITHIN_S) != 0
    assert not (tmp_path / "sources" / "pbx.json").exists()
    for number in (1, 2):
        shutil.copyfile(log, tmp_path / f"queue_log-2026031{number}")
        log.write_bytes(b"".join(written[number]))
    with following(log, broker.bootstrap_servers, topic, tmp_path) as process:
        expected = events([line for lines in written for line in lines])
        wait_for(lambda: set(in_topic(broker.bootstrap_servers, topic)) >= expected, "all events in the topic")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    assert set(in_topic(broker.bootstrap_servers, topic)) == expected


def test_a_restart_does_not_send_again_what_was_acknowledged(broker: Broker, topic: str, tmp_path: Path) -> None:
    log, servers = tmp_path / "queue_log", broker.bootstrap_servers
    log.write_bytes(b"".join(b"".join(call(number)) for number in range(2_000)))
    for count in (2_000, 2_001):
        with following(log, servers, topic, tmp_path) as process:
            wait_for(partial(has_calls, servers, topic, count), f"{count} calls in the topic")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
        assert len(queued(in_topic(servers, topic))) == count
        with log.open("ab") as file:
            file.writelines(call(2_000))


def test_a_record_holds_the_events_of_one_call_or_agent(broker: Broker, topic: str, tmp_path: Path) -> None:
    """Its key is the call or agent: all events of a call are in one partition, as a group shares out partitions."""
    log = tmp_path / "queue_log"
    log.write_bytes(b"".join(line for number in range(500) for line in call(number)))
    to = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    assert run("source", "asterisk", "--queue-log", str(log), *to).returncode == 0
    records = [(key.decode(), [*map(msgspec.json.decode, v.split(b"\n"))]) for key, v in records_in(to[1], topic)]
    assert max(len(events) for _, events in records) > 1
    assert [key for key, events in records for e in events if key != (e.get("call_id") or e["agent"])] == []


def queued(lines: list[bytes]) -> list[bytes]:
    return [one for one in lines if b'"call.queued"' in one]


def has_calls(servers: str, topic: str, count: int) -> bool:
    return len(queued(in_topic(servers, topic))) >= count


def test_nothing_is_lost_while_the_broker_is_away(tmp_path: Path) -> None:
    log, port, topic = tmp_path / "queue_log", free_port(), "away"
    servers = f"127.0.0.1:{port}"
    log.write_bytes(b"".join(call(0)))
    with ExitStack() as stack:
        with running_broker(port):
            process = stack.enter_context(following(log, servers, topic, tmp_path))
            wait_for(partial(has_calls, servers, topic, 1), "the first call")
        with log.open("ab") as file:
            file.writelines(call(1))
        wait_for(lambda: "does not acknowledge" in (tmp_path / "source.log").read_text(), "its absence to be told")
        with running_broker(port):  # another source process, which knows nothing of the first call
            wait_for(partial(has_calls, servers, topic, 1), "what was written meanwhile")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0


def reading_pipe(servers: str, topic: str, home: Path) -> "subprocess.Popen[bytes]":
    options = ("--queue-log", "-", "--bootstrap-servers", servers, "--topic", topic, "--source", "pbx")
    with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
        return subprocess.Popen(
            command("source", "asterisk", *options),
            stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=ROOT, env=environment(),
        )  # fmt: skip


def write_until_read(process: "subprocess.Popen[bytes]", lines: list[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"".join(lines))
    process.stdin.flush()
    descriptor, unread = process.stdin.fileno(), array("i", [0])
    wait_for(lambda: ioctl(descriptor, FIONREAD, unread) == 0 and unread[0] == 0, "the pipe to be read")


def test_what_was_read_of_a_pipe_is_sent_before_a_signal_stops(broker: Broker, topic: str, tmp_path: Path) -> None:
    servers, lines = broker.bootstrap_servers, call(0)
    with reading_pipe(servers, topic, tmp_path) as process:
        write_until_read(process, lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    assert set(in_topic(servers, topic)) == events(lines)
    assert (tmp_path / "out").read_text().startswith(f"{len(events(lines))} events; acknowledged by")


def test_a_pipe_that_cannot_be_sent_is_no_success(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        with running_broker(port):
            process = stack.enter_context(reading_pipe(f"127.0.0.1:{port}", "away", tmp_path))
            write_until_read(process, call(0))
        write_until_read(process, call(1))
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: "does not acknowledge" in (tmp_path / "err").read_text(), "the broker's absence to be told")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 1
    assert (tmp_path / "err").read_text().splitlines()[-1].startswith("vigie: Stopped before Kafka acknowledged")
    assert int((tmp_path / "out").read_text().split()[0]) < len(events([*call(0), *call(1)]))


def test_a_followed_log_is_printed_as_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(b"".join(call(0)))
    with subprocess.Popen(
        command("source", "asterisk", "--follow", "--print", "--queue-log", str(log)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(),
    ) as process:
        assert process.stdout
        for number in range(2):
            assert f'"asterisk/{call(number)[0].split(b"|")[1].decode()}/q"' in process.stdout.readline().decode()
            while b"call.ended" not in process.stdout.readline():
                pass
            process.stdout.readline()  # and the agent is available again
            with log.open("ab") as file:
                file.writelines(call(number + 1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
