"""Exports of call-center software: workbooks, arrays, headers of two lines, units, rows that contradict themselves."""

import datetime as dt
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ingest.errors import UsageError
from ingest.sources.call_list import proposal
from ingest.sources.call_list.mapping import parsed
from ingest.sources.call_list.workbook import as_text
from ingest.sources.events import Rejected
from tests.support.processes import one_sentence, run
from tests.support.stories.call_lists import PLAIN, events_of, loaded, row, with_setting
from tests.support.stories.stream import DEFAULTS, folded, rows


def proposed(data: bytes) -> dict[str, Any]:
    """Return the mapping that is proposed for a list."""
    return tomllib.loads(proposal.proposed(data, "list"))


def told(data: bytes, mapping: dict[str, Any] | None = None) -> list[tuple[str, float | None, float | None]]:
    """Return (outcome, wait [s], talk [s]) of the calls of a list, by a mapping or the proposed one."""
    tables = mapping or proposed(data)
    tables["file"].setdefault("timezone", "UTC")
    calls: dict[str, dict[str, Any]] = {}
    for event in events_of(data, parsed(tables, "the mapping")):
        assert not isinstance(event, Rejected), event.reason
        calls.setdefault(event["call_id"], {}).setdefault(event["type"], event)
    return [_told(events) for events in calls.values()]


def _told(events: dict[str, Any]) -> tuple[str, float | None, float | None]:
    at = {type: dt.datetime.fromisoformat(event["ts"]) for type, event in events.items()}
    outcome = next(type for type in ("call.answered", "call.abandoned", "call.left_queue") if type in events)
    is_unknown = events[outcome].get("wait_unknown", False)
    wait_s = None if is_unknown else (at[outcome] - at["call.queued"]).total_seconds()
    talk_s = (at["call.ended"] - at["call.answered"]).total_seconds() if "call.ended" in at else None
    return outcome.removeprefix("call."), wait_s, talk_s


# Rows that contradict themselves

CONTRADICTIONS = {
    "abandoned, with a talk": ({"outcome": "abandoned", "wait": "9", "talk": "60"}, "outcome"),
    "abandoned, with an answer": ({"outcome": "abandoned", "answered": "2026-03-10 09:00:09"}, "outcome"),
    "two waits": ({"answered": "2026-03-10 09:00:10", "wait": "500"}, "wait_s"),
    "two waits of an abandoned call": ({"ended": "2026-03-10 09:10:00", "wait": "30"}, "wait_s"),
    "a talk that is longer than the call": (
        {"answered": "2026-03-10 09:00:10", "ended": "2026-03-10 09:01:10", "talk": "600"},
        "talk_s, call_s",
    ),
    "ended before it began": ({"ended": "2026-03-10 08:59:00"}, "ended_at"),
    "answered before it began": ({"answered": "2026-03-10 08:59:00"}, "answered_at"),
    "ended before the answer": ({"answered": "2026-03-10 09:01:00", "ended": "2026-03-10 09:00:50"}, "ended_at"),
}


