"""docs/events.md as a table: which records become events, and which dead letters the others become."""

import datetime as dt
import itertools
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from ingest.events import contract
from ingest.events.batch import Batch
from ingest.events.sorting import Sorter
from tests.support.stories.stream import PARTITION, PERSONS, Message, applied, folded, messages, rows, sort, totals

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
LONG = 70 * 1024
UNSAID = object()


def event(**fields: Any) -> bytes:
    """A valid call.queued with fields changed; UNSAID leaves one out."""
    good = {
        "event_id": "e1",
        "type": "call.queued",
        "ts": "2026-03-10T11:00:00Z",
        "call_id": "c1",
        "campaign": "sav",
        "queue": "main",
    }
    return json.dumps({k: v for k, v in (good | fields).items() if v is not UNSAID}).encode()


def of(kind: str, **fields: Any) -> bytes:
    """An event of another type with its required fields only."""
    own = {"call_id": "c1"} if kind.startswith("call.") else {"agent": "amina"}
    fields_of_event = {"event_id": "e1", "type": kind, "ts": "2026-03-10T11:00:00Z"} | own | fields
    return json.dumps({k: v for k, v in fields_of_event.items() if v is not UNSAID}).encode()


REQUIRED: dict[str, dict[str, Any]] = {
    "call.queued": {"call_id": "c1", "campaign": "sav", "queue": "main"},
    "call.dialed": {"call_id": "c1", "campaign": "sav"},
    "call.connected": {"call_id": "c1"},
    "call.not_connected": {"call_id": "c1", "reason": "busy"},
    "call.rang": {"call_id": "c1", "agent": "amina"},
    "call.missed": {"call_id": "c1", "agent": "amina"},
    "call.answered": {"call_id": "c1"},
    "call.held": {"call_id": "c1"},
    "call.resumed": {"call_id": "c1"},
    "call.abandoned": {"call_id": "c1"},
    "call.left_queue": {"call_id": "c1", "reason": "overflow"},
    "call.transferred": {"call_id": "c1"},
    "call.ended": {"call_id": "c1"},
    "call.wrapped": {"call_id": "c1"},
    "call.rated": {"call_id": "c1", "score": 3},
    "agent.state": {"agent": "amina", "state": "available"},
    "agent.profile": {"agent": "amina"},
}
OPTIONAL: dict[str, dict[str, Any]] = {
    "call.queued": {
        "linked_id": "l1",
        "direction": "callback",
        "channel": "chat",
        "caller": "+33612345678",
        "language": "fr",
        "priority": 2,
        "asked_for_human_at": "2026-03-10T10:59:00Z",
    },
    "call.dialed": {"queue": "main", "list": "l", "callee": "+33612345678", "agent": "amina", "consent": "contract"},
    "call.connected": {"answered_by": "human"},
    "call.answered": {"agent": "amina", "wait_unknown": True},
    "call.abandoned": {"wait_unknown": True},
    "call.left_queue": {"wait_unknown": False},
    "call.transferred": {"to_queue": "q", "to_agent": "sara", "to_number": "+33123456789", "warm": True},
    "call.ended": {"ended_by": "agent"},
    "call.wrapped": {"disposition": "sold", "sale": True, "amount": 12.5, "currency": "EUR"},
    "agent.state": {"reason": "lunch", "campaign": "sav", "queues": ["main", "vip"]},
    "agent.profile": {
        "name": "Amina",
        "team": "A",
        "site": "Fès",
        "languages": ["fr", "es"],
        "hourly_cost": 4.5,
        "currency": "MAD",
        "hired_on": "2024-02-29",
    },
}
ENUMS = {
    ("call.queued", "direction"): ("inbound", "outbound", "callback"),
    ("call.dialed", "consent"): ("consent", "contract", "none"),
    ("call.connected", "answered_by"): ("human", "machine"),
    ("call.not_connected", "reason"): ("no_answer", "busy", "invalid", "refused"),
    ("call.left_queue", "reason"): (
        *("overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system"),
    ),
    ("call.ended", "ended_by"): ("customer", "agent", "system"),
    ("agent.state", "state"): ("available", "busy", "wrap_up", "paused", "offline"),
}
TEXT_LIMITS: dict[str, dict[str, int]] = {
    **{kind: {"event_id": 128, "campaign": 64, "source": 128} for kind in REQUIRED},
    "call.queued": {"queue": 128, "linked_id": 128, "channel": 64, "caller": 256, "language": 64},
    "call.dialed": {"queue": 128, "list": 128, "callee": 256, "agent": 128, "linked_id": 128},
    "call.rang": {"agent": 128},
    "call.missed": {"agent": 128},
    "call.answered": {"agent": 128, "call_id": 128},
    "call.transferred": {"to_queue": 128, "to_agent": 128, "to_number": 256},
    "call.wrapped": {"disposition": 128},
    "agent.state": {"agent": 128, "reason": 128, "source": 128, "campaign": 64},
    "agent.profile": {"agent": 128, "name": 128, "team": 128, "site": 128},
}
LIST_LIMITS = {("agent.state", "queues"): (1_000, 128), ("agent.profile", "languages"): (100, 64)}
WRONG = {str: 7, int: "seven", float: "much", bool: "yes", list: "fr"}


