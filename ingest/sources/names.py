"""`--map FILE`: what a switch calls its queues, agents and pauses, and what we call them.

The classes below are the file's contract: a key that none of them has is refused, as is a value out of range.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ingest.errors import UsageError
from ingest.events.contract import Campaign, Text

LeftReason = Literal["overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system"]


class Queue(Struct, forbid_unknown_fields=True, frozen=True):
    """`[queues.NAME]`: what a queue's calls are, and where its exits lead, which only the dial plan knows."""

    campaign: Campaign | None = None
    language: Text | None = None
    direction: Literal["inbound", "outbound", "callback"] | None = None
    on_timeout: LeftReason = "timeout"
    on_empty: LeftReason = "system"  # they were let in and waited: not refused
    on_key: LeftReason | dict[str, LeftReason] = "overflow"
    wrap_up_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0

    def key_leads_to(self, key: str) -> str:
        """The reason of `call.left_queue` when the caller presses `key`."""
        return self.on_key if isinstance(self.on_key, str) else self.on_key.get(key, "overflow")


class Agent(Struct, forbid_unknown_fields=True, frozen=True):
    """`[agents.ID]`: what is known of an agent, and the names by which the switch calls them."""

    interfaces: list[Text] = []
    name: Text | None = None
    team: Text | None = None
    site: Text | None = None

    def profile(self) -> dict[str, str]:
        """What `agent.profile` says."""
        said = {"name": self.name, "team": self.team, "site": self.site}
        return {field: text for field, text in said.items() if text is not None}


class Tables(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole file, its tables not looked into yet."""

    queues: dict[str, Any] = {}
    agents: dict[str, Any] = {}
    reasons: dict[str, Any] = {}


UNNAMED = Queue()


class Names:
    """The names in a map; what it does not name keeps the switch's name, and a queue is its own campaign."""

    def __init__(
        self,
        queues: Mapping[str, Queue] | None = None,
        agents: Mapping[str, Agent] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._queues = queues or {}
        self._agents = agents or {}
        self._reasons = {said.casefold(): ours for said, ours in (reasons or {}).items()}
        self._ids = {interface: id for id, agent in self._agents.items() for interface in agent.interfaces}

    def knows_queue(self, name: str) -> bool:
        return name in self._queues

    def queue(self, name: str) -> Queue:
        return self._queues.get(name, UNNAMED)

    def campaign(self, queue: str) -> str:
        return self.queue(queue).campaign or queue

    def agent(self, interface: str) -> str:
        return self._ids.get(interface, interface)

    def profile(self, agent: str) -> dict[str, str]:
        """What the map says of an agent besides their id; empty when nothing."""
        known = self._agents.get(agent)
        return known.profile() if known else {}

    def reason(self, said: str) -> str | None:
        """Our word for a pause; the switch's own when the map has none, None when it gave no reason."""
        return self._reasons.get(said.casefold(), said) or None


def load(path: Path | None) -> Names:
    """Read a map, or none; raises UsageError with the file, the table and what is wrong there."""
    if path is None:
        return Names()
    tables = checked(read_toml(path), Tables, str(path))
    queues = {name: checked(said, Queue, f"{path}, [queues.{name}]") for name, said in tables.queues.items()}
    agents = {id: checked(said, Agent, f"{path}, [agents.{id}]") for id, said in tables.agents.items()}
    reasons = {said: checked(ours, Text, f"{path}, [reasons], {said}") for said, ours in tables.reasons.items()}
    owners: dict[str, str] = {}
    for id, agent in agents.items():
        if not id:
            raise UsageError(f"{path}, [agents]: an agent's id is empty.")
        for interface in agent.interfaces:
            if owners.setdefault(interface, id) != id:
                raise UsageError(f"{path}, [agents.{id}]: {interface!r} is an interface of {owners[interface]} too.")
    return Names(queues, agents, reasons)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's tables; raises UsageError for what is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name the file with --map.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error


def checked(said: Any, kind: Any, where: str) -> Any:
    """`said` as a `kind`; raises UsageError that tells `where` it is not one, and why."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `$")
        key = at.removesuffix("`").lstrip(".")
        if "unknown field" in what:
            what += f", allowed are {', '.join(getattr(kind, '__struct_fields__', ()))}"
        what = what.replace("Object", "Table").replace("`object`", "a table")
        raise UsageError(f"{where}{f', {key}' if key else ''}: {what}.") from error
