"""From the addresses of a group to its channels: variables are filled in, and the service must know the address.

`${NAME}` is replaced by the environment variable NAME, or by the content of the file that NAME_FILE names. Errors and
logs name the group, the place of the address and its service; they never repeat an address.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from metrics.configuration.campaigns import Configuration
from metrics.configuration.notification import VARIABLE, Group
from notify.channels import Channel, apprise_channel, log_channel
from notify.errors import AddressError
from notify.webhook import SCHEMES, webhook_channel


def channels_of(configuration: Configuration, environment: Mapping[str, str] = os.environ) -> dict[str, Channel]:
    """Return the channels of all groups, by name: "floor/1" is the first address of the group floor.

    Raises AddressError for the first address that cannot be used.
    """
    channels: dict[str, Channel] = {}
    for group in configuration.groups.values():
        channels |= {channel.name: channel for channel in _channels(group, configuration.path, environment)}
    return channels


def _channels(group: Group, path: Path, environment: Mapping[str, str]) -> Iterable[Channel]:
    if not group.to:
        yield log_channel(group.id)
    for place, address in enumerate(group.to, 1):
        name = f"{group.id}/{place}"
        where = f"{path}, line {group.line}: address {place} of the group `{group.id}`"
        filled = _filled(address, where, environment)
        service = filled.partition("://")[0].lower() if "://" in filled else ""
        make = webhook_channel if service in SCHEMES else apprise_channel
        channel = make(name, service, filled)
        if channel is None:
            written = "…" if address.startswith("$") else service  # the rest of the address may hold a secret
            allowed = f"{', '.join(f'{known}://…?secret=…' for known in SCHEMES)} and the URLs of Apprise"
            raise AddressError(
                f"{where} is one that no service knows ({written}://…), allowed are {allowed};"
                " `python -m notify check` tries it again."
            )
        yield channel


def _filled(address: str, where: str, environment: Mapping[str, str]) -> str:
    """Return the address with its variables filled in.

    A variable that is only a part of the address is quoted, so that a password may have any character.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = environment.get(name)
        if not found and (file := environment.get(f"{name}_FILE")):
            try:
                found = Path(file).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise AddressError(f"{where} needs the file of {name}_FILE, which cannot be read.") from error
        if not found:
            raise AddressError(f"{where} needs the variable {name}; set it, or {name}_FILE to a file with its value.")
        return found if match.start() == 0 else quote(found, safe="")

    return VARIABLE.sub(value, address)
