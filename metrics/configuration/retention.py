"""For how many days each class of data is kept: `[retention]`, and of a client's calls `[retention.clients.X]`.

What is not named is kept for ever. Only dead letters have a default, because they are no part of any figure.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from metrics.configuration.toml_table import Table

BY_CLIENT = ("calls", "agent_states")
CLASSES = ("events", *BY_CLIENT, "dead_letters")
SHORTEST_DAYS, LONGEST_DAYS = 7, 36_500

Class = Literal["events", "calls", "agent_states", "dead_letters"]
OfClient = Literal["calls", "agent_states"]


@dataclass(frozen=True)
class Retention:
    """Days for which each class is kept; None: for ever. `clients`: of a client what differs, by class."""

    events: int | None = None
    calls: int | None = None
    agent_states: int | None = None
    dead_letters: int = 30
    clients: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def days(self, what: OfClient, client: str) -> int | None:
        """For how many days a client's calls, or the names of agents in them, are kept; "": of no client."""
        of_all: int | None = getattr(self, what)
        return self.clients.get(client, {}).get(what, of_all)


def retention_of(top: Table, clients: Collection[str], lateness_s: float) -> Retention:
    """Read `[retention]`; it may name any of `clients`.

    Calls are made of events, so events may not be kept for longer than what is made of them; otherwise a rebuild would
    bring back what was deleted. Events that may still come have to find those that came.
    """
    table = top.table("retention")
    if "audit" in table.values:
        table.refuse(("audit",), "unknown key `audit`, allowed is the variable VIGIE_AUDIT_DAYS, for all programs")
    table.allow(*CLASSES, "clients")
    events, calls, agent_states = (_days(table, key) for key in CLASSES[:3])
    of_clients: dict[str, dict[str, int]] = {}
    for own in table.tables("clients", BY_CLIENT):
        if own.id not in clients:
            own.refuse(
                (), f"unknown client `{own.id}`, allowed are {', '.join(clients) or 'none: there are no clients'}"
            )
        of_clients[own.id] = {key: days for key in BY_CLIENT if (days := _days(own, key)) is not None}
        _check(own, events)
    _check(table, events)
    if events is not None and events * 86_400 <= lateness_s:
        what = f"`events` ({events} days) is not more than `lateness_s` ({lateness_s:g} s), allowed is more than that"
        table.refuse(("events",), what)
    letters = table.count("dead_letters", Retention.dead_letters, 1, LONGEST_DAYS)
    return Retention(events, calls, agent_states, letters, of_clients)


def _days(table: Table, key: str) -> int | None:
    return table.count(key, 0, SHORTEST_DAYS, LONGEST_DAYS) if key in table.values else None


def _check(table: Table, events: int | None) -> None:
    for key in BY_CLIENT:
        if key not in table.values:
            continue
        if events is None:
            what = f"`{key}` needs `events` in [retention], allowed is at most {table.values[key]}"
            table.refuse((key,), f"{what}: the events would make them again")
        if events > table.values[key]:
            what = f"`{key}` ({table.values[key]}) is less than `events` in [retention] ({events})"
            table.refuse((key,), f"{what}, allowed is at least that: they are made of the events")
