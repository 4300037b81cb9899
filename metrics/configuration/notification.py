"""Who is told about alerts: `[notify.NAME]`, a group with its addresses and its language.

An address is a URL of a service. `${NAME}` in it stands for a secret that only notify knows (notify/addresses.py), so
whether a service knows the address is checked there. Here it is checked that it could be one.
"""

import re
from dataclasses import dataclass

from metrics.configuration.toml_table import Table

LANGUAGES = ("en", "fr", "es")
"""Languages that messages are written in."""
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
"""What is replaced in an address."""
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|\$\{)\S+")


@dataclass(frozen=True)
class Group:
    """People who are told together. Without addresses, messages to them are written to the log of notify.

    `line` is where the group is in the file. `feed`: it is told when the consumer stops publishing.
    """

    id: str
    name: str
    language: str
    to: tuple[str, ...]
    feed: bool
    line: int


def groups_of(top: Table) -> dict[str, Group]:
    """Read the groups, by name. Raises ConfigurationError without repeating an address: it may hold a secret."""
    groups: dict[str, Group] = {}
    for table in top.tables("notify", ("name", "language", "to", "feed")):
        addresses = table.values.get("to", [])
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            table.refuse(
                ("to",), '`to` is no list of addresses, allowed is a list such as ["mailtos://…", "slack://…"]'
            )
        for place, address in enumerate(addresses, 1):
            if not _ADDRESS.fullmatch(address):
                allowed = "SERVICE://… without spaces, where ${NAME} stands for a variable"
                table.refuse(("to",), f"address {place} of `to` has no service, allowed is {allowed}")
            if "${" in VARIABLE.sub("", address):
                allowed = "${NAME} of capital letters, digits and _"
                table.refuse(
                    ("to",), f"address {place} of `to` has a variable that is not closed, allowed is {allowed}"
                )
        groups[table.id] = Group(
            id=table.id,
            name=table.text("name", table.id),
            language=table.choice("language", "en", LANGUAGES),
            to=tuple(addresses),
            feed=table.flag("feed", False),
            line=table.lines.get((*table.at, "to"), table.lines.get(table.at, 1)),
        )
    return groups