def ts(text: str) -> bytes:
    return event(ts=text)


GOOD: dict[str, bytes] = {
    **{f"{kind} with what it needs only": of(kind, **fields) for kind, fields in REQUIRED.items()},
    **{f"{kind} with all its fields": of(kind, **REQUIRED[kind], **fields) for kind, fields in OPTIONAL.items()},
    **{
        f"{kind} with its optional fields null": of(kind, **REQUIRED[kind], **dict.fromkeys(fields))
        for kind, fields in OPTIONAL.items()
    },
    **{
        f"{kind} {field} {value}": of(kind, **REQUIRED[kind] | {field: value})
        for (kind, field), values in ENUMS.items()
        for value in values
    },
    "common optional fields null": of("call.ended", campaign=None, source=None, revision=None),
    "common optional fields": of("call.ended", campaign="sav", source="asterisk-casa-1", revision=3),
    "unknown extra fields": event(colour="red", nested={"a": [1, {"b": None}]}),
    "event_id of 1": event(event_id="x"),
    "event_id of 128": event(event_id="x" * 128),
    "event_id of 128 beyond ASCII": event(event_id="é" * 128),
    "campaign of 64": event(campaign="x" * 64),
    "score 1": of("call.rated", score=1),
    "score 5": of("call.rated", score=5),
    "revision 0": event(revision=0),
    "revision large": event(revision=2**63 - 1),
    "amount whole": of("call.wrapped", amount=12),
    "amount negative (a refund)": of("call.wrapped", amount=-12.5),
    "ts Z": ts("2026-03-10T11:00:00Z"),
    "ts lower case": ts("2026-03-10t11:00:00z"),
    "ts space instead of T": ts("2026-03-10 11:00:00Z"),
    "ts offset +05:30": ts("2026-03-10T16:30:00+05:30"),
    "ts offset -08:00": ts("2026-03-10T03:00:00-08:00"),
    "ts offset -00:00": ts("2026-03-10T11:00:00-00:00"),
    "ts tenths": ts("2026-03-10T11:00:00.1Z"),
    "ts microseconds": ts("2026-03-10T11:00:00.123456Z"),
    "ts microseconds and offset": ts("2026-03-10T12:00:00.123456+01:00"),
    "ts 1990 exactly": ts("1990-01-01T00:00:00Z"),
    "ts 1990 exactly, by its offset": ts("1989-12-31T23:00:00-01:00"),
    "ts 5 min ahead exactly": ts("2026-03-10T12:05:00Z"),
    "ts 5 min ahead exactly, by its offset": ts("2026-03-10T13:05:00+01:00"),
    "ts leap day": ts("2024-02-29T23:59:59.999999Z"),
    "white space around": b"  \t" + event() + b" \r\n",
    "pretty-printed over several lines": json.dumps(json.loads(event()), indent=2).encode(),
    "field names escaped": event().replace(b'"ts"', b'"\\u0074s"'),
    "text beyond the basic plane, raw": event(caller="☎️ 😀").replace(b"\\", b"\\"),
    "surrogate pair escaped": event(caller="😀"),
    "NUL escaped": event(caller="a\u0000b"),
    "500 levels in an unknown field": event(x=0).replace(b'"x": 0', b'"x": ' + b"[" * 500 + b"]" * 500),
    "unknown field beyond a double": event(x=0).replace(b'"x": 0', b'"x": 1e999'),
    "unknown field of 6,000 digits": event(x=0).replace(b'"x": 0', b'"x": ' + b"1" * 6000),
    **{
        f"{kind} {field} of {most}": of(kind, **REQUIRED[kind] | {field: "é" * most})
        for kind, limits in TEXT_LIMITS.items()
        for field, most in limits.items()
    },
    **{
        f"{kind} {field} of {most} texts of {longest}": of(kind, **REQUIRED[kind], **{field: ["é" * longest] * most})
        for (kind, field), (most, longest) in LIST_LIMITS.items()
    },
    "100 KB of an unknown field": event(x="x" * 100_000),
}