@pytest.mark.parametrize(("cells", "field"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_row_that_contradicts_itself_is_rejected(tmp_path: Path, cells: dict[str, str], field: str) -> None:
    (rejected,) = events_of(row(**cells), loaded(tmp_path, PLAIN))
    assert isinstance(rejected, Rejected) and rejected.reason.startswith(f"{field}: ")


def test_times_in_whole_minutes_and_seconds_do_not_contradict_each_other(tmp_path: Path) -> None:
    data = row(at="2026-03-10 09:00:00.900", answered="2026-03-10 09:00:00", ended="2026-03-10 09:02", talk="75")
    assert {e["type"] for e in events_of(data, loaded(tmp_path, PLAIN))} >= {"call.answered", "call.ended"}


# An answer whose time nobody measured

ANSWERED = {
    "no times": ({"outcome": "answered"}, ("answered", None, None)),
    "a talk": ({"outcome": "answered", "talk": "60"}, ("answered", None, 60.0)),
    "an end": ({"outcome": "answered", "ended": "2026-03-10 09:05:00"}, ("answered", None, None)),
    "transferred, with a talk": ({"outcome": "transferred", "talk": "60"}, ("answered", None, None)),
    "an end and a talk": (
        {"outcome": "answered", "ended": "2026-03-10 09:05:00", "talk": "240"},
        ("answered", 60.0, 240.0),
    ),
}


@pytest.mark.parametrize(("cells", "call"), ANSWERED.values(), ids=ANSWERED)
def test_an_answered_call_without_a_wait_is_answered_and_its_wait_unknown(
    cells: dict[str, str], call: tuple[str, float | None, float | None]
) -> None:
    assert told(row(**cells), tomllib.loads(PLAIN)) == [call]


def test_a_talk_that_nobody_measured_is_not_made_up_from_the_next_call(tmp_path: Path) -> None:
    data = row(id="1", at="2026-03-10 09:00:00", wait="9", outcome="answered", agent="Ana")
    data += row(id="2", at="2026-03-10 11:00:00", wait="9", talk="60", outcome="answered", agent="Ana").split(b"\n", 1)[
        1
    ]
    noon = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    with folded(tmp_path / "store", events_of(data, loaded(tmp_path, PLAIN)), noon, DEFAULTS) as reader:
        found = rows(reader, "SELECT outcome, wait_s, talk_s FROM calls ORDER BY call_id")
    assert [tuple(call.values()) for call in found] == [("answered", 9, None), ("answered", 9, 60)]


def test_figures_without_the_waits_and_talks_that_nobody_measured(tmp_path: Path) -> None:
    data = row(id="1", wait="10", talk="60", outcome="answered", agent="Ana")
    for number, cells in enumerate(({"talk": "120"}, {"ended": "2026-03-10 09:05:00"}, {}), 2):
        data += row(id=str(number), outcome="answered", agent="Ana", **cells).split(b"\n", 1)[1]
    noon = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    query = """SELECT offered, answered, asa_s, answered_in_threshold, handled, aht_s, conserved
        FROM kpi_campaign(TIMESTAMPTZ '2026-03-10 00:00:00Z', TIMESTAMPTZ '2026-03-11 00:00:00Z') WHERE offered > 0"""
    with folded(tmp_path / "store", events_of(data, loaded(tmp_path, PLAIN)), noon, DEFAULTS) as reader:
        (figures,) = rows(reader, query)
    assert tuple(figures.values()) == (4, 4, 10, 1, 2, 90, True)


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m05s", 65), ("2 min 5 s", 125), ("12s", 12), ("1h 02m 05s", 3725), ("1 h", 3600), ("5 min", 300),
        ("PT1M5S", 65), ("PT1H", 3600), ("1'05\"", 65), ("0 days 00:01:05", 65), ("1 day, 0:00:05", 86405),
        ("0.00:01:05", 65), ("00:00:05,500", 5.5), ("1500 ms", 1.5), ("65,0", 65), ("2 minutes 5 secondes", 125),
        ("1 hora 2 minutos", 3720),
    ],
)  # fmt: skip
def test_a_duration_may_name_its_units(text: str, seconds: float) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    assert told(row(wait=quoted), tomllib.loads(with_setting('decimal = ","'))) == [("abandoned", seconds, None)]


def test_a_fraction_of_a_day_on_the_threshold_is_on_the_threshold() -> None:
    data = row(wait="0,000231482")
    assert told(data, tomllib.loads(with_setting('durations = "days"'))) == [("abandoned", 20.0, None)]


UNITS = {
    "milliseconds in JSON": json.dumps(
        [
            {"call_id": "1", "queued_at": 1772442000, "queue": "q", "wait_ms": 10000, "talk_ms": 60000},
            {"call_id": "2", "queued_at": 1772442600, "queue": "q", "wait_ms": 30000, "talk_ms": 0},
        ]
    ),
    "milliseconds beside a ring time": "Call ID,Start,Queue,Ring Time,Wait (ms),Talk (ms)\n"
    "1,2026-03-02 09:00:00,q,3,10000,60000\n2,2026-03-02 09:10:00,q,3,30000,0\n",
    "minutes": "Id;Date;File;Attente (min);Durée (min)\n"
    "1;2026-03-02 09:00:00;q;0,16666667;1,0\n2;2026-03-02 09:10:00;q;0,5;0,0\n",
    "seconds": "Id;Date;File;Attente (s);Durée (s)\n"
    "1;2026-03-02 09:00:00;q;10,0;60,0\n2;2026-03-02 09:10:00;q;30,0;0,0\n",
}


