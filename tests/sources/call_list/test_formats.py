"""Forms of call lists: encodings, titles, printed tables, envelopes of JSON; refusals; mappings that are proposed."""

import argparse
import codecs
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import UsageError
from ingest.sources import call_list
from ingest.sources.call_list import proposal
from ingest.sources.call_list.mapping import parsed
from ingest.sources.events import Rejected
from ingest.sources.input.documents import LONGEST
from tests.support.processes import ROOT, one_sentence, run
from tests.support.stories.call_lists import HEADER, PLAIN, events_of, loaded, row, with_setting

SAMPLES = ROOT / "samples"
ACCENTS = row(wait="9", agent="Íñigo Muñoz").decode()
MARKS = {
    "UTF-8": codecs.BOM_UTF8 + ACCENTS.encode(),
    "UTF-16, little": codecs.BOM_UTF16_LE + ACCENTS.encode("utf-16-le"),
    "UTF-16, big": codecs.BOM_UTF16_BE + ACCENTS.encode("utf-16-be"),
    "UTF-32, little": codecs.BOM_UTF32_LE + ACCENTS.encode("utf-32-le"),
    "UTF-32, big": codecs.BOM_UTF32_BE + ACCENTS.encode("utf-32-be"),
}
JSON = """
[file]
format = "json"
[columns]
call_id = "id"
queued_at = "at"
wait_s = "wait"
[fixed]
queue = "q"
"""
CALLS = [{"id": n, "at": f"2026-03-10T09:0{n}:00Z", "wait": 9} for n in range(3)]


def calls_of(found: list[Any]) -> list[str]:
    """Return the ids of the calls, and the reasons of what was rejected."""
    return list(dict.fromkeys(e.reason if isinstance(e, Rejected) else e["call_id"] for e in found))


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("data", MARKS.values(), ids=MARKS)
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, data: bytes, encoding: str) -> None:
    found = events_of(data, loaded(tmp_path, with_setting(f'encoding = "{encoding}"')))
    assert calls_of(found) == ["list/1"]


@pytest.mark.parametrize(
    "mark", [("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-32-be", codecs.BOM_UTF32_BE)]
)
def test_a_byte_order_mark_before_json(tmp_path: Path, mark: tuple[str, bytes]) -> None:
    data = mark[1] + json.dumps(CALLS).encode(mark[0])
    assert calls_of(events_of(data, loaded(tmp_path, JSON))) == ["list/0", "list/1", "list/2"]