BAD: dict[str, bytes | None] = {
    "tombstone": None,
    "empty": b"",
    "blank": b"  \t ",
    "blank lines": b"\n\r\n\n",
    "not UTF-8": b"\xff\xfe{}",
    "not UTF-8 inside a text": event(language="X").replace(b"X", b"\xe9"),
    "UTF-16": event().decode().encode("utf-16"),
    "not JSON": b"call.queued c1",
    "cut off": event()[:-1],
    "two objects on one line": event() + event(),
    "trailing comma": event()[:-1] + b",}",
    "single quotes": event().replace(b'"', b"'"),
    "NaN": event(x=0).replace(b'"x": 0', b'"x": NaN'),
    "raw tab in a text": event(language="X").replace(b"X", b"\t"),
    "lone surrogate high": event(language="X").replace(b"X", b"\\ud83d"),
    "lone surrogate low": event(language="X").replace(b"X", b"\\ude00"),
    "lone surrogate in an unknown field": event(x="X").replace(b"X", b"\\ud83d"),
    "array": b"[" + event() + b"]",
    "text": b'"call.queued"',
    "number": b"7",
    "null": b"null",
    "object without a field": b"{}",
    "bad object pretty-printed": json.dumps(json.loads(event(queue=7)), indent=2).encode(),
    "huge": b'{"x": "' + b"x" * LONG,
    "5,000 levels deep": event(x=0).replace(b'"x": 0', b'"x": ' + b"[" * 5000 + b"]" * 5000),
    **{
        f"{kind} without {field}": of(kind, **REQUIRED[kind] | {field: UNSAID})
        for kind, fields in REQUIRED.items()
        for field in ("event_id", "type", "ts", *fields)
    },
    **{
        f"{kind} {field} null": of(kind, **REQUIRED[kind] | {field: None})
        for kind, fields in REQUIRED.items()
        for field in ("event_id", "type", "ts", *fields)
    },
    **{
        f"{kind} {field} of the wrong type": of(kind, **REQUIRED[kind] | {field: WRONG[type(value)]})
        for kind in REQUIRED
        for field, value in (REQUIRED[kind] | OPTIONAL.get(kind, {})).items()
        if field != "score"
    },
    **{f"{kind} {field} unknown": of(kind, **REQUIRED[kind] | {field: "maybe"}) for kind, field in ENUMS},
    **{
        f"{kind} {field} in capitals": of(kind, **REQUIRED[kind] | {field: v[0].upper()})
        for (kind, field), v in ENUMS.items()
    },
    **{
        f"{kind} {field} of {most + 1}": of(kind, **REQUIRED[kind] | {field: "x" * (most + 1)})
        for kind, limits in TEXT_LIMITS.items()
        for field, most in limits.items()
    },
    **{
        f"{kind} {field} of {most + 1} texts": of(kind, **REQUIRED[kind], **{field: ["x"] * (most + 1)})
        for (kind, field), (most, _) in LIST_LIMITS.items()
    },
    **{
        f"{kind} {field} with a text of {longest + 1}": of(kind, **REQUIRED[kind], **{field: ["x" * (longest + 1)]})
        for (kind, field), (_, longest) in LIST_LIMITS.items()
    },
    "type unknown": event(type="call.flown"),
    "type in capitals": event(type="CALL.QUEUED"),
    "type empty": event(type=""),
    "event_id empty": event(event_id=""),
    "event_id of 129": event(event_id="x" * 129),
    "event_id a number": event(event_id=7),
    "campaign empty": event(campaign=""),
    "campaign of 65": event(campaign="x" * 65),
    "campaign of 65 where it is optional": of("call.ended", campaign="x" * 65),
    "campaign a number where it is optional": of("call.ended", campaign=7),
    "source a number": event(source=7),
    "revision negative": event(revision=-1),
    "revision a text": event(revision="1"),
    "revision a fraction": event(revision=1.5),
    "revision true": event(revision=True),
    "revision beyond 64 bits": event(revision=2**63),
    "priority beyond 64 bits": event(priority=2**63),
    "score 0": of("call.rated", score=0),
    "score 6": of("call.rated", score=6),
    "score a text": of("call.rated", score="5"),
    "amount beyond a double": of("call.wrapped", amount=0).replace(b'"amount": 0', b'"amount": 1e999'),
    "currency of two letters": of("call.wrapped", currency="EU"),
    "currency in lower case": of("call.wrapped", currency="eur"),
    "languages of numbers": of("agent.profile", languages=[1]),
    "hired_on no date": of("agent.profile", hired_on="yesterday"),
    "ts a number": event(ts=1_773_140_400),
    "ts no zone": ts("2026-03-10T11:00:00"),
    "ts no time": ts("2026-03-10"),
    "ts a word": ts("now"),
    "ts empty": ts(""),
    "ts 30 February": ts("2026-02-30T11:00:00Z"),
    "ts 25 o'clock": ts("2026-03-10T25:00:00Z"),
    "ts before 1990": ts("1989-12-31T23:59:59.999999Z"),
    "ts before 1990 by its offset": ts("1990-01-01T00:30:00+01:00"),
    "ts 5 min and a microsecond ahead": ts("2026-03-10T12:05:00.000001Z"),
    "ts a year ahead": ts("2027-03-10T12:00:00Z"),
    "ts in the year 9999": ts("9999-12-31T23:59:59-14:00"),
    "asked_for_human_at no time": event(asked_for_human_at="yes"),
}


