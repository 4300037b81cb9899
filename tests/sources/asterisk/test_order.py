"""A queue_log as a table, in any order: from databases and exports, newest line first, with words for no value."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import UsageError
from ingest.sources.asterisk.queue_log import Reader
from ingest.sources.input.never import is_none_word
from ingest.sources.input.text import as_utf8
from tests.support.processes import ROOT
from tests.support.stories.queue_log import events_of, lines, published, read
from tests.support.stories.stream import rows

pytestmark = pytest.mark.slow

SAMPLE = (ROOT / "samples" / "queue_log").read_bytes().splitlines()
HEADER = ["time", "callid", "queuename", "agent", "event", *(f"data{n}" for n in range(1, 6))]


def cells(line: bytes) -> list[str]:
    """Return a line of the file as a row of the table, its time as seconds since 1970."""
    time, callid, queue, agent, event, *data = line.decode().split("|")
    return [time, callid, queue, agent, event, *(data + [""] * 5)[:5]]


def as_csv(story: list[bytes]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *map(cells, story)])
    return out.getvalue().encode()


def as_psql(story: list[bytes]) -> bytes:
    drawn = [" " + " | ".join(row) + " " for row in [HEADER, *map(cells, story)]]
    rule = "+".join("-" * (len(name) + 2) for name in HEADER)
    return "\n".join([drawn[0], rule, *drawn[1:], f"({len(story)} rows)", ""]).encode()


def as_mysql(story: list[bytes]) -> bytes:
    rule = "+" + "+".join("-" * 12 for _ in HEADER) + "+"
    drawn = ["| " + " | ".join(row) + " |" for row in [HEADER, *map(cells, story)]]
    return "\n".join([rule, drawn[0], rule, *drawn[1:], rule, f"{len(story)} rows in set (0.00 sec)", ""]).encode()


def as_tsv(story: list[bytes]) -> bytes:
    table = ["\t".join(cell or "NULL" for cell in row) for row in [HEADER, *map(cells, story)]]
    return "\n".join([*table, ""]).encode()


def as_file(story: list[bytes]) -> bytes:
    return b"\n".join([*story, b""])


def seconds(line: bytes) -> int:
    return int(line.split(b"|")[0])


middle = len(SAMPLE) // 2
ORDERS = {
    "in order": SAMPLE,
    "newest first": SAMPLE[::-1],
    "two parts, the newest first": [*SAMPLE[middle:], *SAMPLE[:middle]],
    "two parts, each newest first": [*SAMPLE[:middle][::-1], *SAMPLE[middle:][::-1]],
    "by call": sorted(SAMPLE, key=lambda line: line.split(b"|")[1]),
    "newest second first, and in it as they were written": sorted(SAMPLE, key=lambda line: -seconds(line)),
}
FORMATS = {"file": as_file, "CSV": as_csv, "psql": as_psql, "mysql -t": as_mysql, "mysql --batch": as_tsv}
PUBLISHED = {
    "calls": "SELECT * EXCLUDE (linked_id) FROM calls ORDER BY call_id",
    "states": "SELECT agent, state, reason, campaign, started_at, ended_at FROM agent_states ORDER BY ALL",
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    with published(tmp_path_factory.mktemp("order"), events_of(SAMPLE)) as reader:
        return {name: rows(reader, query) for name, query in PUBLISHED.items()}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_log_in_any_order_and_format_gives_the_same_calls_and_states(
    tmp_path: Path, expected: dict[str, list[dict[str, object]]], order: str, format: str
) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(FORMATS[format](ORDERS[order]))
    collected = read(log)
    assert collected.rejected == []
    with published(tmp_path / "store", collected.events) as reader:
        for name, query in PUBLISHED.items():
            assert rows(reader, query) == expected[name]


def test_a_log_out_of_order_is_sorted_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(as_file(SAMPLE[::-1]))
    read(log)
    assert "pbx: the lines are not in order of time, so they are sorted; this needs memory" in caplog.messages


def test_tables_that_follow_each_other_keep_their_columns(tmp_path: Path) -> None:
    log = tmp_path / "queue_log.csv"
    morning, evening = SAMPLE[:middle], SAMPLE[middle:]
    log.write_bytes(as_csv(evening) + as_tsv(morning))
    assert len(read(log).events) == len(events_of(SAMPLE))
    assert read(log).rejected == []


def test_the_hour_that_occurs_twice_is_read_from_a_table_that_runs_backwards(tmp_path: Path) -> None:
    clocks = ("01:30:00", "02:10:00", "02:59:58", "02:00:01", "02:59:59", "03:00:00")
    log = tmp_path / "queue_log.csv"
    table = [f"2026-10-25 {clock},{number}.1,q,NONE,ENTERQUEUE" for number, clock in enumerate(clocks)]
    log.write_text("\n".join([",".join(HEADER[:5]), *table[::-1]]))
    assert [event["ts"][11:19] for event in read(log).events] == [
        *("23:30:00", "00:10:00", "00:59:58", "01:00:01", "01:59:59", "02:00:00"),
    ]


# Encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("as_format", [as_csv, as_tsv, as_psql, as_file], ids=lambda as_format: as_format.__name__)
def test_tables_and_logs_in_any_unicode(
    tmp_path: Path, encoding: str, as_format: Callable[[list[bytes]], bytes]
) -> None:
    log = tmp_path / "queue_log.txt"
    story = [
        *SAMPLE,
        b"1773140000|2.1|soporte|NONE|ENTERQUEUE||+34600000000|1",
        "1773140009|2.1|soporte|José|CONNECT|9".encode(),
    ]
    log.write_bytes(as_format(story[::-1]).decode().encode(encoding))
    collected = read(log)
    assert (collected.events, collected.rejected) == (events_of(story), [])


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_text_in_utf_16_is_read_however_it_is_cut(cut: int) -> None:
    text = "time,agent\nhé\n".encode("utf-16")
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    assert b"".join(as_utf8(pieces)) == "time,agent\nhé\n".encode()
    assert b"".join(as_utf8([b"ab", b""])) == b"ab"


# What is no queue_log

NO_LOG = {
    "a table without a header": "2026-03-10 09:00:00,1.1,q,Amina,ENTERQUEUE,,0612345678\n" * 30,
    "a header with other names": "fecha,llamada,cola,agente,evento\n2026-03-10 09:00:00,1.1,q,Amina,ENTERQUEUE\n",
    "psql's expanded form": "-[ RECORD 1 ]-\ntime | 2026-03-10\nagent | Amina\n",
    "SQL": "INSERT INTO `queue_log` VALUES ('Amina', '0612345678');\n",
    "a page": "<html>Amina 0612345678</html>\n",
    "nothing readable": "\x01\x02\n" * 25,
}


@pytest.mark.parametrize("text", NO_LOG.values(), ids=NO_LOG)
def test_what_is_no_queue_log_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    log = tmp_path / "queue_log.csv"
    log.write_text(text)
    with pytest.raises(UsageError, match=r"Nothing was sent, because .* unreadable: .* with a header") as error:
        read(log)
    assert "Amina" not in str(error.value) and "0612345678" not in str(error.value)


def test_a_log_that_begins_with_a_broken_line_is_read(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(b"73129900|1.1\n" * 19 + as_file(SAMPLE))
    collected = read(log)
    assert (len(collected.rejected), collected.events) == (19, events_of(SAMPLE))


# Words for no value


@pytest.mark.parametrize("word", ["", " ", "NULL", "null", "(NULL)", "(null)", r"\N"])
def test_words_for_no_value(word: str) -> None:
    assert is_none_word(word)
    entry = Reader().read(f"1773129900|1.1|q|{word}|ABANDON|{word}|{word}|30")
    assert entry
    assert (entry.agent, entry.data) == ("", ("", "", "30"))


@pytest.mark.parametrize("word", ["NONE", "0", "N", "nullable", "NULL agents"])
def test_other_words_have_a_value(word: str) -> None:
    assert not is_none_word(word)


NULLS = """time\tcallid\tqueuename\tagent\tevent\tdata1\tdata2\tdata3
2026-03-10 10:00:05\tMANAGER\tq\tSIP/9\tADDMEMBER\tNULL\tNULL\tNULL
2026-03-10 10:01:00\t1.1\tq\tNULL\tENTERQUEUE\tNULL\tNULL\t1
2026-03-10 10:02:00\tNULL\tq\tSIP/9\tPAUSE\tNULL\tNULL\tNULL
2026-03-10 10:32:00\tNULL\tq\tSIP/9\tUNPAUSE\tNULL\tNULL\tNULL
"""


def test_null_is_no_name(tmp_path: Path) -> None:
    log = tmp_path / "queue_log.tsv"
    log.write_text(NULLS)
    with published(tmp_path / "store", read(log).events) as reader:
        assert rows(reader, "SELECT caller FROM calls") == [{"caller": None}]
        assert rows(reader, "SELECT agent FROM agents") == [{"agent": "SIP/9"}]
        assert rows(reader, "SELECT reason FROM agent_states WHERE state = 'paused'") == [{"reason": None}]


@pytest.mark.parametrize("time", ["0", "NULL", "0000-00-00 00:00:00", "1970-01-01 01:00:00", "9999-12-31"])
def test_a_line_without_a_time_is_rejected(tmp_path: Path, time: str) -> None:
    log = tmp_path / "queue_log.csv"
    good = "2026-03-10 10:00:00,2.1,q,NONE,ENTERQUEUE,\n"
    log.write_text(f"time,callid,queuename,agent,event,data1\n{good}{time},1.1,q,Amina,CONNECT,0612345678\n")
    (rejected,) = read(log).rejected
    assert rejected.reason == "The time is empty, or one that means never."


def test_a_time_that_the_clocks_skip_is_rejected(tmp_path: Path) -> None:
    log = tmp_path / "queue_log.csv"
    times = ("2026-03-29 01:59:59", "2026-03-29 02:30:00", "2026-03-29 03:00:00")
    table = [f"{time},{number}.1,q,NONE,ENTERQUEUE" for number, time in enumerate(times)]
    log.write_text("\n".join([",".join(HEADER[:5]), *table]))
    assert [event["ts"][11:19] for event in read(log).events] == ["00:59:59", "01:00:00"]
    (rejected,) = read(log).rejected
    assert rejected.reason == "A time that the clocks of --timezone skip in spring; check the zone."


# All data in one column


@pytest.mark.parametrize("format", ["csv", "psql", "mysql"])
def test_a_table_with_all_data_in_one_column(tmp_path: Path, format: str) -> None:
    story = lines("09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1\n09:00:09 1.1 q SIP/9 CONNECT|9|1.2|4")
    split = [line.decode().split("|", 5) for line in story]
    delimiter = "," if format == "csv" else " | "
    drawn = [delimiter.join(row) for row in [[*HEADER[:5], "data"], *split]]
    log = tmp_path / "queue_log.txt"
    log.write_text("\n".join(f"| {row} |" if format == "mysql" else row for row in drawn))
    assert read(log).events == events_of(story)


def test_a_last_column_keeps_the_data_that_are_left() -> None:
    reader = Reader()
    reader.read(",".join(HEADER))
    entry = reader.read("1773129900,1.1,q,SIP/9,ATTENDEDTRANSFER,LINK,Local/1;1,Local/1;2,170,10|1")
    assert entry
    assert entry.data == ("LINK", "Local/1;1", "Local/1;2", "170", "10", "1")
