"""What is kept of persons: no phone number, but hashes by which the calls of one caller can be counted."""

import datetime as dt
import json
import os
import stat
from pathlib import Path

import duckdb
import pytest

from ingest.errors import UsageError
from ingest.events import keys
from ingest.events.keys import Keys, normalised
from ingest.events.masking import HIDDEN
from ingest.events.persons import Persons, masked
from ingest.events.sorting import Sorter
from ingest.rebuild import bring_up_to_date
from ingest.store import layout
from metrics.quoting import quoted
from tests.support import oracle
from tests.support.stories.stream import DEFAULTS, PARTITION, PERSONS, Batch, Desk, at, messages, read_story, sort

NUMBER = "+33612345678"
QUEUED = {"event_id": "e1", "type": "call.queued", "ts": "2026-03-10T09:00:00Z", "call_id": "c1", "campaign": "a"}
QUEUED |= {"queue": "q"}
CALL = """
    09:00:00 queued caller=+33612345678
    09:00:10 answered agent=ana
    09:05:00 ended
    09:10:00 dialed call_id=c2 campaign=a callee=+34612345678
"""
LATER = at("33:00:00")


def kept(line: bytes, persons: Persons = PERSONS) -> dict[str, object]:
    """Return the content that a store keeps of a line."""
    arrivals = Sorter(persons).sort(Batch({PARTITION: messages([line], LATER)}, {PARTITION: 1}))
    (raw,) = arrivals.events[0]["raw"].to_pylist()
    content: dict[str, object] = json.loads(raw)
    return content


def raw(**more: object) -> bytes:
    return json.dumps(QUEUED | more).encode()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(raw(caller=NUMBER), id="as JSON is written"),
        pytest.param(json.dumps(QUEUED | {"caller": NUMBER}, separators=(",", ":")).encode(), id="without spaces"),
        pytest.param(raw(caller=NUMBER).replace(b"caller", rb"c\u0061ller"), id="an escaped name"),
        pytest.param(raw(caller=NUMBER).replace(b"+33", rb"\u002b33"), id="an escaped number"),
        pytest.param(raw(caller=NUMBER, language="é"), id="an escape elsewhere"),
        pytest.param(raw(caller=NUMBER).replace(b'"caller": ', b'"caller"\t:\n  '), id="spaces of every kind"),
        pytest.param(raw(caller=NUMBER, caller_key="f" * 20), id="a hash of the source's own"),
        pytest.param(raw(caller_key="f" * 20, caller=NUMBER), id="a hash of the source's own, first"),
    ],
)
def test_a_number_is_kept_masked_with_its_hash(line: bytes) -> None:
    content = kept(line)
    event = {name: value for name, value in json.loads(line).items() if name != "caller_key"}
    assert content == oracle.kept(event)
    assert content["caller"] == "+33•••••••78" and len(str(content["caller_key"])) == keys.KEY_LENGTH


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param({"caller": None}, {"caller": None}, id="none"),
        pytest.param({"caller": "anonymous"}, {"caller": "ano••••us"}, id="withheld, which is no caller"),
        pytest.param({"caller": ""}, {"caller": ""}, id="empty"),
        pytest.param({"caller": "12"}, {"caller": "••"}, id="too short to be somebody"),
        pytest.param({"note": f"call {NUMBER} back"}, {"note": f"call {HIDDEN} back"}, id="in an unknown field"),
        pytest.param({"ani": 33612345678}, {"ani": HIDDEN}, id="in an unknown field, as a number"),
        pytest.param({"x": {"caller": NUMBER}}, {"x": {"caller": HIDDEN}}, id="in an object"),
        pytest.param({"x": {"Caller": {"n": 1}}}, {"x": {"Caller": HIDDEN}}, id="deeper in an object"),
        pytest.param({"x": {NUMBER: [0.5]}}, {"x": {HIDDEN: [0.5]}}, id="as the name of a field"),
        pytest.param({"x": [33, 6, 12, 34, 56]}, {"x": HIDDEN}, id="digit by digit"),
        pytest.param({"x": "a.b@example.com"}, {"x": HIDDEN}, id="an e-mail address"),
        pytest.param({"x": "FR76 3000 6000 0112 3456 7890 189"}, {"x": HIDDEN}, id="an IBAN"),
        pytest.param({"tier": "Gold Customer"}, {"tier": "Gold Customer"}, id="words"),
        pytest.param({"x": f"é {NUMBER}"}, {"x": f"é {HIDDEN}"}, id="with an escape"),
        pytest.param({"at": "2026-11-30T10:00:00Z"}, {"at": "2026-11-30T10:00:00Z"}, id="an instant"),
        pytest.param({"colour": "red", "n": [1, None]}, {"colour": "red", "n": [1, None]}, id="not a number"),
    ],
)
def test_other_fields(field: dict[str, object], expected: dict[str, object]) -> None:
    assert kept(raw(**field)) == QUEUED | expected