def test_every_text_of_the_contract_has_a_greatest_length() -> None:
    """A text without one makes tables unusable, and a month's PDF impossible."""

    def unlimited(kind: Any) -> bool:
        match kind:
            case msgspec.inspect.StrType():
                return kind.max_length is None and kind.pattern is None
            case msgspec.inspect.ListType():
                return kind.max_length is None or unlimited(kind.item_type)
            case msgspec.inspect.UnionType():
                return any(map(unlimited, kind.types))
        return False

    inspected = msgspec.inspect.multi_type_info(contract.EVENT_CLASSES)
    assert [f"{kind.tag} {f.name}" for kind in inspected for f in kind.fields if unlimited(f.type)] == []


def in_one_batch(tmp_path: Path, values: dict[str, bytes | None]) -> tuple[list[dict[str, Any]], Any]:
    """Return the dead letters by offset, and the store's totals, of records that arrive in one batch."""
    with folded(tmp_path, list(values.values()), NOW) as published:
        dead = rows(published, 'FROM dead_letters ORDER BY "offset", line')
    return dead, totals(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The reasons why valid records were rejected, by the records' names."""
    # each gets its own id: this is not about several deliveries of one event
    values = {
        name: value
        if b'"event_id": "e1"' not in value
        else value.replace(b'"event_id": "e1"', b'"event_id": "e%d"' % n)
        for n, (name, value) in enumerate(GOOD.items())
    }
    dead, counted = in_one_batch(tmp_path_factory.mktemp("good"), values)
    assert counted.records == len(GOOD) == counted.lines + len(dead)
    names = list(GOOD)
    return {name: [d["reason"] for d in dead if names[d["offset"]] == name] for name in names}


@pytest.mark.parametrize("name", GOOD)
def test_good_records_become_events(good: dict[str, list[str]], name: str) -> None:
    assert good[name] == []


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    dead, counted = in_one_batch(tmp_path_factory.mktemp("bad"), BAD)
    assert counted.records == len(BAD)
    assert counted.records_with_events == counted.lines
    names = list(BAD)
    return {name: [d for d in dead if names[d["offset"]] == name] for name in names}


@pytest.mark.parametrize("name", BAD)
def test_bad_records_become_dead_letters(bad: dict[str, list[dict[str, Any]]], name: str) -> None:
    (letter,) = bad[name]
    assert (letter["topic"], letter["partition"]) == (PARTITION.topic, PARTITION.number)
    assert letter["received_at"] == NOW
    reason = letter["reason"]
    assert reason[0].isupper() or reason.startswith("ts ")
    assert reason.endswith(".") and not reason.endswith("..") and "\n" not in reason
    assert 10 <= len(reason) <= 200
    payload = (BAD[name] or b"").decode(errors="replace")
    payload = re.sub(
        r'"(x|name)": "(?!\\u)[^"]+("|$)', r'"\1": "•••"', payload
    )  # a name, and what the contract does not know
    payload = re.sub('"\x00[^"]*"', '"•••"', payload)
    if any(f"{field} of the wrong type" in name for field in (" caller", " callee", " to_number", "profile name")):
        payload = payload.replace(": 7", ": •••")  # whatever is in a field for numbers or names is hidden
    if name.endswith(" of 257"):
        payload = payload.replace("x" * 257, "•••")
    if "beyond 64 bits" in name:
        payload = re.sub(r"\d{19,}", "•••", payload)  # so are digits that may be a phone number
    kept = letter["payload"].strip()
    assert kept == payload.strip() or (len(payload) > 4_096 and payload.startswith(kept))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tombstone", "tombstone"),
        ("empty", "Empty"),
        ("blank lines", "Empty"),
        ("not UTF-8", "UTF-8"),
        ("cut off", "JSON"),
        ("5,000 levels deep", "deep"),
        ("call.queued without queue", "queue"),
        ("call.queued queue null", "queue"),
        ("call.queued queue of the wrong type", "queue"),
        ("agent.state state unknown", "state"),
        ("type unknown", "call.flown"),
        ("event_id of 129", "128"),
        ("campaign of 65", "64"),
        ("score 6", "5"),
        ("ts no zone", "ts"),
        ("ts before 1990", "1990"),
        ("ts a year ahead", "Kafka timestamp"),
    ],
)
def test_reasons_say_what_is_wrong(bad: dict[str, list[dict[str, Any]]], name: str, says: str) -> None:
    assert says in bad[name][0]["reason"]