TITLES = {
    "one line": "Calls of March\n",
    "several lines": "Calls of March\n\nfrom;01/03/2026\nto;31/03/2026;;\n;;\n",
    "for Excel": "sep=;\n",
    "as wide as the list": ";".join(["Calls", *[""] * (len(HEADER) - 1)]) + "\n",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_a_title_may_stand_above_the_header(tmp_path: Path, title: str) -> None:
    assert calls_of(events_of(title.encode() + row(wait="9"), loaded(tmp_path, PLAIN))) == ["list/1"]


def test_rows_above_the_header_are_not_lost(tmp_path: Path) -> None:
    lines = row(wait="9", answered="x", ended="y", outcome="open", talk="1", hold="1", wrap="1", agent="a")
    header, call = lines.rstrip().split(b"\n")
    found = events_of(call + b"\n" + header + b"\n" + row(wait="9").split(b"\n")[1], loaded(tmp_path, PLAIN))
    assert calls_of(found) == ["A line above the header that looks like a row.", "list/1"]


def test_a_header_that_is_repeated_is_no_call(tmp_path: Path) -> None:
    assert calls_of(events_of(row(wait="9") + row(wait="9", id="2"), loaded(tmp_path, PLAIN))) == ["list/1", "list/2"]


@pytest.mark.parametrize("name", ["OUTCOME", " outcome ", "\ufeffOutcome"])
def test_a_header_may_be_typed_otherwise(tmp_path: Path, name: str) -> None:
    data = row(wait="9").replace(b";outcome;", f";{name};".encode())
    assert calls_of(events_of(data, loaded(tmp_path, PLAIN))) == ["list/1"]


PSQL = """
 id |         at          | wait | queue
----+---------------------+------+-------
 2  | 2026-03-10 09:05:00 |    9 | sav
 1  | 2026-03-10 09:00:00 |   12 | sav
(2 rows)

"""
MYSQL = """+----+---------------------+------+-------+
| id | at                  | wait | queue |
+----+---------------------+------+-------+
|  2 | 2026-03-10 09:05:00 |    9 | sav   |
|  1 | 2026-03-10 09:00:00 |   12 | sav   |
+----+---------------------+------+-------+
"""


@pytest.mark.parametrize("table", [PSQL, MYSQL], ids=["psql", "mysql"])
def test_a_table_that_a_database_printed(tmp_path: Path, table: str) -> None:
    text = '[file]\ndelimiter = "|"\ntimezone = "UTC"\n[columns]\ncall_id = "id"\nqueued_at = "at"\nwait_s = "wait"\n'
    assert calls_of(events_of(table.encode(), loaded(tmp_path, text + 'queue = "queue"'))) == ["list/2", "list/1"]


ENVELOPES = {
    "a list inside": {"status": "ok", "count": 3, "data": CALLS},
    "deep inside": {"result": {"page": {"of": 1, "rows": CALLS}}},
    "beside other lists": {"agents": [{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}], "calls": CALLS},
    "with an id of its own": {"id": "report-7", "columns": [{"name": "id"}], "calls": CALLS},
    "in two lists": {"open": CALLS[:1], "closed": CALLS[1:]},
    "with lists of their own": {"calls": [call | {"legs": [call | {"id": "leg"}]} for call in CALLS]},
    "longer than a record": {"filler": "x" * LONGEST, "calls": CALLS},
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_calls_in_a_list_inside_an_object(tmp_path: Path, envelope: Any) -> None:
    for text in (json.dumps(envelope), json.dumps(envelope, indent=1)):
        assert calls_of(events_of(text.encode(), loaded(tmp_path, JSON))) == ["list/0", "list/1", "list/2"]


def test_pages_one_a_line(tmp_path: Path) -> None:
    text = "\n".join(json.dumps({"page": n, "calls": [call]}) for n, call in enumerate(CALLS))
    assert calls_of(events_of(text.encode(), loaded(tmp_path, JSON))) == ["list/0", "list/1", "list/2"]


def test_an_empty_envelope_is_no_call(tmp_path: Path) -> None:
    assert calls_of(events_of(b'{"count": 0, "calls": []}', loaded(tmp_path, JSON))) == ["The call has no id."]


# Refusals

HEADLESS = (
    b"Call 288831,00:00:25,2026/03/10 08:59:49,+33600000160,Agent Un,Support\n"
    b"Call 288832,00:00:41,2026/03/10 09:05:00,+33600000161,,Support\n"
)
REFUSED = {
    "no header": (HEADLESS, PLAIN.replace('";"', '","'), "The list has no header, because its first line is a call"),
    "another delimiter": (row(wait="9").replace(b";", b"\t"), PLAIN, 'the list itself shows delimiter = "\\t" for'),
    "another encoding": (ACCENTS.encode("cp1252"), PLAIN, 'the list itself shows encoding = "cp1252" for [file].'),
    "JSON": (json.dumps(CALLS).encode(), PLAIN, 'the list itself shows format = "json" for [file].'),
    "another format of times": (
        row(at="31/03/2026 09:00:00"),
        PLAIN,
        'not a time in the format iso; the list itself shows instants = "%d/%m/%Y %H:%M:%S" for [file].',
    ),
    "serial numbers": (row(at="46091.3784"), PLAIN, 'shows instants = "excel" for [file].'),
    "a Spanish clock": (
        row(at="31/03/2026 09:00:00 a.\u00a0m."),
        PLAIN,
        'shows instants = "%d/%m/%Y %I:%M:%S %p" for [file].',
    ),
    "a decimal comma": (
        row(outcome="open", amount="1.249", score="4,5", at="2026-03-10 09:00:00"),
        PLAIN,
        "say which with decimal under [file]; `python -m ingest source map --propose FILE` makes a mapping",
    ),
    "an outcome without a word": (
        row(outcome="Perdida"),
        PLAIN,
        "there is no word for what this row says; add it under [words.outcome]; `python -m ingest source map --propose",
    ),
    "a column twice": (row(wait="9").replace(b";talk;", b";wait;"), PLAIN.replace('talk_s = "talk"', ""), "twice"),
}


@pytest.mark.parametrize(("data", "text", "says"), REFUSED.values(), ids=REFUSED)
def test_a_list_unlike_its_mapping_sends_nothing_and_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, text: str, says: str
) -> None:
    (tmp_path / "map.toml").write_text(text)
    (tmp_path / "list").write_bytes(data)
    options = {"calls": str(tmp_path / "list"), "map": tmp_path / "map.toml", "propose": None, "source": "list"}
    with pytest.raises(UsageError) as error:
        call_list.main(argparse.Namespace(**options, print=True))
    assert capsys.readouterr() == ("", "")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    for private in ("600000160", "Agent Un", "Muñoz", "288831", "Perdida", "46091"):
        assert private not in str(error.value)


@pytest.mark.slow
def test_a_list_without_a_header_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(PLAIN.replace('";"', '","'))
    (tmp_path / "list").write_bytes(HEADLESS)
    done = run("source", "map", "--calls", str(tmp_path / "list"), "--map", str(tmp_path / "map.toml"), "--print")
    assert "write a line before it that names its 6 columns" in one_sentence(done)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
def test_a_row_among_others_is_told_by_its_number_without_its_cells(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(PLAIN)
    bad = row(id="2", outcome="Perdida", agent="Agent Un", caller="+33600000160").split(b"\n", 1)[1]
    (tmp_path / "list").write_bytes(row(wait="9") + bad)
    done = run("source", "map", "--calls", str(tmp_path / "list"), "--map", str(tmp_path / "map.toml"), "--print")
    told, summary = done.stderr.splitlines()
    reason = "outcome: there is no word for what this row says; add it under [words.outcome]."
    assert json.loads(told) == {"type": "unreadable", "source": "list", "reason": reason, "row": 2}
    assert summary == f"vigie: 9 events; 1 unreadable, the last: {reason}"


# Proposals

SPANISH = """Informe de llamadas

Nº;Fecha;Hora;Cola;Agente;Teléfono;Estado;Espera;Duración;Importe
1;31/03/2026;9:05:00 a. m.;Soporte;Íñigo;600000160;Atendida;12,5;180,25;1.249,90
2;31/03/2026;9:10:00 a. m.;Soporte;;600000161;Perdida;45,0;;
3;31/03/2026;9:15:00 a. m.;Ventas;;600000162;Derivada;3,0;;
"""
PUBLIC = """Call Id,Agent,Date,Time,Topic,Answered (Y/N),Speed of answer in seconds,AvgTalkDuration,Satisfaction rating
ID1,Ana,2026-03-10,09:12:58,Contract,Y,109,00:02:23,3
ID2,Bob,2026-03-10,09:13:20,Support,Y,70,00:04:02,3
ID3,Eve,2026-03-10,09:17:17,Contract,N,,,
"""


def proposed(data: bytes) -> tuple[str, dict[str, Any]]:
    text = proposal.proposed(data, "list")
    return text, tomllib.loads(text)


def test_a_proposal_for_a_spanish_list() -> None:
    text, tables = proposed(SPANISH.encode("cp1252"))
    assert tables == {
        "file": {
            "delimiter": ";",
            "encoding": "cp1252",
            "timezone": "Europe/Madrid",
            "instants": "%d/%m/%Y %I:%M:%S %p",
            "decimal": ",",
        },
        "columns": {
            "call_id": "Nº",
            "queued_at": ["Fecha", "Hora"],
            "queue": "Cola",
            "caller": "Teléfono",
            "agent": "Agente",
            "outcome": "Estado",
            "wait_s": "Espera",
            "talk_s": "Duración",
            "amount": "Importe",
        },
        "words": {"outcome": {"Atendida": "answered", "Perdida": "abandoned"}},
    }
    assert '# "Derivada" =' in text
    assert "# With this mapping 2 of the first 3 rows become calls." in text
    assert not any(private in text for private in ("600000160", "Íñigo", "Soporte"))


@pytest.mark.parametrize(
    ("data", "calls"),
    [
        (PUBLIC.encode(), 3),
        ((SAMPLES / "appels.csv").read_bytes(), 10),
        (json.dumps({"data": [call | {"queue": "q"} for call in CALLS]}).encode(), 3),
        (codecs.BOM_UTF16_LE + PUBLIC.replace(",", "\t").encode("utf-16-le"), 3),
    ],
    ids=["English", "French", "JSON", "UTF-16, tabs"],
)
def test_a_proposal_reads_the_list(data: bytes, calls: int) -> None:
    text, tables = proposed(data)
    assert f"# With this mapping {calls} of the first {calls} rows become calls." in text
    found = events_of(data, parsed(tables, "proposal"))
    assert not [result for result in found if isinstance(result, Rejected)]


def test_a_proposal_for_the_public_list_counts_its_abandons() -> None:
    _, tables = proposed(PUBLIC.encode())
    found = events_of(PUBLIC.encode(), parsed(tables, "proposal"))
    assert [(e["call_id"], e.get("wait_unknown")) for e in found if e["type"] == "call.abandoned"] == [
        ("list/ID3", True)
    ]
    assert tables["columns"]["talk_s"] == "AvgTalkDuration"


def test_a_proposal_for_a_list_without_a_header_repeats_no_cell() -> None:
    text, tables = proposed(HEADLESS)
    assert "# column 1,column 2,column 3,column 4,column 5,column 6" in text
    assert tables["columns"] == {"call_id": "", "queued_at": ""}
    assert not any(private in text for private in ("600000160", "Agent Un", "288831", "Support"))


def test_an_empty_list_has_no_proposal() -> None:
    with pytest.raises(UsageError, match=r"list has no rows of calls; name a list with a header"):
        proposed(b"id;at\n")


@pytest.mark.slow
def test_the_command_prints_a_proposal() -> None:
    done = run("source", "map", "--propose", str(SAMPLES / "appels.csv"))
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["file"]["encoding"] == "cp1252"