@pytest.mark.parametrize("value", [612345678, ["+33612345678"], {"a": NUMBER}, True])
def test_a_number_of_another_type_of_event_is_hidden(value: object) -> None:
    """The contract does not look at it there, so it may be anything."""
    event = QUEUED | {"type": "call.held", "caller": value, "to_number": NUMBER}
    assert kept(json.dumps(event).encode()) == event | {"caller": HIDDEN, "to_number": "+33•••••••78"}


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("+33612345678", "+33 6 12 34-56.78", True),
        ("+33612345678", "0033612345678", True),
        ("+33612345678", "tel:+33612345678", True),
        ("+33612345678", "sip:+33612345678@pbx.example;user=phone", True),
        ("+33612345678", "(+33) 612345678", True),
        ("0612345678", "06 12 34 56 78", True),
        ("٠٦١٢٣٤٥٦٧٨", "0612345678", True),
        ("+33612345678", "0612345678", False),  # the country is not known
        ("+33612345678", "33612345678", False),
        ("0612345678", "0612345679", False),
    ],
)
def test_ways_to_write_a_number(one: str, other: str, are_same: bool) -> None:
    assert (normalised(one) == normalised(other)) is are_same
    assert (kept(raw(caller=one))["caller_key"] == kept(raw(caller=other))["caller_key"]) is are_same


def test_what_is_kept_stays_so() -> None:
    for line in (raw(caller=NUMBER), raw(caller=NUMBER, note=NUMBER), raw(caller="é" + NUMBER)):
        once = PERSONS.kept(line, 0)
        assert PERSONS.kept(once, 0) == PERSONS.kept(once, 0, has_unknown=False) == once
    assert masked(masked(NUMBER)) == masked(NUMBER)


def test_a_repetition_is_the_same_content(tmp_path: Path) -> None:
    story = [e | {"note": NUMBER} for e in read_story(CALL)]
    desk = Desk(tmp_path)
    for _ in range(2):
        desk.apply(story, LATER)
        desk.publish(LATER)
    assert desk.store.totals().duplicates == len(story)
    assert desk.store.connection.execute("SELECT count(*) FROM recalled_calls").fetchall() == [(0,)]
    desk.close()


def test_a_later_key_changes_nothing_that_was_before_it() -> None:
    first, second = (dt.date(2026, 1, 1), "a" * 40), (dt.date(2026, 3, 11), "b" * 40)
    before, after = Persons(Keys([first])), Persons(Keys([second, first]))
    old, new = raw(caller=NUMBER), raw(caller=NUMBER, ts="2026-03-11T00:00:00Z")
    assert kept(old, before) == kept(old, after)
    assert kept(new, before)["caller_key"] != kept(new, after)["caller_key"]
    assert kept(new, after)["caller_key"] == Keys([second]).hashed("caller", NUMBER, 0)
    assert {kept(old, after)["caller_key"], kept(new, after)["caller_key"]} == set(
        after.keys.all_hashes("caller", NUMBER)
    )


def test_the_first_start_makes_a_key_that_nobody_else_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    folder = keys.folder_of(tmp_path / "data", None)
    assert folder == tmp_path / "data-keys"
    made = keys.load(folder)
    assert made.hashed("caller", NUMBER, 0) == keys.load(folder).hashed("caller", NUMBER, 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / keys.KEY_FILE).stat().st_mode) == 0o600
    assert os.listdir(folder) == [keys.KEY_FILE]