@pytest.mark.parametrize("text", UNITS.values(), ids=UNITS)
def test_a_proposal_reads_the_unit_of_durations_in_the_names_of_columns(text: str) -> None:
    assert told(text.encode()) == [("answered", 10.0, 60.0), ("abandoned", 30.0, None)]


def test_a_proposal_leaves_out_durations_in_another_unit() -> None:
    data = b"Id,Start,Queue,Wait (s),Talk (min)\n1,2026-03-02 09:00:00,q,10,2\n"
    text = proposal.proposed(data, "list")
    assert '# left out, because their unit is another: "Talk (min)"' in text
    assert "talk_s" not in tomllib.loads(text)["columns"]


# Headers

TITLED = "Rapport des appels;;;;\ndu 02/03/2026 au 03/03/2026;;;;\n;;;;\nId;Date appel;File;Attente;Agent\n"
HEADERS = {
    "titles as wide as the rows": TITLED.encode() + b"1;2026-03-02 09:00:00;q;12;\n",
    "a header of two lines": "Appel;;Attente;;Traitement;\nID;Date;Début;Fin;Début;Fin\n"
    "1;02/03/2026;09:00:00;09:00:12;;\n".encode(),
    "names below each other": b"ID;Date appel;File;Temps;;Agent\n;;;Attente;Conversation;\n"
    b"1;2026-03-02 09:00:00;q;12;0;\n",
}


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS)
def test_a_header_below_titles_or_of_two_lines(data: bytes) -> None:
    mapping = proposed(data)
    mapping["columns"].pop("ended_at", None)
    if "Attente Fin" in data.decode() or "Traitement" in data.decode():
        mapping["columns"] |= {"queued_at": ["Date", "Attente Début"], "ended_at": ["Date", "Attente Fin"]}
    assert told(data, mapping) == [("abandoned", 12.0, None)]


def test_times_of_day_are_no_durations() -> None:
    data = "ID;Date;Attente début;Agent\n1;02/03/2026;09:00:00;Ana\n".encode()
    assert "wait_s" not in proposed(data)["columns"]


# Arrays

NAMES = ["call_id", "queued_at", "queue", "wait", "talk", "agent"]
ROWS = [["1", "2026-03-02T09:00:00Z", "q", 10, 60, "ana"], ["2", "2026-03-02T09:10:00Z", "q", 30, None, None]]
ARRAYS = {
    "with a row of names": [NAMES, *ROWS],
    "with names beside": {"columns": NAMES, "rows": ROWS},
    "with objects that name the columns": {"result": {"headers": [{"name": n} for n in NAMES], "data": ROWS}},
    "inside an object": {"data": {"calls": [NAMES, *ROWS]}},
}


@pytest.mark.parametrize("document", ARRAYS.values(), ids=ARRAYS)
def test_rows_that_are_arrays(document: Any) -> None:
    assert told(json.dumps(document).encode()) == [("answered", 10.0, 60.0), ("abandoned", 30.0, None)]


@pytest.mark.slow
def test_arrays_without_names_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "calls.json").write_text(json.dumps(ROWS))
    (tmp_path / "map.toml").write_text(PLAIN.replace('delimiter = ";"', 'format = "json"'))
    done = run("source", "map", "--calls", str(tmp_path / "calls.json"), "--map", str(tmp_path / "map.toml"), "--print")
    assert "arrays without the names of their columns; put an array of names before them" in one_sentence(done)
    assert "ana" not in done.stderr


def test_an_array_of_pairs_in_a_call_is_no_list(tmp_path: Path) -> None:
    call = {"id": 1, "at": "2026-03-02T09:00:00Z", "queue": "q", "wait": 9, "path": [["ivr", 1], ["menu", 2]]}
    text = PLAIN.replace('delimiter = ";"', 'format = "json"')
    assert len(events_of(json.dumps([call]).encode(), loaded(tmp_path, text))) > 0


