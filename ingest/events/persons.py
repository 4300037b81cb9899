"""What is kept of the persons in an event: of a phone number its masked form and a keyed hash, never the number.

The content of an event without its numbers is the content by which deliveries of one event are compared: the same line
gives the same content whenever it is read. What is kept already stays as it is.
"""

import functools
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.events import contract, keys, masking
from ingest.events.keys import KEY_LENGTH, NOBODY, Erased, Keys, normalised

DOT = "•"
KEY_OF = {"caller": "caller_key", "callee": "callee_key"}
"""Fields with a phone number of a customer, and the field with its keyed hash. A transfer's target gets no hash."""
NUMBER_OF = {key: name for name, key in KEY_OF.items()}
KNOWN = frozenset({"type"}.union(*(c.__struct_fields__ for c in contract.EVENT_CLASSES)))
"""The fields of the contract. A line with any other is taken apart."""
OF_PROFILE = frozenset({"name", "languages", "hourly_cost", "currency", "hired_on"})
"""Fields of an agent.profile that are erased with the agent; sums are made by team and site."""
HIDDEN = msgspec.Raw(msgspec.json.encode(masking.HIDDEN))
NULL = msgspec.Raw(b"null")
MOST_NUMBERS = 100_000  # remembered between batches

_NUMBER = re.compile(rb'"(caller|callee|to_number)"(\s*:\s*)(?:"([^"]*)"|(null))?')
_HASH = re.compile(rb'"[0-9a-f]{%d}"' % KEY_LENGTH)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decoded = msgspec.json.decode
_encoded = msgspec.json.Encoder().encode


class Unkept(ValueError):
    """A line cannot be kept, because its fields cannot be read one by one."""


class Persons:
    """Replaces the numbers in events by masked forms and hashes made with `keys`, and leaves out who was `erased`.

    Not thread-safe.
    """

    def __init__(self, keys: Keys, erased: Erased = NOBODY) -> None:
        self.keys = keys
        self.erased = erased
        self._of_number = functools.lru_cache(MOST_NUMBERS)(self._make_of_number)
        self._agent_hash = functools.lru_cache(MOST_NUMBERS)(functools.partial(keys.hashed, "agent"))

    def kept(self, raw: bytes, at_us: int, has_unknown: bool = True) -> bytes:
        """The content of a line as it is kept. `has_unknown`: it may have fields that the contract does not know.

        Raises Unkept.
        """
        period = self.keys.period(at_us)
        is_plain = not has_unknown and b"\\" not in raw
        kept = self._plain(raw, period) if is_plain else self._by_fields(raw, period)
        return self._without_erased(kept, at_us) if at_us < self.erased.before_us else kept

    def agent(self, agent: str, at_us: int) -> str:
        """The agent as kept: the id, or the pseudonym of one who was erased after the event."""
        until_us, pseudonym = self.erased.agents.get(self._agent_hash(agent, self.keys.period(at_us)), (0, ""))
        return pseudonym if at_us < until_us else agent

    def _plain(self, raw: bytes, period: int) -> bytes:
        """As `kept`, of a line without escapes, in which what looks like a field is one: a third of the time."""
        parts: list[bytes] = []
        at = 0
        for field in _NUMBER.finditer(raw):
            name, colon, number, null = field.groups()
            if null:
                continue
            if number is None:  # a field of another type of event, which may have any value
                return self._by_fields(raw, period)
            masked, key = self._of_number(number.decode(), period)
            parts += [raw[at : field.start()], b'"', name, b'"', colon, masked]
            at = field.end()
            if key and name != b"to_number":
                parts += [b',"', KEY_OF[name.decode()].encode(), b'":', key]
        return b"".join([*parts, raw[at:]]) if parts else raw

    def _by_fields(self, raw: bytes, period: int) -> bytes:
        fields = _fields_of(raw)
        kept: dict[str, msgspec.Raw] = {}
        for name, value in fields.items():
            if name in masking.NUMBER_FIELDS:
                kept |= self._number(name, value, fields.get(KEY_OF.get(name, "")), period)
            elif name not in NUMBER_OF:
                kept[name] = value if name in KNOWN else _without_numbers(value)
        return raw if kept == fields else _encoded(kept)

    def _number(
        self, name: str, value: msgspec.Raw, key_there: msgspec.Raw | None, period: int
    ) -> dict[str, msgspec.Raw]:
        """The field of a number, and that of its hash. `key_there` is a hash beside it, of a Vigie or of the source."""
        number = _decoded(value)
        if number is None:
            return {name: value}
        if not isinstance(number, str):
            return {name: HIDDEN}
        masked, key = self._of_number(number, period)
        if DOT in number and key_there is not None and _HASH.fullmatch(bytes(key_there)):
            key = bytes(key_there)
        kept = {name: msgspec.Raw(masked)}
        if key and name in KEY_OF:
            kept[KEY_OF[name]] = msgspec.Raw(key)
        return kept

    def _without_erased(self, raw: bytes, at_us: int) -> bytes:
        """A kept line without those who were erased after it."""
        fields = _fields_of(raw)
        kept = dict(fields)
        for name, key in KEY_OF.items():
            if key in kept and at_us < self.erased.callers.get(bytes(kept[key])[1:-1].decode(), 0):
                kept[name] = NULL
                del kept[key]
        for name in kept.keys() & {"agent", "to_agent"}:
            agent = _decoded(kept[name])
            if isinstance(agent, str) and (pseudonym := self.agent(agent, at_us)) != agent:
                kept[name] = msgspec.Raw(_encoded(pseudonym))
        if kept.get("agent") != fields.get("agent") and bytes(fields["type"]) == b'"agent.profile"':
            kept = {name: value for name, value in kept.items() if name not in OF_PROFILE}
        return raw if kept == fields else _encoded(kept)

    def _make_of_number(self, number: str, period: int) -> tuple[bytes, bytes]:
        """The masked form and the hash of a number, as JSON; no hash if it is masked already, or withheld."""
        plain = "" if DOT in number else normalised(number)
        key = f'"{self.keys.hashed("caller", plain, period)}"' if plain else ""
        return _encoded(masked(number)), key.encode()


