"""Debezium's changes of a queue_log table: each row gives the events that the table gives.

The envelopes are those of Debezium's documentation for MySQL, with rows of queue_log.
"""

import copy
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingest.sources import names
from ingest.sources.asterisk import Switch
from ingest.sources.asterisk.changes import Changes
from ingest.sources.events import Rejected
from ingest.sources.input.documents import Documents
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.producing import deliver, open_producer
from ingest.topic.servers import Security
from tests.support.processes import named_pipe, one_sentence, run

Row = dict[str, Any]
PARIS = ZoneInfo("Europe/Paris")

TABLE = """time,callid,queuename,agent,event,data1,data2,data3,data4,data5
2026-03-10 10:00:00.250000,1.1,q,NONE,ENTERQUEUE,,0612345678,1,,
2026-03-10 10:00:10.500000,1.1,q,SIP/9,CONNECT,10,1.2,4,,
2026-03-10 10:01:10.500000,1.1,q,SIP/9,COMPLETECALLER,10,60,1,,
"""


def rows() -> list[Row]:
    header, *lines = TABLE.strip().splitlines()
    found = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    return [{"id": id} | {name: value or None for name, value in row.items()} for id, row in enumerate(found, 1)]


def changed(op: str, before: Row | None, after: Row | None) -> Row:
    """Return a change event as the documentation has it, without its schema."""
    source = {"version": "3.2.0.Final", "name": "mysql-server-1", "connector": "mysql", "ts_ms": 1465581029100,
              "snapshot": False, "db": "asterisk", "table": "queue_log", "server_id": 223344, "gtid": None,
              "file": "mysql-bin.000003", "pos": 484, "row": 0, "thread": 7}  # fmt: skip
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1465581029523}


def read(text: str, zone: ZoneInfo | None = PARIS) -> tuple[list[Any], str]:
    """Return what the changes in a text give, and what was skipped."""
    changes, documents = Changes(Switch("pbx", names.Names(), zone)), Documents()
    found = [*documents.feed(text.encode()), *documents.finish()]
    return [produced for produced, _ in changes.take(found)], changes.passed_over()


def joined(*documents: Any) -> str:
    return "\n".join(json.dumps(document) for document in documents)


EXPECTED = [event for event, _ in Switch("pbx", names.Names(), PARIS).take(TABLE.strip().encode().split(b"\n"))]


def with_times(kind: str) -> list[Row]:
    """Return the rows with their times as Debezium writes them for a type of column."""
    changed_rows = copy.deepcopy(rows())
    for row, at_us in zip(changed_rows, (0, 10_250_000, 70_250_000), strict=True):
        local_us = 1_773_136_800_250_000 + at_us  # 10:00:00.25 in Paris, as if it were UTC
        row["time"] = {
            "DATETIME(3)": local_us // 1000,
            "DATETIME(6)": local_us,
            "TIMESTAMP": f"2026-03-10T09:0{(at_us + 250_000) // 60_000_000}:{(at_us + 250_000) / 1e6 % 60:06.3f}Z",
        }[kind]
    return changed_rows


FORMS: dict[str, list[Any]] = {
    "inserted": [changed("c", None, row) for row in rows()],
    "read by a snapshot": [changed("r", None, row) for row in rows()],
    "with a schema": [{"schema": {"type": "struct"}, "payload": changed("c", None, row)} for row in rows()],
    "flattened": [{**row, "__deleted": "false"} for row in rows()],
    "DATETIME(3)": [changed("c", None, row) for row in with_times("DATETIME(3)")],
    "DATETIME(6)": [changed("c", None, row) for row in with_times("DATETIME(6)")],
    "TIMESTAMP": [changed("c", None, row) for row in with_times("TIMESTAMP")],
    "QueueMetrics' names": [
        changed("c", None, {{"time": "time_id", "callid": "call_id", "queuename": "queue", "event": "verb"}.get(k, k): v
                            for k, v in row.items()})
        for row in rows()
    ],
    "one column of data": [
        changed("c", None, {**{k: v for k, v in row.items() if not k.startswith("data")},
                            "data": "|".join(str(row[f"data{n}"] or "") for n in range(1, 6))})
        for row in rows()
    ],
}  # fmt: skip


@pytest.mark.parametrize("documents", FORMS.values(), ids=FORMS)
def test_rows_give_what_the_table_gives(documents: list[Any]) -> None:
    assert read(joined(*documents)) == (EXPECTED, "")


def test_whole_seconds_since_1970_need_no_zone() -> None:
    events, _ = read(joined(changed("c", None, {**rows()[0], "time": 1773133200})), zone=None)
    assert [event["ts"] for event in events] == ["2026-03-10T09:00:00Z"]


SKIPPED: dict[str, tuple[str, str]] = {
    "a deletion and its tombstone": (
        joined(changed("d", rows()[0], None)) + "\nnull\n",
        "deleted rows (1), tombstones (1)",
    ),
    "tombstones before a row": (
        "null\nnull\n" + joined(changed("d", rows()[0], None)),
        "tombstones (1), deleted rows (1)",
    ),
    "a tombstone with a schema": (joined({"schema": None, "payload": None}), "tombstones (1)"),
    "a flattened deletion": (joined({**rows()[0], "__deleted": "true"}), "deleted rows (1)"),
    "a truncation": (joined(changed("t", None, None)), "changes of no row (1)"),
    "an update of another column": (
        joined(changed("u", rows()[0], {**rows()[0], "created": 1})),
        "updates of other columns (1)",
    ),
}


