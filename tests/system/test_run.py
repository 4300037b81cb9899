"""`python -m ingest run` as a process that reads the embedded broker: killed, stopped, disconnected, queried."""

import datetime as dt
import gzip
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kafka import KafkaAdminClient

from ingest.bank import FIGURES
from ingest.topic.broker import Broker, ensure_topic, running_broker
from ingest.topic.producing import deliver, open_producer
from metrics.clock import now
from tests.support.auditor import Visit, counted, visits, workload
from tests.support.forks import Program
from tests.support.processes import (
    NOON,
    ROOT,
    WITHIN_S,
    Event,
    catch_up,
    consumer,
    consumer_log,
    count_calls,
    differences,
    environment,
    floor,
    options,
    published,
    published_rows,
    queued,
    rows,
    run,
    send,
    status,
    stop,
    totals,
    wait_for,
)

pytestmark = pytest.mark.slow

BANK = ROOT / "samples" / "bank_1999_02.ndjson.gz"
BANK_CAMPAIGNS = ROOT / "samples" / "bank.toml"
BANK_MONTH = "FROM kpi_campaign(TIMESTAMPTZ '1999-01-31 22:00:00Z', TIMESTAMPTZ '1999-02-28 22:00:00Z')"
BANK_FORMULAS = BANK_MONTH.replace("kpi_campaign", "kpi_formulas")
FLOOR_DAYS = "FROM kpi_campaign(TIMESTAMPTZ '2024-03-03 00:00:00Z', TIMESTAMPTZ '2024-03-07 00:00:00Z')"
#: Without the seconds of open states, which depend on the clock.
STATES = "SELECT * REPLACE (CASE WHEN ended_at IS NOT NULL THEN seconds END AS seconds) FROM agent_states"
EVERYTHING = ("FROM calls", STATES, "FROM agents", FLOOR_DAYS)
KILLS = int(os.environ.get("KILLS", "5"))  # set it higher for a soak test


def another_topic(servers: str) -> str:
    name = f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(servers, name)
    return name


# A month of real calls


