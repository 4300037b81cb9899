"""`python -m ingest broker` and `python -m ingest send`, run as processes."""

import argparse
import datetime as dt
import gzip
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from ingest import send
from ingest.errors import UsageError, VigieError
from ingest.topic.broker import Broker, ensure_topic, running_broker
from ingest.topic.producing import deliver, open_producer
from metrics import clock
from tests.support.processes import ROOT, WITHIN_S, command, environment, free_port

pytestmark = pytest.mark.slow

BANK = ROOT / "samples" / "bank_1999_02.ndjson.gz"
NOON = dt.datetime(2026, 9, 22, 12, tzinfo=dt.UTC)


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        timeout=WITHIN_S,
        cwd=ROOT,
        env=environment(),
        check=False,
    )


def one_sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the error of a failed command, which must be a single line that starts with `vigie:`."""
    error = done.stderr.decode()
    assert done.returncode in (1, 2), error
    assert error.startswith("vigie: "), error
    assert error.count("\n") == 1, error
    return error


def until(condition: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def sent(broker: Broker, topic: str) -> Iterator[Callable[[int], list[tuple[bytes, bytes, int]]]]:
    """A function that waits for `n` records in the topic and returns all as (key, value, partition)."""
    records: list[tuple[bytes, bytes, int]] = []
    with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, fetch_max_wait_ms=50)) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)

        def read(n: int) -> list[tuple[bytes, bytes, int]]:
            deadline = time.monotonic() + 20
            while len(records) < n and time.monotonic() < deadline:
                for batch in consumer.poll(timeout_ms=200).values():
                    records.extend((record.key, record.value, record.partition) for record in batch)
            assert len(records) == n
            return records

        yield read


def event(second: float, call_id: str = "c1", **fields: object) -> dict[str, object]:
    ts = (NOON + dt.timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    return {"event_id": f"{call_id}-{second}", "type": "call.ended", "ts": ts, "call_id": call_id, **fields}


def ndjson(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


# The broker


@contextmanager
def broker_command(port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command("broker", "--port", str(port), "--partitions", "3"),
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    assert process.stderr is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_broker_prints_one_line_when_ready_and_exits_with_0(stop: signal.Signals) -> None:
    port = free_port()
    with broker_command(port) as process:
        assert process.stderr is not None
        assert f"ready at 127.0.0.1:{port}, topic call-events" in process.stderr.readline().decode()
        with closing(KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}")) as admin:
            assert len(admin.describe_topics(["call-events"])[0]["partitions"]) == 3
        process.send_signal(stop)
        assert process.wait(WITHIN_S) == 0
        assert process.stderr.read() == b""
    assert not listens(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_broker_ends_when_its_command_is_killed() -> None:
    port = free_port()
    with broker_command(port) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
        assert until(lambda: not listens(port))


def test_a_broker_that_dies_is_reported() -> None:
    port = free_port()
    with broker_command(port) as process:
        assert process.stderr is not None
        process.stderr.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            pytest.skip("children are found in Linux's /proc")
        os.kill(int(children.read_text()), signal.SIGKILL)
        assert process.wait(WITHIN_S) == 1
        assert "stopped unexpectedly" in process.stderr.read().decode()


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = one_sentence(run("broker", "--port", str(port)))
    assert f"Port {port} on 127.0.0.1 is in use" in error
    assert "--port" in error


def test_an_invalid_port_is_one_sentence() -> None:
    assert "'65536' is not a port" in one_sentence(run("broker", "--port=65536"))


def test_the_broker_listens_on_this_machine_only(broker: Broker) -> None:
    port = int(broker.bootstrap_servers.split(":")[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", port))  # fails if the broker listens on 0.0.0.0
        probe.listen()


def test_each_start_is_another_cluster_on_the_requested_port() -> None:
    port = free_port()
    with running_broker(port) as first:
        assert listens(port)
    with running_broker(port) as second:
        assert second.bootstrap_servers == first.bootstrap_servers == f"127.0.0.1:{port}"
        with closing(KafkaAdminClient(bootstrap_servers=second.bootstrap_servers)) as admin:
            assert admin.describe_cluster()["cluster_id"] == second.cluster_id != first.cluster_id


def test_a_topic_that_exists_keeps_its_partitions(broker: Broker, topic: str) -> None:
    ensure_topic(broker.bootstrap_servers, topic, partitions=9)
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
        assert len(admin.describe_topics([topic])[0]["partitions"]) == 4


def test_a_topic_name_that_kafka_forbids_is_a_usage_error(broker: Broker) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        ensure_topic(broker.bootstrap_servers, "call events")


def test_a_missing_broker_binary_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(VigieError, match="no embedded broker for this machine"), running_broker():
        pass


# Sending


def test_every_line_arrives_once_and_unchanged(
    broker: Broker, topic: str, tmp_path: Path, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    call = b'{"call_id":"c1","amount":1.10,  "extra":{"a":[1,2]}}'
    agent = b'{"agent":"nadia","type":"agent.state"}'
    broken = b'{"call_id": "c2", '
    latin = b'{"call_id":"\xe9"}'
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([call, b"", agent, b"  \r", broken, latin, call]))  # without a newline at the end
    done = run("send", str(file), "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"5 lines acknowledged by {broker.bootstrap_servers}, topic {topic}\n"
    assert Counter((key, value) for key, value, _ in sent(5)) == Counter(
        {(b"c1", call): 2, (b"nadia", agent): 1, (b"", broken): 1, (b"", latin): 1}
    )


def test_the_events_of_a_call_share_a_partition(
    broker: Broker, topic: str, tmp_path: Path, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(*(event(n, f"c{n % 20}") for n in range(200))))
    assert run("send", str(file), "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic).returncode == 0
    partitions: dict[bytes, set[int]] = {}
    for key, _, partition in sent(200):
        partitions.setdefault(key, set()).add(partition)
    assert all(len(numbers) == 1 for numbers in partitions.values())
    assert len(set.union(*partitions.values())) > 1


def test_it_is_known_where_the_records_that_were_sent_end(
    broker: Broker, topic: str, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    records = [(f"c{n}".encode(), b"x" * 1_000) for n in range(2_000)]  # several batches
    ends: dict[int, int] = {}
    with closing(open_producer(broker.bootstrap_servers, compression="lz4")) as producer:
        deliver(producer, topic, records[:1_500], ends=ends)
        first = Counter(partition for _, _, partition in sent(1_500))
        assert ends == first
        deliver(producer, topic, records[1_500:], ends=ends)
    assert ends == Counter(partition for _, _, partition in sent(2_000)) != first


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("speed", ["max", "1000"], ids=["as it comes", "spooled"])
def test_standard_input(
    broker: Broker,
    topic: str,
    packed: bool,
    speed: str,
    sent: Callable[[int], list[tuple[bytes, bytes, int]]],
) -> None:
    lines = ndjson(event(0), event(1), event(2))
    done = run(
        *("send", "-", "--speed", speed),
        *("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic),
        stdin=gzip.compress(lines) if packed else lines,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(value for _, value, _ in sent(3)) == sorted(lines.splitlines())


def test_a_line_from_a_pipe_is_sent_while_the_pipe_stays_open(
    broker: Broker, topic: str, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    with subprocess.Popen(
        command("send", "-", "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        process.stdin.write(ndjson(event(0)))
        process.stdin.flush()
        assert len(sent(1)) == 1
        assert process.poll() is None


def test_the_bank_file_holds_what_its_readme_says() -> None:
    with gzip.open(BANK) as file:
        events = [json.loads(line) for line in file]
    assert len(events) == 89_350
    assert len({event["event_id"] for event in events}) == 89_350
    assert len({event["call_id"] for event in events}) == 31_094
    assert {event["campaign"] for event in events} == {f"bank-{name}" for name in ("ps", "nw", "ne", "tt", "in", "pe")}


def test_a_missing_file_a_directory_and_an_invalid_speed_are_one_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "none.ndjson"
    assert f"{missing} cannot be read (No such file" in one_sentence(run("send", str(missing)))
    assert "Is a directory" in one_sentence(run("send", str(tmp_path)))
    assert "neither max nor a number above 0" in one_sentence(run("send", str(missing), "--speed=fast"))
    assert "cannot be used" in one_sentence(run("send", str(missing), "--topic", "call events"))


@pytest.mark.parametrize("speed", ["", "fast", "0", "-1", "inf", "nan"])
def test_an_invalid_speed_is_refused(speed: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="neither max nor a number above 0"):
        send._speed(speed)


@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_a_damaged_gzip_file_is_sent_up_to_the_damage(broker: Broker, topic: str, tmp_path: Path, damage: str) -> None:
    complete = gzip.compress(ndjson(*(event(second, f"c{second * 7919 % 1000}") for second in range(20_000))))
    middle = len(complete) // 2
    file = tmp_path / "events.gz"
    file.write_bytes(complete[:middle] + (b"" if damage == "cut" else b"\xff" * 1_000 + complete[middle + 1_000 :]))
    error = one_sentence(run("send", str(file), "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic))
    assert f"{file} cannot be read to its end" in error  # followed by the reason
    lines_before = int(error.split("; ")[1].split(" lines")[0])
    assert 0 < lines_before < 20_000


def test_a_missing_broker_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(event(0)))
    error = one_sentence(run("send", str(file), "--bootstrap-servers", f"127.0.0.1:{free_port()}"))
    assert "--bootstrap-servers" in error


def test_shifting_makes_the_newest_event_now_and_changes_nothing_else(
    broker: Broker, topic: str, tmp_path: Path, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    file = tmp_path / "events.ndjson"
    old = event(0.123456, "a", amount=1.5, extra={"b": [1, None]})
    new = event(60.5, "b", asked_for_human_at="2026-09-22T13:00:30+01:00")
    file.write_bytes(ndjson(new, old) + b"no json\n" + ndjson({"call_id": "c", "ts": "yesterday"}))
    before = clock.now()
    arguments = ("--shift-to-now", "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    assert run("send", str(file), *arguments).returncode == 0
    after = clock.now()
    values = {key: value for key, value, _ in sent(4)}
    moved_old, moved_new = json.loads(values[b"a"]), json.loads(values[b"b"])
    newest = dt.datetime.fromisoformat(moved_new["ts"])
    assert before <= newest <= after
    assert moved_new["ts"].endswith("Z")
    assert newest - dt.datetime.fromisoformat(moved_old["ts"]) == dt.timedelta(seconds=60.376544)
    assert newest - dt.datetime.fromisoformat(moved_new["asked_for_human_at"]) == dt.timedelta(seconds=30.5)
    assert {**moved_old, "ts": old["ts"]} == old
    assert values[b"c"] == b'{"call_id": "c", "ts": "yesterday"}'
    assert values[b""] == b"no json"


@pytest.mark.parametrize(
    ("speed", "oldest_s", "newest_s"),
    [
        pytest.param(1.0, 0, 600, id="real time: the oldest at now, the newest at 600 s, when it is sent"),
        pytest.param(60.0, -590, 10, id="60 x: the newest at 600/60 = 10 s, when it is sent"),
        pytest.param(0.5, 0, 600, id="half: the oldest at now, the newest at 600 s, sent at 1200 s"),
        pytest.param(send.MAX_SPEED, -600, 0, id="max: the newest at now"),
    ],
)
def test_no_shifted_event_is_in_the_future_when_sent(speed: float, oldest_s: float, newest_s: float) -> None:
    oldest, newest = NOON, NOON + dt.timedelta(seconds=600)
    now = NOON + dt.timedelta(days=30)
    by = send._shift(oldest, newest, now, speed)
    assert (oldest + by - now).total_seconds() == oldest_s
    assert (newest + by - now).total_seconds() == newest_s
    for elapsed in (0, 100, 300, 599, 600):
        sent_at = now + dt.timedelta(seconds=elapsed / speed)
        assert oldest + dt.timedelta(seconds=elapsed) + by <= sent_at + dt.timedelta(milliseconds=1)


def test_a_paced_replay_keeps_the_intervals_between_events() -> None:
    # at 100 x: three events at once, then one 20 s (0.2 s) later, then two 30 s (0.3 s) after that
    lines = ndjson(*(event(second) for second in (0, 0, 0, 20, 50, 50)))
    source = io.BytesIO(lines)
    started = time.monotonic()
    batches = [
        (time.monotonic() - started, len(batch))
        for batch in send._batches(source, send._span(source), speed=100, shift=False)
        if batch
    ]
    counts: Counter[float] = Counter()
    for at, count in batches:
        counts[0.0 if at < 0.2 else 0.2 if at < 0.5 else 0.5] += count
    assert sum(counts.values()) == 6
    # an event is never early, and late only on a busy machine
    assert counts[0.0] <= 3
    assert counts[0.0] + counts[0.2] <= 4
    assert batches[-1][0] >= 0.5


def test_a_paced_replay_is_stopped_by_sigterm_in_one_sentence(
    broker: Broker, topic: str, tmp_path: Path, sent: Callable[[int], list[tuple[bytes, bytes, int]]]
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(ndjson(event(0, "first"), event(3600, "an hour later")))
    process = subprocess.Popen(
        command(
            *("send", str(file), "--speed", "1"),
            *("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    assert sent(1)[0][0] == b"first"
    process.terminate()
    stdout, stderr = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, stdout) == (1, b"")
    # 0 if it is stopped after the record arrives and before it is acknowledged
    assert re.match(r"vigie: Stopped after [01] lines were acknowledged;[^\n]*\n$", stderr.decode())