@pytest.mark.parametrize(("text", "passed_over"), SKIPPED.values(), ids=SKIPPED)
def test_what_is_no_new_line_is_counted(text: str, passed_over: str) -> None:
    assert read(text) == ([], passed_over)


UNREADABLE: dict[str, tuple[Any, str]] = {
    "a line that was changed": (changed("u", rows()[0], {**rows()[0], "event": "ABANDON"}), "was changed after"),
    "a change without its past": (changed("u", None, rows()[0]), "was changed after"),
    "an unknown op": (changed("x", None, rows()[0]), "unknown op"),
    "a row of another table": (changed("c", None, {"id": 1, "src": "0612345678"}), "Not a row of queue_log"),
    "no row": (changed("c", None, None), "Not a row of queue_log"),
    "no time": (changed("c", None, {**rows()[0], "time": None}), "The time"),
    "an endless time": (changed("c", None, {**rows()[0], "time": 10**21}), "no time"),
}


@pytest.mark.parametrize(("document", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_a_dead_letter_that_repeats_nothing(document: Any, reason: str) -> None:
    text = json.dumps(document)
    ((fault,), _) = read(text)
    assert isinstance(fault, Rejected) and reason in fault.reason and fault.line == text
    assert "0612345678" not in fault.reason


@pytest.mark.parametrize("time", [-62_167_219_200_000, -(10**25), 0, None, "0000-00-00 00:00:00"])
def test_a_time_that_is_none_is_a_dead_letter(time: Any) -> None:
    ((rejected,), _) = read(json.dumps(changed("c", None, rows()[0] | {"time": time})))
    assert rejected.reason in ("The time of the row is no time.", "The time is empty, or one that means never.")


@pytest.mark.slow
def test_a_file_of_changes(tmp_path: Path) -> None:
    file = tmp_path / "changes.json"
    file.write_text(joined(*FORMS["inserted"]))
    done = run("source", "asterisk", "--queue-log-changes", str(file), "--timezone", "Europe/Paris",
               "--source", "pbx", "--print")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["event_id"] for line in done.stdout.splitlines()] == [e["event_id"] for e in EXPECTED]


@pytest.mark.slow
def test_a_file_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "changes.json"
    file.write_text(joined(*FORMS["inserted"][::-1]))
    done = run("source", "asterisk", "--queue-log-changes", str(file), "--timezone", "Europe/Paris", "--print")
    assert one_sentence(done).startswith("vigie: The changes run backwards in time")
    assert not done.stdout


@pytest.mark.slow
def test_a_file_with_two_changes_a_second_out_of_order_is_read(tmp_path: Path) -> None:
    file, times = tmp_path / "changes.json", ("2026-03-10 10:00:01", "2026-03-10 10:00:00")
    file.write_text(joined(*(changed("c", None, rows()[0] | {"time": time, "callid": time}) for time in times)))
    done = run("source", "asterisk", "--queue-log-changes", str(file), "--timezone", "Europe/Paris", "--print")
    assert (done.returncode, done.stdout.count("\n")) == (0, 2), done.stderr


@pytest.mark.slow
def test_a_named_pipe_of_changes_is_read_from_its_beginning(tmp_path: Path) -> None:
    with named_pipe(tmp_path / "changes", joined(*FORMS["inserted"]).encode()) as pipe:
        done = run("source", "asterisk", "--queue-log-changes", str(pipe), "--timezone", "Europe/Paris", "--print")
    assert done.stdout.count("\n") == len(EXPECTED), done.stderr


@pytest.mark.slow
def test_local_times_without_a_zone_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "changes.json"
    file.write_text(joined(*FORMS["DATETIME(3)"]))
    assert "--timezone" in one_sentence(run("source", "asterisk", "--queue-log-changes", str(file), "--print"))


@pytest.mark.slow
def test_one_input_only(tmp_path: Path) -> None:
    done = run("source", "asterisk", "--queue-log", "a", "--queue-log-topic", "b", "--print")
    assert "Name one input" in one_sentence(done)


def test_a_topic_is_read_on_and_must_have_one_partition(broker: Broker, topic: str, tmp_path: Path) -> None:
    changes = f"{topic}-changes"
    ensure_topic(broker.bootstrap_servers, changes, 1)
    producer = open_producer(broker.bootstrap_servers, Security())
    servers = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", f"{topic}-events")
    options = ("--until-caught-up", "--data-dir", str(tmp_path), "--timezone", "Europe/Paris", *servers)
    for documents in (FORMS["inserted"][:2], FORMS["inserted"][2:]):
        deliver(producer, changes, [(b"key", json.dumps(document).encode()) for document in documents])
        done = run("source", "asterisk", "--queue-log-topic", changes, *options)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 events"), "the call's end, and the agent who is free again"
    producer.close()
    refused = run("source", "asterisk", "--queue-log-topic", topic, *options)
    assert "has 4 partitions" in one_sentence(refused)