SEVERAL_LINES = {
    "two events": (b"%s\n%s", [True, True]),
    "a newline at the end": (b"%s\n%s\n", [True, True]),
    "Windows' line ends": (b"%s\r\n%s\r\n", [True, True]),
    "blank lines between": (b"\n%s\n\n  \n%s", [None, True, None, None, True]),
    "the first is bad": (b"nothing\n%s\n%s", [False, True, True]),
    "the one between is bad": (b"%s\n{}\n%s", [True, False, True]),
    "the last is cut off": (b"%s\n%s\n{", [True, True, False]),
    "one is not UTF-8": (b"%s\n\xff\n%s", [True, False, True]),
    "one lies in the future": (b"%s\n" + event(ts="2026-03-10T13:00:00Z") + b"\n%s", [True, False, True]),
    "all are bad": (b"no\n{}\n[]", [False, False, False]),
}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[str], list[dict[str, Any]], Any]]:
    """Return by name: the value, the calls it made, its dead letters, and what it added to the totals."""
    values = {}
    for n, (name, (value, _)) in enumerate(SEVERAL_LINES.items()):
        ids = [f"{n}-{line}" for line in "ab"][: value.count(b"%s")]
        values[name] = value % tuple(event(event_id=i, call_id=i) for i in ids)
    tmp_path = tmp_path_factory.mktemp("several")
    totals_after = applied(tmp_path, list(values.values()), NOW, range(1, len(values)))
    with folded(tmp_path, [], NOW) as published:
        calls = [c["call_id"] for c in rows(published, "SELECT call_id FROM calls ORDER BY ALL")]
        dead = rows(published, 'FROM dead_letters ORDER BY "offset", line')
        assert status_of(published)["records"] == len(values)
    counted = [(0, 0), *((t.records_with_events, t.lines) for t in totals_after)]
    added = [(now[0] - before[0], now[1] - before[1]) for before, now in itertools.pairwise(counted)]
    return {
        name: (value, [c for c in calls if c.startswith(f"{n}-")], [d for d in dead if d["offset"] == n], added[n])
        for n, (name, value) in enumerate(values.items())
    }


