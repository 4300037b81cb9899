"""Somebody opens the published file for writing, beside a running consumer and without one."""

import datetime as dt
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ingest.topic.broker import Broker
from metrics.published.opening import foreign_logs
from tests.support.intruder import ANSWERED, POISON, write_and_be_killed
from tests.support.processes import (
    Event,
    catch_up,
    command,
    consumer,
    consumer_log,
    environment,
    options,
    published,
    queued,
    rows,
    run,
    send,
    stop,
    wait_for,
)

pytestmark = pytest.mark.slow

OUTCOMES = "SELECT outcome, count(*) FROM calls GROUP BY outcome"
RIGHT = [("abandoned", 2)]


def abandoned(number: int) -> Iterator[Event]:
    """Yield the events of a call that was abandoned after 30 s."""
    call = queued(number)
    yield call
    ts = dt.datetime.fromisoformat(call["ts"]) + dt.timedelta(seconds=30)
    yield {"event_id": f"a{number}", "type": "call.abandoned", "ts": ts.isoformat(), "call_id": call["call_id"]}


def send_two(servers: str, topic: str) -> None:
    send(servers, topic, [*abandoned(1), *abandoned(2)])


def outcomes(place: Path) -> list[tuple[object, ...]]:
    """Read as any tool does; nothing if the file cannot be opened now."""
    try:
        return rows(place, OUTCOMES)
    except duckdb.Error:
        return []


@pytest.mark.parametrize("statements", [(ANSWERED,), POISON], ids=["it changes figures", "nothing can be read with it"])
def test_a_running_consumer_is_right_again_at_once(
    tmp_path: Path, broker: Broker, topic: str, statements: tuple[str, ...]
) -> None:
    send_two(broker.bootstrap_servers, topic)
    with consumer(tmp_path, broker.bootstrap_servers, topic) as process:
        wait_for(lambda: published(tmp_path).exists() and outcomes(tmp_path) == RIGHT, "two abandoned calls")
        write_and_be_killed(published(tmp_path), *statements)
        wait_for(lambda: outcomes(tmp_path) == RIGHT and not foreign_logs(published(tmp_path)), "a publish")
        stop(process, tmp_path)
    assert "vigie.duckdb.wal beside the published file was removed" in consumer_log(tmp_path)
    assert outcomes(tmp_path) == RIGHT


@pytest.mark.parametrize("statements", [(ANSWERED,), POISON], ids=["it changes figures", "nothing can be read with it"])
def test_doctor_names_it_until_it_is_gone(
    tmp_path: Path, broker: Broker, topic: str, statements: tuple[str, ...]
) -> None:
    send_two(broker.bootstrap_servers, topic)
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    doctor = ("doctor", *options(tmp_path, broker.bootstrap_servers, topic))
    assert "foreign log" not in run(*doctor).stdout
    write_and_be_killed(published(tmp_path), *statements)
    done = run(*doctor)
    (line,) = (line for line in done.stdout.splitlines() if "foreign log" in line)
    assert done.returncode == 1 and line.startswith(f"BAD   foreign log     {published(tmp_path)}.wal: somebody opened")
    assert any(line.startswith("ok    published file") for line in done.stdout.splitlines())
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    assert "foreign log" not in run(*doctor).stdout and outcomes(tmp_path) == RIGHT


def test_doctor_names_temporary_files_of_a_reader_that_was_killed(tmp_path: Path, broker: Broker, topic: str) -> None:
    send_two(broker.bootstrap_servers, topic)
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    published(tmp_path).with_name("vigie.duckdb.tmp").mkdir()
    done = run("doctor", *options(tmp_path, broker.bootstrap_servers, topic))
    assert "look  temporary files" in done.stdout and "foreign log" not in done.stdout


def test_what_a_consumer_makes_is_written_by_its_user_only(tmp_path: Path, broker: Broker, topic: str) -> None:
    """Also where the umask leaves everything open, and in a folder that was open before; doctor says so until then."""
    place = tmp_path / "data"
    (place / "published").mkdir(parents=True)
    (place / "published").chmod(0o777)
    place.chmod(0o755)
    doctor = ("doctor", *options(place, broker.bootstrap_servers, topic))
    assert [line for line in run(*doctor).stdout.splitlines() if " rights " in line] == [
        f"look  rights          everybody on this machine may read {place}",
        f"look  rights          others than its owner may write to {place}/published",
    ]
    send_two(broker.bootstrap_servers, topic)
    subprocess.run(
        command("run", *options(place, broker.bootstrap_servers, topic), "--until-caught-up"),
        env=environment(), umask=0, check=True, timeout=180,
    )  # fmt: skip
    assert " rights " not in run(*doctor).stdout
    entries = [place, *place.rglob("*")]
    assert {entry.name for entry in entries} >= {"vigie.duckdb", "store.duckdb"}
    assert [entry for entry in entries if stat.S_IMODE(entry.stat().st_mode) & 0o027] == []
    assert [entry for entry in entries if not stat.S_IMODE(entry.stat().st_mode) & 0o040] == []
    assert stat.S_IMODE(published(place).stat().st_mode) == 0o440