@pytest.fixture(scope="module")
def bank(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a consumer that read the bank's month in order."""
    topic, place = another_topic(broker.bootstrap_servers), tmp_path_factory.mktemp("bank")
    sent = run("send", str(BANK), "--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    assert sent.returncode == 0, sent.stderr
    catch_up(place, broker.bootstrap_servers, topic, BANK_CAMPAIGNS)
    return place


def test_the_bank_month_has_its_published_figures(bank: Path) -> None:
    *_, (campaign, offered, answered, abandoned, asa_s, aht_s, percent_in_20_s) = rows(bank, FIGURES)
    assert (campaign, offered, answered, abandoned) == ("all", 31_094, 27_162, 3_932)
    assert asa_s == pytest.approx(40.7743, abs=0.00005)
    assert aht_s == pytest.approx(176.353, abs=0.0005)
    assert percent_in_20_s == pytest.approx(52.129, abs=0.0005)
    ingest_status = status(bank)
    assert (
        ingest_status["records"],
        ingest_status["events"],
        ingest_status["duplicates"],
        ingest_status["dead_letters"],
    ) == (89_350, 89_350, 0, 0)
    assert ingest_status["lag"] == 0
    assert ingest_status["store_bytes"] > 0 and ingest_status["disk_free_bytes"] > 0
    assert rows(bank, "SELECT count(*), sum(position), sum(lag) FROM feed_partitions") == [(4, 89_350, 0)]
    assert rows(bank, "SELECT source, events FROM feed_sources") == [("default", 89_350)]
    assert rows(bank, "SELECT bool_and(conserved) FROM conservation_checks") == [(True,)]


def test_an_independent_count_gives_the_same_figures_for_the_bank_month(bank: Path) -> None:
    """Count months, days, one day by half hours, and agents again from the recording, and compare."""
    zone = ZoneInfo("Asia/Jerusalem")
    by_campaign: dict[str, list[Visit]] = defaultdict(list)
    by_day: dict[tuple[str, dt.date], list[Visit]] = defaultdict(list)
    for visit in visits(BANK):
        by_campaign[visit.campaign].append(visit)
        by_day[visit.campaign, dt.datetime.fromtimestamp(visit.queued, zone).date()].append(visit)

    def agree(measured: dict[str, Any], expected: dict[str, Any], about: object) -> None:
        for name in measured.keys() & expected.keys():
            value = expected[name]
            assert measured[name] == (None if value is None else pytest.approx(value, rel=1e-9)), (about, name)

    for query in (BANK_MONTH, BANK_FORMULAS):
        month = published_rows(bank, query)
        assert {row["campaign"] for row in month} == by_campaign.keys() and len(by_campaign) == 6
        for row in month:
            agree(row, counted(by_campaign[row["campaign"]]), row["campaign"])
    days = published_rows(bank, "FROM kpi_daily")
    assert len(days) == 6 * 28 and {(row["campaign"], row["day"]) for row in days} > by_day.keys()
    for row in days:
        agree(row, counted(by_day[row["campaign"], row["day"]]), (row["campaign"], row["day"]))
    busiest = max(by_day, key=lambda key: len(by_day[key]))[1]
    t0 = dt.datetime.combine(busiest, dt.time(), zone)
    intervals = published_rows(bank, f"FROM kpi_interval('{t0}', '{t0 + dt.timedelta(days=1)}', 30)")
    assert len(intervals) == 6 * 48
    for row in intervals:
        begin, end = row["interval_start"].timestamp(), row["interval_end"].timestamp()
        own = [visit for visit in by_campaign[row["campaign"]] if begin <= visit.queued < end]
        expected = counted(own) | {"workload_s": workload(by_campaign[row["campaign"]], begin, end)}
        agree(row, expected, (row["campaign"], row["interval_start"]))
    agents = {row["agent"]: row for row in published_rows(bank, BANK_MONTH.replace("kpi_campaign", "kpi_agent"))}
    everybody = [visit for visits_of in by_campaign.values() for visit in visits_of if visit.answered is not None]
    for agent, row in agents.items():
        own = [visit for visit in everybody if visit.agent == agent]
        assert (row["answered"], row["handled"]) == (len(own), len(own))
        assert row["workload_s"] == pytest.approx(workload(own, 0, 1e10))


def test_the_bank_month_shuffled_and_sent_twice_in_pieces_gives_the_same_rows(
    bank: Path, broker: Broker, topic: str, tmp_path: Path
) -> None:
    with gzip.open(BANK) as file:
        lines = file.read().splitlines() * 2
    random.Random(1).shuffle(lines)
    records = [b"\n".join(lines[n : n + 10]) for n in range(0, len(lines), 10)]
    for piece in (records[0::3], records[1::3], records[2::3]):
        send(broker.bootstrap_servers, topic, piece)
        catch_up(tmp_path, broker.bootstrap_servers, topic, BANK_CAMPAIGNS)
    assert differences(bank, tmp_path, "FROM calls", "FROM agents", BANK_MONTH, "FROM kpi_daily") == {}
    ingest_status = status(tmp_path)
    assert (ingest_status["records"], ingest_status["events"], ingest_status["duplicates"]) == (17_870, 89_350, 89_350)


# Killed and stopped


def test_kills_at_any_moment_lose_duplicate_and_corrupt_nothing(broker: Broker, topic: str, tmp_path: Path) -> None:
    place, untouched = tmp_path / "killed", tmp_path / "untouched"
    chance = random.Random(2)
    values: list[Any] = floor(6_000)
    values += chance.sample(values, 2_000) + [b"not JSON %d" % n for n in range(60)]
    chance.shuffle(values)
    pieces = [values[n::KILLS] for n in range(KILLS)]
    calls = records = 0
    for piece in pieces:
        send(broker.bootstrap_servers, topic, piece)
        with consumer(place, broker.bootstrap_servers, topic) as process:
            wait_for(lambda: "topic opened" in consumer_log(place), "the topic is opened")
            time.sleep(chance.uniform(0, 1))  # not a wait: a random moment for the kill
            process.kill()
            process.wait()
        if published(place).exists():
            ingest_status = status(place)
            assert ingest_status["records"] >= records
            assert len(rows(place, "FROM calls")) >= calls
            assert len(rows(place, "FROM agent_states")) > 0 or ingest_status["records"] == 0
            records, calls = ingest_status["records"], len(rows(place, "FROM calls"))
    catch_up(place, broker.bootstrap_servers, topic)
    catch_up(untouched, broker.bootstrap_servers, topic)
    assert differences(place, untouched, *EVERYTHING, 'FROM dead_letters ORDER BY "partition", "offset"') == {}
    counted = totals(place)
    assert counted == totals(untouched)
    assert counted["records"] == len(values) == counted["records_with_events"] + 60
    assert (counted["lines"] - counted["duplicates"], counted["dead_letters"]) == (6_000, 60)


def test_kills_while_far_behind_give_the_same_rows(bank: Path, broker: Broker, topic: str, tmp_path: Path) -> None:
    """Far behind, calls settle in the same transaction that stores them. No event may be lost in between."""
    chance = random.Random(3)
    with gzip.open(BANK) as file:
        send(broker.bootstrap_servers, topic, file.read().splitlines())
    for _ in range(KILLS):
        with consumer(tmp_path, broker.bootstrap_servers, topic, "--campaigns", str(BANK_CAMPAIGNS)) as process:
            wait_for(lambda: "topic opened" in consumer_log(tmp_path), "the topic is opened")
            time.sleep(chance.uniform(0, 2))  # not a wait: a random moment for the kill
            process.kill()
            process.wait()
    catch_up(tmp_path, broker.bootstrap_servers, topic, BANK_CAMPAIGNS)
    assert differences(bank, tmp_path, "FROM calls", "FROM agents", BANK_MONTH, "FROM kpi_daily") == {}
    ingest_status = status(tmp_path)
    assert (ingest_status["records"], ingest_status["events"], ingest_status["duplicates"], ingest_status["lag"]) == (
        89_350,
        89_350,
        0,
        0,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_finishes_the_batch_publishes_and_exits_with_0(
    broker: Broker, topic: str, tmp_path: Path, number: int
) -> None:
    send(broker.bootstrap_servers, topic, floor(4_000))
    with consumer(tmp_path, broker.bootstrap_servers, topic) as process:
        wait_for(lambda: "topic opened" in consumer_log(tmp_path), "the topic is opened")
        stop(process, tmp_path, number)
    assert status(tmp_path)["records"] == totals(tmp_path)["records"]  # everything stored is published
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    assert status(tmp_path)["events"] == 4_000


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is the allocator of Linux")
@pytest.mark.parametrize("own", [None, "glibc.malloc.check=0"], ids=["by default", "set by its user"])
def test_a_consumer_runs_with_larger_caches_of_the_allocator(
    broker: Broker, topic: str, tmp_path: Path, own: str | None
) -> None:
    arguments = options(tmp_path, broker.bootstrap_servers, topic)
    set_by_user = {"GLIBC_TUNABLES": own} if own else {}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "ingest", "run", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment() | set_by_user, stderr=log)
    try:
        wait_for(lambda: "topic opened" in (tmp_path / "log").read_text(), "the topic is opened")
        variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        assert f"GLIBC_TUNABLES={own or 'glibc.malloc.tcache_count=1000'}".encode() in variables
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()


# Latency


def test_a_quiet_topics_single_event_is_published_as_fast_as_a_busy_ones(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    def seconds_until_published(producer: Any, number: int) -> float:
        started = time.monotonic()
        deliver(producer, topic, [(b"", json.dumps(queued(number, now())).encode())])
        wait_for(lambda: rows(tmp_path, "FROM calls WHERE call_id = ?", [f"c{number}"]), "the call")
        return time.monotonic() - started

    done = threading.Event()

    def keep_busy(producer: Any) -> None:
        for begin in itertools.count(0, 100):
            calls = [queued(n, prefix="busy") for n in range(begin, begin + 100)]
            deliver(producer, topic, [(str(n).encode(), json.dumps(call).encode()) for n, call in enumerate(calls)])
            if done.wait(0.2):
                return

    with (
        closing(open_producer(broker.bootstrap_servers)) as producer,
        closing(open_producer(broker.bootstrap_servers)) as busy_producer,
        consumer(tmp_path, broker.bootstrap_servers, topic) as process,
    ):
        wait_for(lambda: "topic opened" in consumer_log(tmp_path), "the topic is opened")
        quiet_s = min(seconds_until_published(producer, number) for number in range(3))
        sender = threading.Thread(target=keep_busy, args=[busy_producer])
        sender.start()
        try:
            wait_for(lambda: count_calls(tmp_path) > 100, "the busy topic's calls")
            busy_s = min(seconds_until_published(producer, number) for number in range(3, 6))
        finally:
            done.set()
            sender.join()
        stop(process, tmp_path)
    assert quiet_s < 5
    assert busy_s < 5
    assert quiet_s < busy_s + 2


# The broker goes away, the topic is replaced


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@contextmanager
def suspended(process: Program) -> Iterator[None]:
    """Stop the process meanwhile, so that it sees all changes at once afterwards."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def age_s(place: Path) -> float:
    """Return the age of the published data when it was published [s]."""
    ingest_status = status(place)
    return float((ingest_status["published_at"] - ingest_status["as_of"]).total_seconds())


def test_a_broker_that_comes_back_empty_loses_and_duplicates_nothing(place: Path, tmp_path: Path) -> None:
    events = floor(3_000)
    with running_broker() as before:
        servers = before.bootstrap_servers
        port = int(servers.rpartition(":")[2])
        ensure_topic(servers, "call-events")
        send(servers, "call-events", events[:1_500])
        with consumer(place, servers, "call-events") as process:
            wait_for(lambda: status(place).get("events") == 1_500, "what was sent before")
            before.process.kill()
            before.process.wait()
            for _ in range(2):  # publishing goes on for the pages
                published_at = status(place)["published_at"]
                wait_for(lambda: status(place)["published_at"] > published_at, "another publish")  # noqa: B023  used at once
            assert status(place)["events"] == 1_500
            wait_for(lambda: age_s(place) > 4, "an age that grows since Kafka last answered")
            with running_broker(port) as after:
                assert after.cluster_id != before.cluster_id
                ensure_topic(servers, "call-events")
                again = random.Random(3).sample(events, len(events))
                send(servers, "call-events", again)
                wait_for(lambda: status(place)["records"] == 4_500, "all records sent again")
                wait_for(lambda: age_s(place) < 1, "fresh data")
                catch_up(tmp_path / "only after", servers, "call-events")
                stop(process, place)
    assert differences(place, tmp_path / "only after", *EVERYTHING) == {}
    ingest_status = status(place)
    assert (ingest_status["records"], ingest_status["events"], ingest_status["duplicates"]) == (4_500, 3_000, 1_500)


def test_a_broker_replaced_unseen_by_one_with_more_records_is_read_from_its_beginning(place: Path) -> None:
    with running_broker() as before:
        servers = before.bootstrap_servers
        port = int(servers.rpartition(":")[2])
        ensure_topic(servers, "call-events")
        send(servers, "call-events", [queued(n) for n in range(400)])
        with consumer(place, servers, "call-events") as process:
            wait_for(lambda: count_calls(place) == 400, "what was sent before")
            with suspended(process):
                before.process.kill()
                before.process.wait()
                with running_broker(port):
                    ensure_topic(servers, "call-events")
                    send(servers, "call-events", [queued(n, prefix="other") for n in range(1_000)])
                    process.send_signal(signal.SIGCONT)
                    wait_for(lambda: count_calls(place) >= 1_400, "the calls of the other broker")
                    stop(process, place)
    ingest_status = status(place)
    assert (count_calls(place), ingest_status["records"], ingest_status["duplicates"]) == (1_400, 1_400, 0)


@pytest.mark.parametrize("running", [True, False], ids=["while the consumer runs", "between two starts"])
def test_a_topic_recreated_with_more_than_the_stored_offset_is_read_from_its_beginning(
    broker: Broker, topic: str, place: Path, running: bool
) -> None:
    servers = broker.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(400)])

    def recreate() -> None:
        with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
            admin.delete_topics([topic])
        ensure_topic(servers, topic)
        send(servers, topic, [queued(n, prefix="other") for n in range(1_000)])

    if running:
        with consumer(place, servers, topic) as process:
            wait_for(lambda: count_calls(place) == 400, "what was sent before")
            with suspended(process):
                recreate()
            wait_for(lambda: count_calls(place) >= 1_400, "what the new topic holds")
            stop(process, place)
    else:
        catch_up(place, servers, topic)
        recreate()
        catch_up(place, servers, topic)
    ingest_status = status(place)
    assert (count_calls(place), ingest_status["records"], ingest_status["duplicates"]) == (1_400, 1_400, 0)


def test_a_recreated_topic_that_is_shorter_than_the_stored_offset_is_read_too(
    broker: Broker, topic: str, place: Path
) -> None:
    servers = broker.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(400)])
    with consumer(place, servers, topic) as process:
        wait_for(lambda: count_calls(place) == 400, "what was sent before")
        with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
            admin.delete_topics([topic])
        ensure_topic(servers, topic)
        send(servers, topic, [queued(n, prefix="other") for n in range(20)])
        wait_for(lambda: count_calls(place) == 420, "what the new topic holds")
        stop(process, place)
    assert status(place)["records"] == 420


def test_a_consumer_stops_with_0_while_its_broker_is_away(place: Path) -> None:
    with running_broker() as gone:
        ensure_topic(gone.bootstrap_servers, "call-events")
        with consumer(place, gone.bootstrap_servers, "call-events") as process:
            wait_for(lambda: "topic opened" in consumer_log(place), "the topic is opened")
            gone.process.kill()
            gone.process.wait()
            wait_for(lambda: "trying until it does" in consumer_log(place), "a warning that the broker does not answer")
            stop(process, place)


def test_a_consumer_stops_if_its_broker_dies_while_the_topic_is_opened(place: Path) -> None:
    with running_broker() as gone:
        ensure_topic(gone.bootstrap_servers, "call-events")
        with consumer(place, gone.bootstrap_servers, "call-events") as process:
            wait_for(lambda: published(place).exists(), "a first publish, which comes before the topic is open")
            gone.process.kill()
            gone.process.wait()
            process.terminate()
            assert process.wait(WITHIN_S) in (0, 1), consumer_log(
                place
            )  # 1 if it has just reported that Kafka does not answer
    assert "Traceback" not in consumer_log(place)


def test_a_consumer_stops_if_its_broker_does_not_answer_while_the_topic_is_opened(place: Path) -> None:
    with running_broker() as frozen:
        ensure_topic(frozen.bootstrap_servers, "call-events")
        frozen.process.send_signal(signal.SIGSTOP)  # it accepts connections and never answers
        try:
            with consumer(place, frozen.bootstrap_servers, "call-events") as process:
                assert process.wait(WITHIN_S) == 1
        finally:
            frozen.process.send_signal(signal.SIGCONT)
    (message,) = (line for line in consumer_log(place).splitlines() if not line[:1].isdigit())
    assert message.startswith(f"vigie: Kafka at {frozen.bootstrap_servers} does not answer")


# What breaks the contract


def test_every_line_of_every_record_is_an_event_or_a_dead_letter(broker: Broker, topic: str, tmp_path: Path) -> None:
    def line(event: Event) -> bytes:
        return json.dumps(event).encode()

    late = now() + dt.timedelta(minutes=10)
    values = [
        line(queued(1)) + b"\n" + line(queued(2)) + b"\n",
        line(queued(3)) + b"\nnot JSON\n" + line(queued(4)),
        b"one\ntwo",
        line(queued(5) | {"type": "call.teleported"}),
        line(queued(6) | {"ts": late.isoformat()}),
        b'{"event_id":"\xff"}',
        b"[]",
        None,
        b"",
        line(queued(7) | {"new_field": {"of": ["a", "source"]}}),
    ]
    send(broker.bootstrap_servers, topic, values)
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    assert {call for (call,) in rows(tmp_path, "SELECT call_id FROM calls")} == {"c1", "c2", "c3", "c4", "c7"}
    dead = rows(tmp_path, 'SELECT payload, line, reason, topic, "partition", "offset", received_at FROM dead_letters')
    by_payload = sorted((payload, number) for payload, number, *_ in dead)
    teleported, too_late = line(queued(5) | {"type": "call.teleported"}), line(queued(6) | {"ts": late.isoformat()})
    assert len(by_payload) == 9, by_payload  # a record without a line gets a row too
    assert {("not JSON", 2), ("one", 1), ("two", 2), ("[]", 1)} <= set(by_payload)
    assert [number for payload, number in by_payload if payload == ""] == [1, 1]
    assert {payload for payload, _ in by_payload} >= {teleported.decode(), too_late.decode()}
    for _, _, reason, of_topic, partition, offset, received_at in dead:
        assert reason.endswith(".") and "\n" not in reason
        assert of_topic == topic and 0 <= partition < 4 and offset >= 0
        assert abs(received_at - now()) < dt.timedelta(minutes=5)
    counted = totals(tmp_path)
    assert (counted["records"], counted["records_with_events"], counted["dead_letters"]) == (10, 3, 9)
    assert status(tmp_path)["dead_letters"] == 9


# Analysts read while the file is replaced

READER = """
import sys, time, duckdb
def ask(connection):
    return connection.execute("SELECT (SELECT count(*) FROM calls), events, published_at FROM ingest_status").fetchone()
opened, calls, moments = 0, 0, set()
print("reading", flush=True)
while calls < int(sys.argv[2]):
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        count, events, published_at = ask(connection)
    assert count == events, f"{count} calls of {events} events: not all history"
    assert count >= calls, f"{count} calls after {calls}"
    opened, calls = opened + 1, count
    moments.add(published_at)
    time.sleep(0.05)
print(opened, len(moments))
"""

# In another process: within one process, DuckDB shares one database between all connections to a path.
HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
ask = lambda: connection.execute("SELECT count(*), max(call_id) FROM calls").fetchall()
first = ask()
print("holding", *first[0], flush=True)
sys.stdin.readline()
assert ask() == first, "a snapshot that is held open changed"
"""


@contextmanager
def analyst(script: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A Python process that has printed its first line."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_readers_that_reopen_or_hold_the_file_never_fail_and_never_delay_the_writer(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    def send_calls(begin: int, end: int, day: dt.datetime) -> None:
        send(broker.bootstrap_servers, topic, [queued(n, day) for n in range(begin, end)])

    with consumer(tmp_path, broker.bootstrap_servers, topic) as process:
        send_calls(0, 6_000, NOON)
        wait_for(lambda: count_calls(tmp_path) == 6_000, "calls that are settled")
        path = str(published(tmp_path))
        with analyst(HOLDER, path) as holder, analyst(READER, path, "12000") as reader:
            for n in range(6):  # new calls only: some of long ago, some open
                day = NOON + dt.timedelta(days=n) if n % 2 else now() - dt.timedelta(hours=1)
                send_calls(6_000 + n * 1_000, 7_000 + n * 1_000, day)
                wait_for(lambda: count_calls(tmp_path) >= 7_000 + n * 1_000, "what was sent")  # noqa: B023  used at once
            output, errors = reader.communicate(timeout=WITHIN_S)
            assert (reader.returncode, errors) == (0, "")
            _, errors = holder.communicate("\n", timeout=WITHIN_S)
            assert (holder.returncode, errors) == (0, "")
        opened, moments = map(int, output.split())
        assert opened >= moments > 3, output
        stop(process, tmp_path)
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT call_id) FROM calls") == [(12_000, 12_000)]
