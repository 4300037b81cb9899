"""One way to deliver: a channel takes a message, or raises NotDelivered with a reason that has no secret in it.

Apprise (https://appriseit.com) knows the services: e-mail, Slack, Teams, Telegram, SMS gateways and some hundred more.
Every delivery makes its service anew, so that nothing is shared between threads and no service waits for its last call.
"""

import contextvars
import hashlib
import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import apprise

from notify.errors import NotDelivered

log = logging.getLogger("vigie.notify")

LONGEST_REASON = 300
_CAUSE = "Socket Exception: "
"""Apprise logs the cause of a failure at DEBUG, after these words."""
_ASSET = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
_ASSET.app_id, _ASSET.app_desc, _ASSET.app_url = "Vigie", "Vigie", ""
_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
    "over": apprise.NotifyType.SUCCESS,
}
_reasons: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("reasons", default=None)
"""What Apprise has logged during the delivery of this thread."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel delivers. `look`: info, warning, critical or over; `facts`: what a program reads."""

    message_id: str
    title: str
    body: str
    look: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel by name; `service` is its scheme, such as mailtos. `deliver` raises NotDelivered.

    Two channels are equal if they deliver to the same address: `proof` is a hash of it.
    """

    name: str
    service: str
    proof: str
    deliver: Callable[[Message], None] = field(repr=False, compare=False)

    @property
    def group(self) -> str:
        """The group whose channel it is; `name` is "GROUP/PLACE"."""
        return self.name.rpartition("/")[0]


class _Reasons(logging.Handler):
    """Keeps what Apprise says during one delivery. Its log goes nowhere else: some services put tokens into it."""

    def emit(self, record: logging.LogRecord) -> None:
        reasons = _reasons.get()
        words = record.getMessage()
        if reasons is not None and (record.levelno >= logging.WARNING or words.startswith(_CAUSE)):
            reasons.append(words.removeprefix(_CAUSE))


def keep_services_quiet() -> None:
    """Let no library that sees an address write to the log."""
    for name in ("apprise", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    logging.getLogger("apprise").handlers = [_Reasons()]
    logging.getLogger("apprise").setLevel(logging.DEBUG)


def log_channel(group: str) -> Channel:
    """Return the channel of a group without addresses: the log."""

    def deliver(message: Message) -> None:
        log.info("to %s: %s | %s", group, message.title, message.body.replace("\n", " | "))

    return Channel(f"{group}/log", "log", "", deliver)


def apprise_channel(name: str, service: str, address: str, secrets: Collection[str]) -> Channel | None:
    """Return the channel of an address of Apprise; None if no service of Apprise knows it."""
    keep_services_quiet()
    if apprise.Apprise.instantiate(address, asset=_ASSET) is None:
        return None

    def deliver(message: Message) -> None:
        reasons: list[str] = []
        token = _reasons.set(reasons)
        try:
            target = apprise.Apprise.instantiate(address, asset=_ASSET, suppress_exceptions=False)
            assert target is not None, "it was known above"
            if isinstance(headers := getattr(target, "headers", None), dict):  # e-mail, and other HTTP receivers
                headers["Vigie-Message"] = message.message_id
            is_delivered = target.notify(
                title=message.title,
                body=message.body,
                notify_type=_TYPES[message.look],
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # a service of Apprise may raise anything; the message is tried again
            raise NotDelivered(without(secrets, address, f"{service}: {error}")) from None
        finally:
            _reasons.reset(token)
        if not is_delivered:
            raise NotDelivered(without(secrets, address, "; ".join(reasons) or f"{service} did not take it"))

    return Channel(name, service, proof_of(address), deliver)


def proof_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def without(secrets: Collection[str], address: str, reason: str) -> str:
    """Return a reason without the secrets, and without any long part of the address, which may be one."""
    parts = {part for part in re.split(r"[/?&=:@,]+", address.partition("://")[2]) if len(part) > 5}
    hosts = {part for part in parts if re.fullmatch(r"[\w-]+(\.[\w-]+)+", part)}
    for secret in sorted({*secrets, *(parts - hosts)}, key=len, reverse=True):
        reason = reason.replace(secret, "…")
    return " ".join(reason.split())[:LONGEST_REASON]