def test_an_object_is_no_value(tmp_path: Path) -> None:
    call = {"id": 1, "at": "2026-03-02T09:00:00Z", "queue": "q", "wait": 9, "agent": {"name": "Ana"}}
    mapping = loaded(tmp_path, PLAIN.replace('delimiter = ";"', 'format = "json"'))
    (rejected,) = events_of(json.dumps([call]).encode(), mapping)
    assert rejected.reason == "agent: there are values inside; name the path of one of them under [columns]."
    other = {**call, "id": 2, "agent": None}
    assert proposed(json.dumps([call, other]).encode())["columns"]["agent"] == "agent.name"


# Workbooks


def workbook(*rows: list[Any]) -> bytes:
    book, data = openpyxl.Workbook(), io.BytesIO()
    for cells in rows:
        book.active.append(cells)
    book.save(data)
    return data.getvalue()


def test_a_workbook_is_read_as_its_first_sheet() -> None:
    nine = dt.datetime(2026, 3, 2, 9)  # noqa: DTZ001  cells have no zone
    header = ["ID", "Date appel", "File", "Attente", "Conversation"]
    data = workbook(
        ["Appels"],
        header,
        [1, nine, "q", dt.time(0, 0, 10), dt.timedelta(minutes=1)],
        [2, nine + dt.timedelta(minutes=10), "q", dt.time(0, 0, 30), None],
    )
    text = b"".join(as_text([data[:100], data[100:]], "appels.xlsx", ";"))
    assert told(text) == [("answered", 10.0, 60.0), ("abandoned", 30.0, None)]


NO_LISTS = {
    "an old workbook": (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 100, "is an old workbook of Excel (.xls)"),
    "a page": (b"<html><table><tr><td>Ana</td></tr></table></html>", "is a page or XML"),
    "an archive": (b"PK\x03\x04" + b"\0" * 100, "is an archive and no workbook of Excel"),
}


@pytest.mark.parametrize(("data", "what"), NO_LISTS.values(), ids=NO_LISTS)
def test_a_file_that_is_no_list_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=what.replace("(", r"\(").replace(")", r"\)")):
        list(as_text([data], "calls", ","))


# Words


def test_words_of_the_contract_need_no_translation_in_any_case(tmp_path: Path) -> None:
    data = row(outcome="Answered", wait="9", direction="Inbound")
    assert "call.answered" in {e["type"] for e in events_of(data, loaded(tmp_path, PLAIN))}


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("Call Id;Created;Queue;Answered At;Handle Time", {"queued_at": "Created", "answered_at": "Answered At"}),
        ("id;arrivée;file;réponse;fin", {"queued_at": "arrivée", "answered_at": "réponse", "ended_at": "fin"}),
    ],
)
def test_a_proposal_knows_the_column(header: str, fields: dict[str, str]) -> None:
    cells = ["1", "2026-03-02 09:00:00", "q", "2026-03-02 09:00:10", "00:01:05"]
    cells = [*cells[:4], "2026-03-02 09:01:05"] if "fin" in header else cells
    columns = proposed(f"{header}\n{';'.join(cells)}\n".encode())["columns"]
    assert {field: columns.get(field) for field in fields} == fields


@pytest.mark.parametrize("name", ["Post-traitement", "ACW Time", "Post-appel", "Tiempo administrativo"])
def test_a_proposal_knows_after_call_work(name: str) -> None:
    data = f"Id;Start;Queue;Wait;{name}\n1;2026-03-02 09:00:00;q;9;30\n".encode()
    assert proposed(data)["columns"]["wrap_s"] == name


@pytest.mark.slow
def test_a_proposal_for_outbound_calls() -> None:
    data = (
        b"id,campaign,direction,dialed,result,talk,number\n1,c,outbound,2026-03-02 09:00:00,no answer,0,1\n"
        b"2,c,outbound,2026-03-02 09:01:00,busy,0,1\n"
    )
    mapping = proposed(data)
    assert mapping["columns"]["queued_at"] == "dialed"
    assert mapping["words"]["outcome"] == {"no answer": "no_answer", "busy": "busy"}
