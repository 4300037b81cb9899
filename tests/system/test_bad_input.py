"""A consumer reports bad input in one sentence, keeps what it committed, and goes on once the fault is fixed."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest
from kafka import KafkaAdminClient

from ingest.topic.broker import Broker, ensure_topic
from tests.support.disks import Disk
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    catch_up,
    command,
    consumer,
    consumer_log,
    count_calls,
    environment,
    floor,
    free_port,
    one_sentence,
    options,
    queued,
    run,
    send,
    status,
    stop,
    totals,
    wait_for,
)

pytestmark = pytest.mark.slow


def refused(*arguments: str) -> str:
    """Return the one sentence with which `run` failed."""
    return one_sentence(run("run", *arguments))


@dataclass
class Kept:
    """A data directory with 300 calls, and their topic, which now holds 400."""

    place: Path
    servers: str
    topic: str

    def refused(self, campaigns: Path | None = None) -> str:
        return refused(*options(self.place, self.servers, self.topic, campaigns))

    def goes_on(self) -> None:
        """Check that the stored calls are kept and the rest are read."""
        catch_up(self.place, self.servers, self.topic)
        assert count_calls(self.place) == status(self.place)["events"] == 400


@pytest.fixture(scope="module")
def made(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    place, topic = tmp_path_factory.mktemp("kept"), f"kept-{uuid.uuid4().hex[:12]}"
    ensure_topic(broker.bootstrap_servers, topic)
    send(broker.bootstrap_servers, topic, [queued(n) for n in range(300)])
    catch_up(place, broker.bootstrap_servers, topic)
    send(broker.bootstrap_servers, topic, [queued(n) for n in range(300, 400)])
    return Kept(place, broker.bootstrap_servers, topic)


@pytest.fixture
def kept(made: Kept, tmp_path: Path) -> Kept:
    shutil.copytree(made.place, tmp_path / "kept")
    return replace(made, place=tmp_path / "kept")


# The command line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("--partitions", "3"), "there is no option --partitions; see `python -m ingest", id="option"),
        pytest.param(("extra",), "a word too many, or an option before it is missing; see `python", id="word"),
        pytest.param(("--topic",), "--topic: expected one argument; see `python -m ingest", id="no value"),
    ],
)
def test_an_unknown_option(arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(*arguments)


@pytest.mark.parametrize("line", ["--sasl-password hush", "--sasl-password=hush", "hush", "--sasl-password -hush"])
def test_a_password_on_the_command_line_is_not_repeated(line: str) -> None:
    assert "hush" not in refused(*line.split())


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--port", "99999", "'99999' is not a port from 1024 to 65535"),
        ("--broker-port", "-1", "'-1' is not a port from 1024 to 65535"),
        ("--agents", "0", "'0' is not a whole number from 8 to 5000"),
        ("--agents", "-5", "'-5' is not a whole number from 8 to 5000"),
        ("--seed", "one", "'one' is not a whole number from 0 to"),
    ],
)
def test_a_demo_refuses_an_invalid_number(tmp_path: Path, option: str, value: str, says: str) -> None:
    error = one_sentence(run("demo", "--data-dir", str(tmp_path / "data"), option, value))
    assert f"argument {option}: {says}" in error
    assert "`python -m ingest demo --help`" in error
    assert not (tmp_path / "data").exists()


def test_a_demo_refuses_the_same_port_twice(tmp_path: Path) -> None:
    error = one_sentence(run("demo", "--data-dir", str(tmp_path / "data"), "--port", "9092"))
    assert "cannot both have port 9092; choose two ports" in error


def test_an_unknown_command() -> None:
    assert "choose from 'run', 'send'" in one_sentence(run("runn"))


# The broker


def test_a_missing_broker_and_an_unknown_topic_leave_the_store_unchanged(kept: Kept) -> None:
    server = f"127.0.0.1:{free_port()}"
    error = refused("--bootstrap-servers", server, "--data-dir", str(kept.place))
    assert f"Kafka at {server} does not answer" in error
    assert "start it, or name another with --bootstrap-servers" in error
    error = refused(*options(kept.place, kept.servers, "cal-events"))
    assert "has no topic cal-events; create it, or name another with --topic" in error
    with closing(KafkaAdminClient(bootstrap_servers=kept.servers)) as admin:
        assert "cal-events" not in admin.list_topics()  # the request did not create it
    kept.goes_on()


# The configuration


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[campaigns.x]\nname = ", "not valid TOML", id="not TOML"),
        pytest.param("[campaigns.x]\nname = 'X'\ncolour = 'red'\n", "line 3: unknown key `colour`", id="unknown key"),
        pytest.param("[defaults]\ntimezone = 'Europe/Pariss'\n", "line 2: `timezone` is", id="unknown zone"),
        pytest.param(None, "cannot be read (No such file or directory); set VIGIE_CAMPAIGNS", id="missing"),
    ],
)
def test_a_broken_configuration(kept: Kept, tmp_path: Path, text: str | None, says: str) -> None:
    campaigns = tmp_path / "campaigns.toml"
    if text is not None:
        campaigns.write_text(text)
    store = (kept.place / "store.duckdb").read_bytes()
    error = kept.refused(campaigns)
    assert str(campaigns) in error
    assert says in error
    assert (kept.place / "store.duckdb").read_bytes() == store


# The data directory


def test_a_data_directory_that_is_a_file_or_cannot_be_created(broker: Broker, topic: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below", Path("/proc/vigie")):
        error = refused(*options(place, broker.bootstrap_servers, topic))
        assert f"{place} cannot be made (" in error
        assert "choose another --data-dir" in error
        assert refused_demo(place).startswith(f"vigie: {place} cannot be made or written (")


def refused_demo(place: Path) -> str:
    """Return the sentence of a demo that could not use its data directory."""
    ports = ("--port", str(free_port()), "--broker-port", str(free_port()))
    error = one_sentence(run("demo", "--data-dir", str(place), *ports))
    assert "choose another --data-dir (VIGIE_DATA_DIR)" in error
    return error


def test_a_folder_for_the_published_file_that_cannot_be_created(broker: Broker, topic: str, tmp_path: Path) -> None:
    (tmp_path / "published").touch()
    error = refused(*options(tmp_path, broker.bootstrap_servers, topic))
    assert str(tmp_path / "published") in error


def test_a_folder_in_place_of_the_store(broker: Broker, topic: str, tmp_path: Path) -> None:
    (tmp_path / "store.duckdb").mkdir()
    error = refused(*options(tmp_path, broker.bootstrap_servers, topic))
    assert f"{tmp_path}/store.duckdb cannot be opened" in error


def test_a_second_consumer_is_refused_and_the_first_goes_on(kept: Kept, topic: str) -> None:
    with consumer(kept.place, kept.servers, topic) as process:
        wait_for(lambda: "topic opened" in consumer_log(kept.place), "the topic is opened")
        error = kept.refused()
        assert "store.duckdb is in use by another consumer; stop that one, or give this one another --data-dir" in error
        send(kept.servers, topic, [queued(n) for n in range(300, 350)])
        wait_for(lambda: count_calls(kept.place) == 350, "the calls of the first consumer")
        stop(process, kept.place)
    kept.goes_on()


def garbage(store: Path) -> None:
    store.write_bytes(os.urandom(100_000))


def truncated(store: Path) -> None:
    os.truncate(store, store.stat().st_size // 2)


@pytest.mark.parametrize(("damage", "remedy"), [(garbage, "rebuild"), (truncated, "restore it")])
def test_a_corrupt_store_is_reported_and_kept_until_it_is_restored_or_rebuilt(
    kept: Kept, tmp_path: Path, damage: Callable[[Path], None], remedy: str
) -> None:
    store, backup = kept.place / "store.duckdb", tmp_path / "backup.duckdb"
    shutil.copy(store, backup)
    damage(store)
    corrupt = store.read_bytes()
    error = kept.refused()
    assert f"{store} cannot be opened" in error
    assert "restore the whole data directory from a backup, or run `python -m ingest rebuild`" in error
    assert store.read_bytes() == corrupt
    assert count_calls(kept.place) == 300  # the published file stays readable
    if remedy == "restore it":
        shutil.copy(backup, store)
    else:
        done = run("rebuild", "--data-dir", str(kept.place))
        assert done.returncode == 0, done.stderr
    kept.goes_on()


def test_damage_found_only_while_reading_rows_is_reported(kept: Kept) -> None:
    """Opening a store reads little more than the list of its tables."""
    store = kept.place / "store.duckdb"
    with duckdb.connect(str(store), read_only=True) as connection:
        blocks = connection.execute(
            "SELECT DISTINCT block_id FROM pragma_storage_info('events') WHERE column_name = 'raw' AND block_id >= 0"
        ).fetchall()
    assert blocks
    with store.open("r+b") as file:
        for (block,) in blocks:
            file.seek(12_288 + block * 262_144 + 1_000)
            file.write(os.urandom(64))
    assert "; restore" in (error := kept.refused())
    assert "the whole data directory from a backup, or run `python -m ingest rebuild`" in error


# The disk


def test_a_read_only_data_directory(kept: Kept, disk: Disk) -> None:
    kept.place = shutil.copytree(kept.place, disk.place / "data")
    disk.resize("64m", Disk.MS_RDONLY)
    error = kept.refused()
    assert "cannot be written; give its folder to this user, or choose another --data-dir" in error
    error = refused(*options(disk.place / "new", kept.servers, kept.topic))
    assert "cannot be made (Read-only file system); choose another --data-dir" in error
    for place in (kept.place, disk.place / "new"):
        assert f"{place} cannot be made or written (Read-only file system)" in refused_demo(place)
    assert count_calls(kept.place) == 300
    disk.resize("64m")
    kept.goes_on()


@pytest.mark.parametrize("left_kib", [0, 300, 900])
def test_a_full_disk(kept: Kept, disk: Disk, left_kib: int, broker: Broker, topic: str) -> None:
    place = shutil.copytree(kept.place, disk.place / "data")
    send(broker.bootstrap_servers, topic, floor(5_000))
    disk.resize(f"{disk.used_kib() + left_kib}k")
    error = refused(*options(place, broker.bootstrap_servers, topic))
    assert str(disk.place) in error
    assert "free" in error  # the remedy
    assert count_calls(place) >= 300  # the published file stays readable
    disk.resize("64m")
    catch_up(place, broker.bootstrap_servers, topic)
    assert (totals(place)["records"], status(place)["events"]) == (5_300, 5_300)


def test_a_file_size_limit(kept: Kept, broker: Broker, topic: str) -> None:
    send(broker.bootstrap_servers, topic, floor(10_000))
    limit = (kept.place / "store.duckdb").stat().st_size // 1024 + 256
    limited = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "-"]
    done = subprocess.run(
        [*limited, *command("run", *options(kept.place, broker.bootstrap_servers, topic), "--until-caught-up")],
        capture_output=True,
        encoding="utf-8",
        timeout=WITHIN_S,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    assert str(kept.place) in one_sentence(done)
    assert count_calls(kept.place) >= 300
    catch_up(kept.place, broker.bootstrap_servers, topic)
    assert (totals(kept.place)["records"], status(kept.place)["events"]) == (10_300, 10_300)


@pytest.mark.parametrize(
    "arguments",
    [("doctor",), ("simulate", "--print"), ("source", "asterisk", "--queue-log", "samples/queue_log", "--print")],
    ids=lambda arguments: arguments[0],
)
def test_a_closed_pipe_ends_a_command_quietly(arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(), bufsize=0
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        error = process.stderr.read().decode()
        assert process.wait(WITHIN_S) == 0
    assert "Traceback" not in error and "Exception" not in error


def test_the_bank_month_is_not_mixed_into_another_store(tmp_path: Path, broker: Broker, topic: str) -> None:
    send(broker.bootstrap_servers, topic, [queued(1)])
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    error = one_sentence(run("bank", VIGIE_DATA_DIR=str(tmp_path)))
    assert f"{tmp_path} holds calls of the topic {topic}" in error
    assert count_calls(tmp_path) == 1
