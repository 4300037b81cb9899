"""A call list with its mapping: CSV or JSON, columns, formats, zones, words; the list of samples/ is run end to end."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import UsageError
from ingest.events import contract
from ingest.sources.call_list import events, mapping
from ingest.sources.call_list.calls import CallList
from ingest.sources.call_list.rows import rows as read_rows
from ingest.sources.events import Rejected, encoded
from ingest.topic.broker import Broker
from tests.support import processes
from tests.support.processes import ROOT, catch_up, one_sentence, run, status, totals
from tests.support.stories.call_lists import HEADER, PLAIN, events_of, loaded, row
from tests.support.stories.stream import folded, rows

Event = dict[str, Any]
SAMPLES = ROOT / "samples"
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> mapping.Mapping:
    return loaded(tmp_path_factory.mktemp("plain"), PLAIN)


FIELDS = (
    "outcome",
    "wait_s",
    "talk_s",
    "hold_s",
    "wrap_s",
    "agent",
    "transferred",
    "direction",
    "score",
    "disposition",
    "amount",
)
CALLS = {
    "by durations": (
        {"outcome": "answered", "wait": "12", "talk": "0:03:00", "hold": "30", "wrap": "1:05", "agent": "ana"},
        {"outcome": "answered", "wait_s": 12, "talk_s": 180, "hold_s": 30, "wrap_s": 65, "agent": "ana"},
    ),
    "by instants": (
        {"outcome": "answered", "answered": "2026-03-10 09:00:12", "ended": "2026-03-10T09:03:12+01:00"},
        {"outcome": "answered", "wait_s": 12, "talk_s": 180, "hold_s": 0, "wrap_s": 0},
    ),
    "answered, since somebody talked": (
        {"wait": "5", "talk": "60"},
        {"outcome": "answered", "wait_s": 5, "talk_s": 60, "hold_s": 0, "wrap_s": 0},
    ),
    "abandoned, since nobody did": ({"wait": "50"}, {"outcome": "abandoned", "wait_s": 50}),
    "by an end and a duration": (
        {"outcome": "answered", "ended": "2026-03-10 09:03:12", "talk": "180"},
        {"outcome": "answered", "wait_s": 12, "talk_s": 180, "hold_s": 0, "wrap_s": 0},
    ),
    "abandoned, nobody knows when": ({"outcome": "abandoned"}, {"outcome": "abandoned"}),
    "abandoned, with a reason, nobody knows when": (
        {"outcome": "abandoned", "what": "call back"},
        {"outcome": "abandoned", "disposition": "call back"},
    ),
    "abandoned at once": ({"outcome": "abandoned", "wait": "0"}, {"outcome": "short_abandoned", "wait_s": 0}),
    "a voicemail, nobody knows when": ({"outcome": "voicemail", "wait": "NULL"}, {"outcome": "voicemail"}),
    "a callback, nobody knows when": ({"outcome": "callback", "wait": "\\N"}, {"outcome": "callback"}),
    "an overflow, nobody knows when": ({"outcome": "overflow", "ended": "0000-00-00"}, {"outcome": "overflowed"}),
    "a timeout, nobody knows when": ({"outcome": "timeout", "wait": "(NULL)"}, {"outcome": "dropped"}),
    "rated, nobody knows when it ended": (
        {"outcome": "answered", "wait": "5", "score": "4"},
        {"outcome": "answered", "wait_s": 5, "score": 4},
    ),
    "0 is a value, NULL is none": (
        {"outcome": "answered", "wait": "0", "talk": "60", "agent": "0", "what": "NULL"},
        {"outcome": "answered", "wait_s": 0, "talk_s": 60, "hold_s": 0, "wrap_s": 0, "agent": "0"},
    ),
    "outbound, picked up and abandoned": (
        {"direction": "outbound", "outcome": "abandoned", "wait": "10"},
        {"outcome": "abandoned", "direction": "outbound"},
    ),
    "still talking": ({"outcome": "answered", "wait": "5"}, {"outcome": "answered", "wait_s": 5}),
    "still waiting": ({"outcome": "open"}, {"outcome": "open", "wait_s": 4 * 3600}),
    "voicemail": ({"outcome": "voicemail", "wait": "30"}, {"outcome": "voicemail", "wait_s": 30}),
    "closed": ({"outcome": "closed"}, {"outcome": "refused", "wait_s": 0}),
    "transferred": (
        {"outcome": "transferred", "wait": "5", "talk": "60"},
        {"outcome": "answered", "wait_s": 5, "talk_s": 60, "hold_s": 0, "wrap_s": 0, "transferred": True},
    ),
    "rated, and worth something": (
        {"outcome": "answered", "wait": "5", "talk": "60", "score": "4,5", "what": "sale", "amount": "1 249.90 €"},
        {"outcome": "answered", "wait_s": 5, "talk_s": 60, "hold_s": 0, "wrap_s": 0, "score": 4.5,
         "disposition": "sale", "amount": 1249.9},
    ),
    "a reason for hanging up": (
        {"outcome": "abandoned", "wait": "9", "what": "call back"},
        {"outcome": "abandoned", "wait_s": 9, "disposition": "call back"},
    ),
    "outbound": (
        {"direction": "outbound", "outcome": "answered", "wait": "10", "talk": "60"},
        {"outcome": "answered", "wait_s": 0, "talk_s": 60, "hold_s": 0, "wrap_s": 0, "direction": "outbound"},
    ),
    "outbound, busy": (
        {"direction": "outbound", "outcome": "busy"},
        {"outcome": "not_connected", "direction": "outbound"},
    ),
    "outbound, a machine": (
        {"direction": "outbound", "outcome": "machine", "wait": "10"},
        {"outcome": "not_connected", "wait_s": 0, "direction": "outbound"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), CALLS.values(), ids=CALLS)
def test_a_row_is_a_call(tmp_path: Path, plain: mapping.Mapping, cells: dict[str, str], expected: Event) -> None:
    with folded(tmp_path, events_of(row(**cells), plain), NOON) as reader:
        (call,) = rows(reader, "FROM calls")
    found = {field: call[field] for field in FIELDS if call[field] is not None and call[field] is not False}
    assert found == {"direction": "inbound", **expected}


def test_an_outbound_call_is_not_picked_up_after_its_answer(plain: mapping.Mapping) -> None:
    found = events_of(row(direction="outbound", outcome="answered", ended="2026-03-10 09:05:00"), plain)
    at = {event["type"]: event["ts"][11:16] for event in found}
    assert at == {"call.dialed": "08:00", "call.connected": "08:00", "call.answered": "08:00"}


def test_a_later_list_replaces_an_earlier_one(tmp_path: Path, plain: mapping.Mapping) -> None:
    earlier = events_of(
        row(outcome="answered", wait="5", talk="60", hold="9", wrap="8", what="x", score="3"), plain, revision=1
    )
    later = events_of(row(outcome="abandoned", wait="7"), plain, revision=2)
    for number, sent in enumerate(([*earlier, *later], [*later, *earlier], later)):
        with folded(tmp_path / str(number), sent, NOON) as reader:
            (call,) = rows(reader, "FROM calls")
        assert [call[f] for f in ("outcome", "wait_s", "talk_s", "disposition", "score")] == [
            "abandoned",
            7,
            None,
            None,
            None,
        ]


@pytest.mark.parametrize(("cell", "revision"), [("17", 17), ("2026-03-10 10:00:00", 1773133200000), ("", 5)])
def test_a_revision_is_the_rows_own_or_the_lists(plain: mapping.Mapping, cell: str, revision: int) -> None:
    assert events_of(row(revision=cell), plain, revision=5)[0]["revision"] == revision


WRONG = {
    "no id": ({"id": ""}, "The call has no id."),
    "no beginning": ({"at": ""}, "The call has no beginning."),
    "no time": ({"at": "soon"}, "queued_at: not a time in the format iso."),
    "too old": ({"at": "1066-10-14"}, "queued_at: a time before 1990."),
    "no queue": ({"queue": ""}, "The call has neither a campaign nor a queue."),
    "an unknown word": (
        {"outcome": "lost"},
        "outcome: there is no word for what this row says; add it under [words.outcome].",
    ),
    "no duration": ({"wait": "long"}, "wait_s: not a number."),
    "a duration below 0": ({"wait": "-3"}, "wait_s: not a duration from 0 s to 7 days."),
    "no number": ({"outcome": "open", "score": "good"}, "score: not a number."),
    "transferred, nobody knows when": (
        {"outcome": "transferred", "wait": "5"},
        "The call was transferred, but neither ended_at nor talk_s says when.",
    ),
    "thousands or decimals": (
        {"outcome": "open", "what": "sale", "amount": "1,249"},
        "amount: a number with thousands or with decimals; say which with decimal under [file].",
    ),
}


@pytest.mark.parametrize(("cells", "reason"), WRONG.values(), ids=WRONG)
def test_a_row_that_is_no_call_is_rejected_with_the_reason(
    plain: mapping.Mapping, cells: dict[str, str], reason: str
) -> None:
    data = row(**cells)
    (rejected,) = events_of(data, plain)
    assert rejected == Rejected(data.decode().splitlines()[1], reason)


def test_rows_that_are_no_csv_are_rejected_and_the_others_read(plain: mapping.Mapping) -> None:
    good = row(wait="1").decode().splitlines()[1]
    data = "\n".join([";".join(HEADER), "1;q;short", '"1"x;q', "", good, '2;"q'])
    found = events_of(data.encode(), plain)
    rejected = [result for result in found if isinstance(result, Rejected)]
    assert [result.line for result in rejected] == ["1;q;short", '"1"x;q', '2;"q']
    assert [result.reason for result in rejected] == [
        "3 fields, where the header names 17.",
        "Not CSV: ';' expected after.",
        "Not CSV: unexpected end of data.",
    ]
    assert {e["call_id"] for e in found if not isinstance(e, Rejected)} == {"list/1"}


def test_a_field_of_several_lines_is_one_field(tmp_path: Path, plain: mapping.Mapping) -> None:
    data = row(wait="1", what="§").replace("§".encode(), b'"first\nsecond"')
    assert {e.get("disposition") for e in events_of(data, plain)} == {None, "first\nsecond"}


JSON_MAP = """
[file]
format = "json"
[columns]
call_id = "id"
queued_at = "times.queued"
wait_s = "times.wait"
queue = "queue.name"
agent = "who.agent"
"""


@pytest.mark.parametrize(
    "form", [lambda docs: json.dumps(docs), lambda docs: "\n".join(map(json.dumps, docs))], ids=["array", "lines"]
)
def test_json_by_paths(tmp_path: Path, form: Any) -> None:
    calls = [
        {"id": 1, "times": {"queued": "2026-03-10T09:00:00Z", "wait": 12.5}, "queue": {"name": "q"}, "who": None},
        {"id": 2, "times": "none", "queue": {"name": "q"}},
    ]
    *told, rejected = events_of(form(calls).encode(), loaded(tmp_path, JSON_MAP))
    assert [(e["type"], e["ts"], e["call_id"]) for e in told if e["type"] != "call.queued"] == [
        ("call.abandoned", "2026-03-10T09:00:12.500000Z", "list/1"),
    ]
    assert rejected.reason == "The call has no beginning."


UNMEASURED = """id,at,o,wait,talk
1,2026-03-10 10:00:00,Y,10,60
2,2026-03-10 10:05:00,Y,109,60
3,2026-03-10 10:10:00,N,,0
4,2026-03-10 10:15:00,N,NULL,0
5,2026-03-10 10:20:00,N,3,0
6,2026-03-10 10:25:00,C,,
"""
UNMEASURED_MAP = """
[file]
timezone = "Europe/Paris"
[columns]
call_id = "id"
queued_at = "at"
outcome = "o"
wait_s = "wait"
talk_s = "talk"
[fixed]
campaign = "c13"
[words.outcome]
Y = "answered"
N = "abandoned"
C = "callback"
"""


def test_a_wait_that_nobody_measured_is_0_in_no_figure(tmp_path: Path) -> None:
    mapped = loaded(tmp_path, UNMEASURED_MAP)
    window = "('2026-03-10 00:00:00Z', '2026-03-11 00:00:00Z') WHERE campaign = 'c13'"
    with folded(tmp_path / "store", events_of(UNMEASURED.encode(), mapped), NOON) as reader:
        (figures,) = rows(reader, f"FROM kpi_campaign{window}")
        (formulas,) = rows(reader, f"FROM kpi_formulas{window}")
        assert rows(reader, "FROM alarms") == []
    expected = {
        **{"offered": 6, "answered": 2, "abandoned": 2, "short_abandoned": 1, "callback": 1, "conserved": True},
        **{"abandon_rate": 2 / 5, "service_level": 1 / 5, "asa_s": 59.5, "longest_wait_s": None},
        **{"answered_in_threshold": 1, "abandoned_in_threshold": 1},
    }
    assert {name: figures[name] for name in expected} == expected
    expected = {"all_offered": 1 / 6, "abandon_counts_as_success": 2 / 6, "ignore_abandons_in_threshold": 1 / 5}
    assert {name: formulas[name] for name in expected} == expected


# The mapping

MAPS = {
    "no id": ("[columns]\nqueued_at = 'x'", "mapping.toml, columns: Table missing required field `call_id`."),
    "no queue": ("[columns]\ncall_id = 'x'\nqueued_at = 'x'", "mapping.toml: neither a campaign nor a queue"),
    "an unknown field": (
        PLAIN + "[words.colour]\nx = 'y'",
        "mapping.toml, [words]: unknown field colour, allowed are call_id",
    ),
    "an unknown column": (
        PLAIN.replace("[columns]", "[columns]\ncolour = 'x'"),
        "mapping.toml, columns: Table contains unknown field",
    ),
    "an unknown outcome": (
        PLAIN + "[words.outcome]\nx = 'lost'",
        "mapping.toml, [words.outcome], entry 1: its meaning is not one of answered,",
    ),
    "an unknown direction": (
        PLAIN.replace("[fixed]", "[fixed]\ndirection = 'up'"),
        "mapping.toml, [fixed], direction: not one of inbound",
    ),
    "an unknown sale": (
        PLAIN + "[words.sale]\nx = 'maybe'",
        "mapping.toml, [words.sale], entry 1: its meaning is not one of true, false.",
    ),
    "an unknown zone": (
        PLAIN.replace("Europe/Paris", "Paris"),
        "mapping.toml, [file], timezone: Paris is not an IANA zone",
    ),
    "an unknown encoding": (
        PLAIN.replace("[file]", "[file]\nencoding = 'x'"),
        "mapping.toml, [file], encoding: x is unknown",
    ),
    "an unknown format of times": (
        PLAIN.replace("[file]", "[file]\ninstants = 'unix'"),
        "mapping.toml, [file], instants: unix is neither one of iso, epoch, excel, excel-1904 nor a format such as",
    ),
    "a long delimiter": (
        PLAIN.replace('";"', '";;"'),
        "mapping.toml, file.delimiter: Expected `str`",
    ),
}


@pytest.mark.parametrize(("text", "says"), MAPS.values(), ids=MAPS)
def test_a_wrong_mapping_is_reported_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        loaded(tmp_path, text)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(says)


@pytest.mark.parametrize(
    ("data", "text", "says"),
    [
        (b"id;queue\n1;q\n", PLAIN, "The list has no column 'at', 'direction'"),
        ("id;Gérard\n".encode("latin-1"), PLAIN, "The list is not utf-8"),
        (row(), PLAIN.replace('timezone = "Europe/Paris"', ""), "The times of this list have no zone"),
    ],
)  # fmt: skip
def test_a_list_unlike_its_mapping_is_reported_in_one_sentence(
    tmp_path: Path, data: bytes, text: str, says: str
) -> None:
    with pytest.raises(UsageError) as error:
        events_of(data, loaded(tmp_path, text))
    assert str(error.value).startswith(says)


CELL = st.one_of(
    st.text(max_size=10), st.sampled_from(["answered", "outbound", "2026-03-10 09:00:00", "12", "1:05", "-1", '"'])
)


@given(st.lists(st.dictionaries(st.sampled_from(HEADER), CELL, max_size=8), max_size=4))
def test_any_list_makes_valid_events_or_is_rejected(plain: mapping.Mapping, table: list[dict[str, str]]) -> None:
    data = b"\n".join([";".join(HEADER).encode(), *(row(**cells).split(b"\n", 1)[1] for cells in table)])
    for result, origin in events(CallList("list", plain, 1), read_rows([data], plain)):
        _, value, reason = encoded(result, "list", origin)
        ((_, _, fault),) = contract.faulty_lines(value)
        assert (fault is None) == (reason is None)


# The command

LIST = ("--calls", str(SAMPLES / "appels.csv"), "--map", str(SAMPLES / "appels.toml"))
BY_HAND = {
    "orea-sinistres": (5, 2, 1, 1, 1, 0, 1, 1, 2 / 4, 16, (230 + 110) / 2, 0),
    "orea-ventes": (4, 3, 0, 0, 0, 1, 0, 0, 3 / 4, 21, (450 + 140 + 270) / 3, 2 / 3),
}


def test_the_list_of_the_samples_through_a_broker_has_the_figures_counted_by_hand(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    to = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    for _ in range(2):
        done = run("source", "map", *LIST, *to)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("60 events; acknowledged by")
    catch_up(tmp_path, broker.bootstrap_servers, topic, ROOT / "campaigns.toml")
    assert (totals(tmp_path)["lines"], status(tmp_path)["events"], totals(tmp_path)["dead_letters"]) == (120, 60, 0)
    found = processes.rows(
        tmp_path,
        "SELECT campaign, offered, answered, abandoned, short_abandoned, voicemail, overflowed, refused, transferred,"
        " service_level, asa_s, aht_s, conversion"
        " FROM kpi_campaign(TIMESTAMPTZ '2026-03-10 00:00:00Z', TIMESTAMPTZ '2026-03-11 00:00:00Z')",
    )
    assert {campaign: figures for campaign, *figures in found if campaign in BY_HAND} == {
        campaign: list(figures) for campaign, figures in BY_HAND.items()
    }
    ((sold,),) = processes.rows(tmp_path, "SELECT sum(amount) FROM calls WHERE currency = 'EUR'")
    assert sold == 1249.9 + 89


@pytest.mark.slow
def test_a_list_written_later_counts(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes((SAMPLES / "appels.csv").read_bytes())
    revisions = []
    for written in (1_773_133_200, 1_773_140_400):
        os.utime(path, (written, written))
        done = run("source", "map", "--calls", str(path), "--map", str(SAMPLES / "appels.toml"), "--print")
        (revision,) = {json.loads(line)["revision"] for line in done.stdout.splitlines()}
        revisions.append(revision)
    assert revisions[1] - revisions[0] == 7_200_000  # whatever the process's clock says


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name the list with --calls and its mapping with --map"),
        (("--calls", "/none", "--map", str(SAMPLES / "appels.toml")), "/none cannot be read"),
        (("--calls", str(SAMPLES / "queue_log"), "--map", str(SAMPLES / "appels.toml")), "The list has no header"),
        (("--calls", str(SAMPLES / "appels.csv"), "--map", "/none.toml"), "/none.toml cannot be read"),
    ],
)
def test_wrong_usage_is_reported_in_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    assert says in one_sentence(run("source", "map", *arguments, "--print"))
