"""`--map FILE`: a switch's names for queues, agents and pauses, and our names for them.

The classes below are the schema of the file: unknown keys and values out of range are errors.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ingest.errors import UsageError
from ingest.events.contract import Campaign, Text

REPEATED = re.compile(r"""\(['"].*\)(?= )|'[^']{3,}'|"[^"]{3,}\"""")  # names that a fault of TOML quotes from the file

LeftReason = Literal["overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system"]


class Queue(Struct, forbid_unknown_fields=True, frozen=True):
    """`[queues.NAME]`: properties of a queue's calls, and where its exits lead, which only the dial plan knows."""

    campaign: Campaign | None = None
    language: Text | None = None
    direction: Literal["inbound", "outbound", "callback"] | None = None
    on_timeout: LeftReason = "timeout"
    on_empty: LeftReason = "system"  # callers were let in and waited, so they were not refused
    on_key: LeftReason | dict[str, LeftReason] = "overflow"
    wrap_up_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0

    def key_leads_to(self, key: str) -> str:
        """The reason of `call.left_queue` when the caller presses `key`."""
        return self.on_key if isinstance(self.on_key, str) else self.on_key.get(key, "overflow")


class Agent(Struct, forbid_unknown_fields=True, frozen=True):
    """`[agents.ID]`: an agent's profile, and the switch's names for the agent."""

    interfaces: list[Text] = []
    name: Text | None = None
    team: Text | None = None
    site: Text | None = None

    def profile(self) -> dict[str, str]:
        """The fields of `agent.profile`."""
        fields = {"name": self.name, "team": self.team, "site": self.site}
        return {field: text for field, text in fields.items() if text is not None}


class Tables(Struct, forbid_unknown_fields=True, frozen=True):
    """The file, before its tables are checked."""

    queues: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    reasons: dict[str, Any] = {}


UNNAMED = Queue()
NO_NAME = "no name"  # the name of a queue to which the switch gives none


class Names:
    """The names in a map. What it does not name keeps the switch's name, and a queue is its own campaign."""

    def __init__(
        self,
        queues: Mapping[str, Queue] | None = None,
        agents: Mapping[str, Agent] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._queues = queues or {}
        self._agents = agents or {}
        self._reasons = {theirs.casefold(): ours for theirs, ours in (reasons or {}).items()}
        self._ids = {interface: id for id, agent in self._agents.items() for interface in agent.interfaces}

    def knows_queue(self, name: str) -> bool:
        return name in self._queues

    def queue(self, name: str) -> Queue:
        return self._queues.get(name, UNNAMED)

    def queue_of(self, *names: str | None) -> Queue:
        """The queue that the map knows by the first of these names, of one queue, that it knows."""
        return next((self._queues[name] for name in names if name and name in self._queues), UNNAMED)

    def campaign(self, queue: str) -> str:
        return self.queue(queue).campaign or queue

    def agent(self, interface: str) -> str:
        return self._ids.get(interface, interface)

    def profile(self, agent: str) -> dict[str, str]:
        """The agent's profile in the map; empty when it has none."""
        named = self._agents.get(agent)
        return named.profile() if named else {}

    def reason(self, theirs: str) -> str | None:
        """Our name for a pause reason; the switch's own when the map has none, None when the switch gave no reason."""
        return self._reasons.get(theirs.casefold(), theirs) or None


def load(path: Path | None) -> Names:
    """Read a map; None gives empty Names. Raises UsageError with the file, the table and what is wrong there."""
    if path is None:
        return Names()
    tables = checked(read_toml(path), Tables, str(path))
    queues = _each(tables.queues, Queue, f"{path}, queue")
    agents = _each(tables.agents, Agent, f"{path}, agent")
    reasons = _each(tables.reasons, Text, f"{path}, [reasons], line")
    owners: dict[str, int] = {}
    for place, (id, agent) in enumerate(agents.items(), 1):
        if not id:
            raise UsageError(f"{path}, agent {place}: the id is empty.")
        for number, interface in enumerate(agent.interfaces, 1):
            if (owner := owners.setdefault(interface, place)) != place:
                raise UsageError(f"{path}, agent {place}, interfaces: number {number} belongs to agent {owner} too.")
    return Names(queues, agents, reasons)


def _each(tables: dict[str, Any], kind: Any, what: str) -> dict[str, Any]:
    """The tables, checked. Refusals count them from 1 and repeat no name: it may be a person's."""
    return {name: checked(table, kind, f"{what} {place}") for place, (name, table) in enumerate(tables.items(), 1)}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises UsageError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name the file with --map.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        fault = REPEATED.sub("a name", str(error))
        raise UsageError(f"{path} is not valid TOML: {fault}.") from error


def checked(value: Any, kind: Any, where: str) -> Any:
    """Convert `value` to `kind`; raises UsageError that says why it cannot, and `where` the value is."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        fault, _, at = str(error).partition(" - at `$")
        key = at.removesuffix("`").lstrip(".")
        if "unknown field" in fault:
            fault += f", allowed are {', '.join(getattr(kind, '__struct_fields__', ()))}"
        if fault.startswith("Invalid enum value"):
            fault = "Not one of the words that are allowed here (docs/sources.md)"
        fault = fault.replace("Object", "Table").replace("`object`", "a table")
        raise UsageError(f"{where}{f', {key}' if key else ''}: {fault}.") from error
