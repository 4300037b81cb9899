"""What is kept of a rejected line: enough to find the fault, but no phone number, however it is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.events.contract import EVENT_CLASSES
from ingest.events.masking import HIDDEN, IDENTITIES, INSTANTS, PRIVATE_FIELDS, WORDS, mask_payload, mask_reason
from tests.support.stories.stream import at, folded, rows

NUMBER = "+33612345678"

NASTY = {
    "the field of the contract": ('{"caller": "+33612345678", "x": 1}', '{"caller": "•••", "x": 1}'),
    "a field in capitals": ('{"CALLER":"Jo"}', '{"CALLER":"•••"}'),
    "an escaped field name": (r'{"call\u0065r": "Jo"}', r'{"call\u0065r": "•••"}'),
    "a number, not a string": ('{"callee":612345678,"x":1}', '{"callee":•••,"x":1}'),
    "short, but where a number stands": ('{"to_number": 17}', '{"to_number": •••}'),
    "no number": ('{"caller": null, "x": 1}', '{"caller": null, "x": 1}'),
    "nested": ('{"caller": {"name": "Jo", "n": [1, "}"]}, "x": 1}', '{"caller": •••, "x": 1}'),
    "nested and cut off": ('{"caller": {"name": "Jo", "n": [1', '{"caller": •••'),
    "in an array": ('{"caller": ["Jo", 17], "x": 1}', '{"caller": •••, "x": 1}'),
    "a string cut off": ('{"caller": "+3361', '{"caller": "•••"'),
    "another field": ('{"phone": "0612345678"}', '{"phone": "•••"}'),
    "another field, as a number": ('{"phone": 33612345678}', '{"phone": •••}'),
    "with separators": ('{"reason": "call 06 12.34-56/78 back"}', '{"reason": "call ••• back"}'),
    "with a bracketed zero": ('{"say": "+33 (0)6 12 34 56 78"}', '{"say": "•••"}'),
    "with no-break spaces": ('{"say": "06\u00a012\u202f34 56 78"}', '{"say": "•••"}'),
    "as escapes": (r'{"say": "\u0030\u0036\u0031\u0032\u0033\u0034\u0035"}', '{"say": "•••"}'),
    "as escapes, cut off": (r'{"say": "\u0030\u0036\u0031\u0032\u0033\u0034\u0035', '{"say": "•••"'),
    "in other digits": ('{"say": "٠٦١٢٣٤٥٦٧٨"}', '{"say": "•••"}'),
    "digit by digit": ('{"dialed": [0, 6, 1, 2, 3, 4, 5]}', '{"dialed": [•••]}'),
    "in pairs": ('{"queues": ["06", "12", "34", "56"]}', '{"queues": [•••]}'),
    "as a field name": ('{"+33612345678": "Jo"}', '{"•••": "•••"}'),
    "JSON in a string": (r'{"raw": "{\"caller\": \"Jo\"}"}', r'{"raw": "{\"caller\": \"•••\"}"}'),
    "no JSON": ("caller=Jo; +33612345678 hung up", "caller=•••"),
    "a dict of Python": ("{'caller': 'Jo', 'x': 1}", "{'caller': '•••', 'x': 1}"),
    "a quote too few": ('{"x: 1, "caller": "Jo"}', '{"•••"caller": "•••"}'),
    "between colons": ('{"reason": "06:12:34:56:78"}', '{"reason": "•••"}'),
    "between bars": ("call 06|12|34|56|78 back", "call ••• back"),
    "between dashes": ("call 06—12—34—56—78 back", "call ••• back"),
    "between four blanks": ("call 06    12    34    56    78 back", "call ••• back"),
    "between stars and signs": ("call 06*12#34~56_78 back", "call ••• back"),
    "between zero-width spaces": ("call 06\u200b12\u200b34\u200b56 back", "call ••• back"),
    "between semicolons": ("call 06;12;34;56;78 back", "call ••• back"),
    "after a timestamp": ("2026-03-10 09:00:00 06:12:34:56", "2026-03-10 09:00:00 •••"),
    "a name": ('{"name": "Jo", "agent": "jo"}', '{"name": "•••", "agent": "jo"}'),
    "a field that the contract does not know": ('{"customer": "Jo", "x": 1}', '{"customer": "•••", "x": 1}'),
    "such fields inside": ('{"a": {"b": ["Jo", {"c": "Al"}]}}', '{"a": {"b": ["•••", {"c": "•••"}]}}'),
    "a string in a list": ('["Jo", 17]', '["•••", 17]'),
    "a name in a line": ("c1|Jean-Pierre de la Tour|CONNECT", "c1|•••|CONNECT"),
    "a name with a surname in capitals": ("c1;Zoé DUPONT;12", "c1;•••;12"),
    "a surname first": ("c1,DUPONT Zoé,12", "c1,•••,12"),
    "a title": ("ask Mme dupont or Sra. Ruiz", "ask ••• or •••"),
    "a name of another system": ("first_name=jo; tel: 17", "first_name=•••"),
    "another field of a dict of Python": ("{'client': 'jo', 'queue': 'main'}", "{'client': '•••', 'queue': 'main'}"),
    "an e-mail address": ("mail jo.o'brien+vip@mail.example.org now", "mail ••• now"),
    "an e-mail address as an identity": ('{"agent": "jo@mail.example"}', '{"agent": "•••"}'),
    "an encoded e-mail address": ("to=jo%40mail.example;x", "to=•••;x"),
    "an IBAN": ("pay GB29 NWBK 6016 1331 9268 19 now", "pay ••• now"),
    "an IBAN of digits": ("pay FR7630006000011234567890189", "pay •••"),
    "an IBAN as an identity": ('{"call_id": "MT84MALT011000012345MTLCAST001S"}', '{"call_id": "•••"}'),
    "a line of CSV": ("c-17,0612345678,2026-03-10", "c-17,•••,2026-03-10"),
    "an identity that is a number": ('{"call_id": "+33612345678"}', '{"call_id": "•••"}'),
    "an instant that is a number": ('{"ts": "0612345678"}', '{"ts": "•••"}'),
    "half a surrogate pair": (r'{"reason": "\ud800 0612345678"}', '{"reason": "? •••"}'),
}

KEPT = [
    '{"event_id": "990201-AA0201-34853-queued", "call_id": "1700000000.123", "linked_id": "550e8400-446655440000"}',
    '{"ts": "2026-03-10T09:00:00.123456Z", "asked_for_human_at": "2026-03-10 09:00:00+01:00"}',
    '{"ts": "2026-13-45T25:61:00Z", "asked_for_human_at": "9999-12-31T23:59:59-14:00"}',
    '{"ts": 1773133200}',
    '{"ts": 1773133200123, "type": "call.queued"}',
    '{"hired_on": "2019-10-01", "team": "north", "languages": ["fr", "es"]}',
    '{"revision": 12345, "score": 4.5, "amount": 99.95, "priority": [1, 2, 3]}',
    '{"agent": "agent-1000001", "campaign": "sav-2026", "queue": "q-123456"}',
    r'{"team": "Ren\u00e9", "reason": "a \"quoted\" word\n"}',
    "1,c-17,main,12:30,answered",
    "on 12 of 13 lines in all",
    "nothing at all",
    "",
    "{",
    '"',
    "\\",
]


@pytest.mark.parametrize(("payload", "expected"), NASTY.values(), ids=NASTY)
def test_a_number_is_hidden(payload: str, expected: str) -> None:
    assert mask_payload(payload) == expected
    assert mask_payload(expected) == expected


@pytest.mark.parametrize("payload", KEPT)
def test_other_text_stays_to_find_the_fault(payload: str) -> None:
    assert mask_payload(payload) == payload


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Invalid enum value '+33612345678' - at `$.direction`.", "Invalid enum value '•••' - at `$.direction`."),
        ("Invalid enum value 'jean' - at `$.direction`.", "Invalid enum value '•••' - at `$.direction`."),
        ("Invalid value 'a'0612345678' - at `$.type`.", "Invalid value '•••' - at `$.type`."),
        ("Invalid value 'call.flown' - at `$.type`.",) * 2,
        ("Not JSON: malformed (byte 1234567).", "Not JSON: malformed (byte 1234567)."),
        ("ts lies 31536000 s after the record's Kafka timestamp.",) * 2,
    ],
)
def test_reasons_quote_nothing_private(reason: str, expected: str) -> None:
    assert mask_reason(reason) == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("0612345678", "•••"),
        ("No agent 'jo' for 06:12:34:56:78", "No agent ••• for •••"),
        ("Unknown caller Jean Dupont, jean@mail.example", "Unknown caller •••, •••"),
        ("The call's number \"17\" is not this call's.", "The call's number ••• is not this call's."),
        ("The CDR of an answered call has no end, or one before the answer.",) * 2,
        ("Not a JSON object.",) * 2,
        ("1234567890 fields, where the header names 3.", "••• fields, where the header names 3."),
    ],
)
def test_a_source_puts_nothing_private_into_its_reason(tmp_path: Path, reason: str, expected: str) -> None:
    line = json.dumps({"type": "unreadable", "source": "pbx-1", "reason": reason, "line": "x"})
    with folded(tmp_path, [line.encode()], at("12:00:00")) as connection:
        (letter,) = rows(connection, "SELECT reason FROM dead_letters")
    assert letter["reason"] == f"pbx-1: {expected}"


def test_masking_knows_every_field_of_the_contract() -> None:
    fields = {name for event_class in EVENT_CLASSES for name in event_class.__struct_fields__}
    assert fields | {"type", "line"} == PRIVATE_FIELDS | IDENTITIES | INSTANTS | WORDS


names = st.sampled_from(["caller", "callee", "phone", "note", "x", "ts", "call_id", "event_id", "type", "data"])
words = st.sampled_from(["Jo", "", 1, 2.5, None, True, 'a "b"', "\\", "{", "]", "\ud800", "2026-03-10T09:00:00Z"])
spellings = st.sampled_from(
    [NUMBER, f"tel:{NUMBER}", "06 12 34 56 78", "(0)612.345.678", "00 33 6 12 34 56 78", 33612345678, 612345678.0]
)


@given(
    st.data(),
    st.recursive(words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)),
)
def test_no_number_survives_anywhere(data: Any, document: Any) -> None:
    number = data.draw(spellings)
    field = data.draw(names)
    planted = data.draw(st.permutations([("before", document), (field, number), ("after", document)]))
    text = json.dumps(dict(planted), ensure_ascii=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(0, 2))):
        text = json.dumps({"raw": text})
    text = (
        text[: data.draw(st.sampled_from([len(text), len(text) - 1, len(text) - 3]))].encode(errors="replace").decode()
    )
    masked = mask_payload(text)
    digits = "".join(c for c in masked if c.isdecimal())
    assert "123456" not in digits and "12345678" not in digits, masked
    masked.encode()


@pytest.mark.parametrize("part", ['{"a":', "[", '"\\', '{"caller":[', '"caller":', '"1 ', "1 -", "\\u0031"])
def test_a_hostile_payload_of_64_kib_is_masked_quickly(part: str) -> None:
    """No pattern may take time that grows with the square of the length, or recurse without a limit."""
    assert mask_payload(part * (65_536 // len(part))) is not None


def test_dead_letters_are_kept_masked_in_the_store_too(tmp_path: Path) -> None:
    bad = json.dumps({"event_id": "e1", "type": "call.queued", "caller": NUMBER, "direction": "+33698765432"})
    with folded(tmp_path, [bad.encode()], at("12:00:00")) as connection:
        (letter,) = rows(connection, "SELECT reason, payload FROM dead_letters")
    assert HIDDEN in letter["payload"] and '"event_id": "e1"' in letter["payload"]
    assert b"612345678" not in b"".join(file.read_bytes() for file in tmp_path.rglob("*.duckdb*"))