def known_by(folder: Path) -> Persons:
    """Persons by the keys of a folder, without those in its list of the erased. Raises UsageError."""
    return Persons(keys.load(folder), keys.erased(folder))


def _fields_of(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _fields(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unkept(str(error)) from error


def masked(number: str) -> str:
    """A phone number, mostly hidden; one that is hidden already stays so."""
    return number[:3] + DOT * (len(number) - 5) + number[-2:] if len(number) > 6 else DOT * len(number)


def kept_events(persons: Persons, events: pa.Table, suspects: Iterable[int], unknown: Iterable[int]) -> pa.Table:
    """The events, a table with ts and raw, as they are kept. Raises Unkept with the row of a line that cannot be.

    `suspects` are the rows that may have numbers, `unknown` those with fields that the contract does not know.
    """
    of_unknown = frozenset(unknown)
    rows = sorted(of_unknown.union(suspects))
    if not rows:
        return events
    places = pa.array(rows, pa.int64())
    taken = events.select(["ts", "raw"]).take(places)
    instants = taken["ts"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    contents = []
    for row, at_us, raw in zip(rows, instants, taken["raw"].to_pylist(), strict=True):
        try:
            contents.append(persons.kept(raw.encode(), at_us, row in of_unknown).decode())
        except Unkept as error:
            raise Unkept(row) from error
    is_replaced = np.zeros(len(events), bool)
    is_replaced[rows] = True
    raw = events["raw"].combine_chunks()
    if isinstance(raw, pa.ChunkedArray):
        raw = pa.concat_arrays(raw.chunks)
    replaced = pc.replace_with_mask(raw, pa.array(is_replaced), pa.array(contents, raw.type))
    events = events.set_column(events.schema.get_field_index("raw"), "raw", replaced)
    if not persons.erased.agents:
        return events
    agents = events["agent"].to_pylist()
    for row, at_us in zip(rows, instants, strict=True):
        agents[row] = agents[row] and persons.agent(agents[row], at_us)
    return events.set_column(events.schema.get_field_index("agent"), "agent", pa.array(agents, pa.string()))


def _without_numbers(value: msgspec.Raw) -> msgspec.Raw:
    """The value of a field that the contract does not know, with all hidden that may be a phone number."""
    try:
        plain = _decoded(value)
        hidden = masking.mask_value(plain)
    except (msgspec.DecodeError, RecursionError):
        return HIDDEN
    return value if hidden == plain else msgspec.Raw(_encoded(hidden))