def status_of(published: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    (status,) = rows(published, "FROM ingest_status")
    return status


@pytest.mark.parametrize("name", SEVERAL_LINES)
def test_good_lines_of_a_record_are_kept(
    several: dict[str, tuple[bytes, list[str], list[Any], Any]], name: str
) -> None:
    value, calls, dead, (records_with_events, lines) = several[name]
    are_good = SEVERAL_LINES[name][1]
    assert len(calls) == lines == are_good.count(True)
    assert records_with_events == int(True in are_good)
    texts = [text.strip().decode(errors="replace") for text in value.split(b"\n")]
    assert [d["payload"].strip() for d in dead] == [
        text for text, is_good in zip(texts, are_good, strict=False) if is_good is False
    ]


def test_lines_are_numbered_as_their_comment_says(tmp_path: Path) -> None:
    with folded(tmp_path, [b"no\n" + event() + b"\n\nno"], NOW) as published:
        lines = [d["line"] for d in rows(published, "FROM dead_letters ORDER BY line")]
        (meaning,) = rows(
            published,
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'dead_letters' AND column_name = 'line'",
        )
    assert lines == ([1, 4] if "from 1" in meaning["comment"] else [0, 3])


@pytest.mark.parametrize(
    ("values", "has_events"),
    [
        pytest.param([b"%s", b"%s"], True, id="an event each"),
        pytest.param([b"%s\n%s"], True, id="two events in a record"),
        pytest.param([b"%s", b"nothing"], True, id="one is a dead letter"),
        pytest.param([b"%s\nnothing\n%s\n"], True, id="a line is a dead letter"),
        pytest.param([b"nothing", None], False, id="all are dead letters"),
        pytest.param([], False, id="no record"),
    ],
)
def test_a_batch_tells_how_far_its_partitions_are_read(values: list[bytes | None], has_events: bool) -> None:
    """By the earliest of the last events. Dead letters do not count."""
    hours = itertools.count(11, -1)
    sent = [
        v and v % tuple(event(ts=f"2026-03-10T{next(hours):02}:00:00Z") for _ in range(v.count(b"%s"))) for v in values
    ]
    arrivals = sort(Batch({PARTITION: messages(sent, NOW)}))
    assert arrivals.reached == ({PARTITION: NOW.replace(hour=next(hours) + 1)} if has_events else {})


def test_a_line_rejected_by_duckdb_has_its_number(tmp_path: Path) -> None:
    """The contract accepts all lines of this record at once."""
    twice = event()[:-1] + b', "queue": "other"}'
    with folded(tmp_path, [event() + b"\n" + twice + b"\n" + event(event_id="e2")], NOW) as published:
        assert [d["line"] for d in rows(published, "FROM dead_letters")] == [2]


def test_records_with_events_and_wholly_rejected_ones_add_up(tmp_path: Path) -> None:
    good, bad = event(event_id="a"), b"nothing"
    values = [good, bad, good + b"\n" + bad, bad + b"\n" + bad, None, good + b"\n" + good]
    with folded(tmp_path, values, NOW, batches=[2, 3]) as published:
        status = status_of(published)
        dead = rows(published, 'SELECT "offset", count(*) AS n FROM dead_letters GROUP BY ALL ORDER BY ALL')
    counted = totals(tmp_path)
    assert counted.records == status["records"] == 6
    assert counted.records_with_events == 3
    assert [(d["offset"], d["n"]) for d in dead] == [(1, 1), (2, 1), (3, 2), (4, 1)]
    assert (status["events"], status["duplicates"], status["dead_letters"]) == (1, 3, 5)


def test_a_record_without_a_kafka_timestamp_has_no_future(tmp_path: Path) -> None:
    value = event(ts="2026-03-10T12:30:00Z")
    with folded(tmp_path, [Message(0, -1, value), Message(1, NOW_MS, value)], NOW) as published:
        assert [d["offset"] for d in rows(published, "FROM dead_letters")] == [1]
    assert totals(tmp_path).lines == 1


@pytest.mark.parametrize("timestamp_ms", [-1, 253_370_764_800_000, 2**62], ids=["none", "year 9999", "no date"])
def test_an_event_is_no_more_than_a_day_ahead_of_the_clock(timestamp_ms: int) -> None:
    """Whatever its record says: one of the year 9999 would have every day until then published."""
    sorter = Sorter(PERSONS, clock=lambda: NOW)
    values = [event(ts=(NOW + ahead).isoformat()) for ahead in (dt.timedelta(days=1), dt.timedelta(days=1, seconds=1))]
    values.append(event(ts="9999-12-31T23:59:59Z"))
    records = [Message(n, timestamp_ms, value) for n, value in enumerate(values)]
    arrivals = sorter.sort(Batch({PARTITION: records}))
    assert (arrivals.records_with_events, [letter.offset for letter in arrivals.dead]) == (1, [1, 2])
    assert arrivals.dead[0].reason == "ts lies more than a day after the time at which it was read."


def test_a_replayed_recording_is_older_than_its_kafka_timestamps(tmp_path: Path) -> None:
    with folded(tmp_path, [event(ts="1999-02-01T08:00:00Z")], NOW) as published:
        assert rows(published, "FROM dead_letters") == []


def test_the_beginning_of_a_payload_is_kept_and_its_size(tmp_path: Path) -> None:
    """The last word of it is left out: it may be a part of something private."""
    values = [b"x" * 4096, b"x" * LONG, "é ".encode() * LONG, b"!" * LONG]
    with folded(tmp_path, values, NOW) as published:
        kept = rows(published, 'SELECT payload, reason FROM dead_letters ORDER BY "offset"')
    assert [len(letter["payload"]) for letter in kept] == [4096, 4096 - 64, 4096, 4096]
    assert [letter["reason"].rpartition(" The line has ")[2] for letter in kept][1:] == [
        "71,680 bytes; its beginning is kept.",
        "215,040 bytes; its beginning is kept.",
        "71,680 bytes; its beginning is kept.",
    ]
    assert "bytes" not in kept[0]["reason"]


NUMBERS = {
    "caller": event(queue=7, caller="+33612345678"),
    "callee": of("call.dialed", callee="+33612345678"),
    "to_number": of("call.transferred", to_number="+33612345678", warm=7),
    "without spaces": event(queue=7, caller="+33612345678").replace(b": ", b":"),
    "cut off inside the number": event(caller="+33612345678").split(b"5678")[0],
    "not JSON": b'nothing {"caller": "+33612345678", }',
}


def test_dead_letters_show_no_phone_number(tmp_path: Path) -> None:
    with folded(tmp_path, list(NUMBERS.values()), NOW) as published:
        payloads = [d["payload"] for d in rows(published, 'FROM dead_letters ORDER BY "offset"')]
    assert [name for name, text in zip(NUMBERS, payloads, strict=True) if "+336" in text] == []


# Nothing stops the feed ---------------------------------------------------------------------------------------------

# Two different deliveries of one event_id, so that their contents are compared
ODD = {
    "6,000 digits": (b"1" * 6000, b"2" * 6000),
    "beyond a double": (b"1e999", b"-1e999"),
    "NUL": (b'"\\u0000"', b'"a\\u0000"'),
    "an exact fraction": (b"0.1", b"0.1000000000000000055511151231257827"),
    "an empty name": (b'{"": 1}', b'{"": 2}'),
    "a name twice inside": (b'{"a": 1, "a": 2}', b'{"a": 2}'),
}


@pytest.mark.parametrize(("first", "other"), ODD.values(), ids=ODD)
def test_odd_contents_under_one_id_do_not_stop_the_feed(tmp_path: Path, first: bytes, other: bytes) -> None:
    values = [event(x=0).replace(b'"x": 0', b'"x": ' + odd) for odd in (first, other)]
    after = applied(tmp_path, [*values, event(event_id="e2")], NOW, batches=[1, 2])[-1]
    assert (after.records, after.records_with_events) == (3, 3)


def test_depths_near_the_limit_do_not_stop_the_feed(tmp_path: Path) -> None:
    deep = [
        event(event_id=f"d{n}", x=0).replace(b'"x": 0', b'"%s": ' % name + b"[" * n + b"]" * n)
        for name in (b"x", b"y")
        for n in range(850, 1000)
    ]
    after = applied(tmp_path, [*deep, event(event_id="e2")], NOW, batches=[150, 300])[-1]
    assert after.records == 301
    assert after.records_with_events >= 1


TWICE = {
    "queue": b'"queue": "main", "queue": "vip"',
    "call_id": b'"queue": "main", "call_id": "c9"',
    "event_id": b'"queue": "main", "event_id": "e9"',
    "ts": b'"queue": "main", "ts": "2026-03-10T11:30:00Z"',
    "type": b'"queue": "main", "type": "call.dialed"',
}


def test_a_field_named_twice_gives_the_same_in_any_order(tmp_path: Path) -> None:
    """The line is treated the same in any order, and the record is accounted for."""
    pairs = []
    for n, again in enumerate(TWICE.values()):
        twice = event(event_id=f"e{n}", call_id=f"c{n}").replace(b'"queue": "main"', again)
        pairs.append((twice, json.dumps(json.loads(twice)).encode()))  # and with the value that Python's reader takes
    published = []
    for order in ([*zip(*pairs, strict=True)], [*zip(*pairs, strict=True)][::-1]):
        home = tmp_path / str(len(published))
        with folded(home, [*order[0], *order[1]], NOW, batches=[len(pairs)]) as connection:
            published.append(rows(connection, "FROM calls ORDER BY ALL"))
            dead = rows(connection, "FROM dead_letters")
        counted = totals(home)
        assert counted.lines + len(dead) == counted.records == 2 * len(pairs)
    assert published[0] == published[1]


def test_extra_fields_have_no_effect(tmp_path: Path) -> None:
    extra = {"agent": "ghost", "state": "paused", "reason": "closed", "seconds": 7}
    with folded(tmp_path, [event(**extra)], NOW) as published:
        assert rows(published, "SELECT agent FROM agents") == []
        assert rows(published, "SELECT agent, left_at, outcome FROM calls") == [
            {"agent": None, "left_at": None, "outcome": "open"}
        ]
        assert rows(published, "FROM agent_states") == []