@pytest.mark.parametrize("text", ["2026-01-01", "2026-01-01 short", "x " + "k" * 40, "k" * 40])
def test_a_key_that_cannot_be_used(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    (tmp_path / keys.KEY_FILE).write_text(f"2026-01-01 {'k' * 40}\n{text}\n")
    with pytest.raises(UsageError, match=r"caller.keys, line 2: allowed is the day"):
        keys.load(tmp_path)
    monkeypatch.setenv(keys.VARIABLE, "short")
    with pytest.raises(UsageError, match="VIGIE_CALLER_KEY has 5 characters"):
        keys.load(tmp_path)


def test_the_key_is_not_kept_with_the_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would be copied with the data"):
        keys.folder_of(tmp_path, tmp_path / "keys")


def as_layout_2(home: Path) -> None:
    """Put the numbers back into the store in `home`, as the layout before had them."""
    of_calls = "CASE call_id WHEN 'c1' THEN '+33612345678' END"
    numbers = "replace(replace(raw, '+33•••••••78', '+33612345678'), '+34•••••••78', '+34612345678')"
    again = rf"regexp_replace({numbers}, ',\"call(er|ee)_key\":\"[0-9a-f]*\"', '', 'g')"
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 2; DROP TABLE checksums")
        store.execute(f"UPDATE events SET raw = {again}")
        store.execute(f"UPDATE calls SET caller = {of_calls}, caller_key = NULL, callee_key = NULL")
        for file in home.glob("events/*/*.parquet"):
            store.execute(f"CREATE OR REPLACE TABLE old AS SELECT * REPLACE ({again} AS raw) FROM {quoted(file)}")
            store.execute(f"COPY old TO {quoted(file)}")
            store.execute("DROP TABLE old")
        for file in home.glob("published/calls/*/*.parquet"):
            store.execute(f"CREATE TABLE old AS SELECT * EXCLUDE (caller_key, callee_key) FROM {quoted(file)}")
            store.execute(f"COPY old TO {quoted(file)}")
            store.execute("DROP TABLE old")


def with_number(home: Path) -> list[str]:
    """Return the files that count whose rows have a number."""
    with duckdb.connect(str(home / "store.duckdb"), read_only=True) as store:
        found = store.execute("SELECT 'store' FROM events WHERE contains(raw, '612345678')").fetchall()
        found += store.execute("SELECT 'calls' FROM calls WHERE contains(caller, '612345678')").fetchall()
        for file in home.rglob("*.parquet"):
            rows = store.execute(f"SELECT to_json(t)::VARCHAR FROM {quoted(file)} t").fetchall()
            found += [(file.name,) for (row,) in rows if "612345678" in row]
    return [name for (name,) in found]


@pytest.mark.parametrize("at_most", [1_000, 0], ids=["a small one is rebuilt", "a large one is changed where it is"])
def test_a_store_of_an_older_vigie_loses_its_numbers(tmp_path: Path, at_most: int) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(CALL), LATER)
    desk.publish(at("09:30:00"))
    query = "FROM calls ORDER BY call_id"
    before = desk.rows(query)
    desk.close()
    as_layout_2(tmp_path)
    assert len(with_number(tmp_path)) == 2
    bring_up_to_date(tmp_path, DEFAULTS, PERSONS, at_most=at_most)
    desk = Desk(tmp_path)
    desk.store.segments.sweep(0.0)
    desk.publish(at("09:30:00"))
    assert desk.rows(query) == before
    assert desk.store.connection.execute("SELECT version FROM layout").fetchall() == [(layout.LAYOUT,)]
    desk.apply(read_story(CALL), LATER)  # what is in the topic is still the same
    assert desk.store.totals().duplicates == 4
    desk.close()
    assert with_number(tmp_path) == []
    assert b"612345678" not in (tmp_path / "store.duckdb").read_bytes()  # nor where a row was before it changed


def test_calls_of_one_caller_have_one_key(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    again = read_story("""
        10:00:00 queued call_id=c3 event_id=f1 caller=0033-612345678
        10:00:01 queued call_id=c4 event_id=f2 caller=anonymous
    """)
    desk.apply([*read_story(CALL), *again], LATER)
    desk.publish(LATER)
    (first, dialed, second, withheld) = desk.rows("SELECT caller_key, callee_key FROM calls ORDER BY call_id")
    assert first == second and first["caller_key"] == PERSONS.keys.hashed("caller", NUMBER, 0)
    assert dialed == {"caller_key": None, "callee_key": PERSONS.keys.hashed("caller", "+34612345678", 0)}
    assert withheld == {"caller_key": None, "callee_key": None}
    desk.close()


def test_a_batch_without_numbers_is_not_taken_apart() -> None:
    events = read_story("09:00:00 state agent=ana state=available \n 09:00:01 answered agent=ana")
    lines = [json.dumps(event).encode() for event in events]
    arrivals = sort(Batch({PARTITION: messages(lines, LATER)}, {PARTITION: 2}))
    assert arrivals.events[0]["raw"].to_pylist() == [line.decode() for line in lines]
