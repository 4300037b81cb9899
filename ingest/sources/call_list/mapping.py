"""`--map FILE` of a call list: which column has which field of a call, and in what format.

The classes below are the schema of the file: unknown keys and values out of range are errors.
"""

import codecs
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from ingest.errors import UsageError
from ingest.events.contract import Text
from ingest.sources.names import checked, read_toml
from ingest.sources.whole_call import COMMON, OUTBOUND, RATED

LEFT = ("overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system")
NOT_CONNECTED = ("no_answer", "busy", "invalid", "refused")
#: The outcomes of a call; the last five are for outbound calls.
OUTCOMES = ("answered", "transferred", "abandoned", "open", *LEFT, *NOT_CONNECTED, "machine")
#: The values that a field may have, after translation by `words`.
VOCABULARIES: dict[str, tuple[str | bool, ...]] = {
    "outcome": OUTCOMES,
    "direction": ("inbound", "outbound", "callback"),
    "ended_by": ("customer", "agent", "system"),
    "sale": (True, False),
}

INSTANTS = ("queued_at", "answered_at", "ended_at", "wrapped_at")
FORMS = ("iso", "epoch", "excel", "excel-1904")

Column = Text | list[Text]  # several, such as a date and a time, are joined by a space


class File(Struct, forbid_unknown_fields=True, frozen=True):
    """`[file]`: the format of the list."""

    format: Literal["csv", "json"] = "csv"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    encoding: Text = "utf-8"
    timezone: Text | None = None  # of times without an offset
    instants: Text = "iso"  # or another of FORMS, or a format of strptime
    durations: Literal["seconds", "milliseconds", "minutes", "days"] = "seconds"  # those that are numbers
    decimal: Literal[".", ","] | None = None  # None: the last separator of a number, if that leaves no doubt


class Columns(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[columns]`: the column of each field; for JSON a path such as agent.name."""

    call_id: Column
    queued_at: Column  # for an outbound call, when it was dialled
    linked_id: Column | None = None
    campaign: Column | None = None
    queue: Column | None = None
    direction: Column | None = None
    channel: Column | None = None
    language: Column | None = None
    caller: Column | None = None  # for an outbound call, who was called
    agent: Column | None = None
    outcome: Column | None = None
    answered_at: Column | None = None
    ended_at: Column | None = None
    wrapped_at: Column | None = None
    wait_s: Column | None = None
    call_s: Column | None = None  # from the answer to the end
    talk_s: Column | None = None  # the same without hold time
    hold_s: Column | None = None
    wrap_s: Column | None = None
    ended_by: Column | None = None
    to_queue: Column | None = None
    to_agent: Column | None = None
    to_number: Column | None = None
    disposition: Column | None = None
    sale: Column | None = None
    amount: Column | None = None
    currency: Column | None = None
    score: Column | None = None
    revision: Column | None = None


FIELDS = Columns.__struct_fields__


class Mapping(Struct, forbid_unknown_fields=True, frozen=True):
    """The file. `fixed`: values of fields without a column. `words`: our word for each word of the list, by field."""

    columns: Columns
    file: File = File()
    fixed: dict[str, Text] = {}
    words: dict[str, dict[str, str | bool]] = {}

    def names(self, field: str) -> list[str]:
        """The columns of a field."""
        column: Column | None = getattr(self.columns, field)
        return [] if column is None else [column] if isinstance(column, str) else column

    def has(self, *fields: str) -> bool:
        return any(self.names(field) or field in self.fixed for field in fields)

    def all_names(self) -> list[str]:
        return [name for field in FIELDS for name in self.names(field)]

    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.file.timezone) if self.file.timezone else None

    def places(self) -> tuple[str, ...]:
        """The places (whole_call.py) that the list may ever fill."""
        places = [place for place in COMMON if place not in ("held", "resumed", "wrapped")]
        places += ["held", "resumed"] if self.has("hold_s") else []
        places += ["wrapped"] if self.has("wrapped_at", "wrap_s", "disposition", "sale", "amount") else []
        places += OUTBOUND if self.has("direction") else ()
        return (*places, *(RATED if self.has("score") else ()))


def load(path: Path) -> Mapping:
    """Read a mapping; raises UsageError with the file, the table and what is wrong there."""
    return parsed(read_toml(path), str(path))


def parsed(tables: dict[str, Any], path: str) -> Mapping:
    """Check the tables of a mapping; raises as `load` does."""
    mapping: Mapping = checked(tables, Mapping, path)
    for table in ("fixed", "words"):
        for name in getattr(mapping, table):
            if name not in FIELDS:
                raise UsageError(f"{path}, [{table}]: unknown field {name}, allowed are {', '.join(FIELDS)}.")
    for name, allowed in VOCABULARIES.items():
        for number, meaning in enumerate(mapping.words.get(name, {}).values(), 1):
            if meaning not in allowed:  # a word of the list may be a name: its place is said instead
                raise UsageError(
                    f"{path}, [words.{name}], entry {number}: its meaning is not one of {_listed(allowed)}."
                )
        if (fixed := mapping.fixed.get(name)) is not None and fixed not in allowed:
            raise UsageError(f"{path}, [fixed], {name}: not one of {_listed(allowed)}.")
    if not mapping.has("campaign", "queue"):
        raise UsageError(f"{path}: neither a campaign nor a queue; name a column, or one for all under [fixed].")
    if mapping.file.instants not in FORMS and "%" not in mapping.file.instants:
        raise UsageError(
            f"{path}, [file], instants: {mapping.file.instants} is neither one of {', '.join(FORMS)}"
            " nor a format such as %d/%m/%Y %H:%M:%S."
        )
    try:
        codecs.lookup(mapping.file.encoding)
    except LookupError:
        raise UsageError(
            f"{path}, [file], encoding: {mapping.file.encoding} is unknown; name one such as utf-8 or cp1252."
        ) from None
    try:
        mapping.zone()
    except (OSError, ValueError, KeyError):
        raise UsageError(
            f"{path}, [file], timezone: {mapping.file.timezone} is not an IANA zone such as Europe/Paris."
        ) from None
    return mapping


def _listed(words: tuple[str | bool, ...]) -> str:
    return ", ".join(str(word).lower() for word in words)
