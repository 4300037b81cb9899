"""One way to deliver: a channel takes a message, or raises NotDelivered with a reason of our own.

Apprise (https://appriseit.com) knows the services: e-mail, Slack, Teams, Telegram, SMS gateways and some hundred more.
Every delivery makes its service anew, so that nothing is shared between threads and no service waits for its last call.
"""

import contextvars
import ctypes
import hashlib
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apprise

from metrics.language.failure_words import NO_ANSWER, OTHER
from notify.errors import NotDelivered
from notify.failures import answered, reason_of

log = logging.getLogger("vigie.notify")

SENDS_WITHIN_S = 30.0
"""A delivery takes at most this long for each recipient [s]: the limits of libraries are for each byte, not for all."""
ENDS_WITHIN_S = 2.0
"""How long each way to end a delivery is waited for [s]."""
_CAUSE = "Socket Exception: "
"""Apprise logs the cause of a failure at DEBUG, after these words."""
_STATUS = re.compile(r"\berror=(\d{3})\b")
"""So Apprise logs what the receiver answered."""
_ASSET = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
_ASSET.app_id, _ASSET.app_desc, _ASSET.app_url = "Vigie", "Vigie", ""
_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
    "over": apprise.NotifyType.SUCCESS,
}
_reasons: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("reasons", default=None)
"""The reasons of what Apprise has logged during the delivery of this thread."""


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
    """Keeps why a delivery fails, from what Apprise says. That goes nowhere: it has addresses and receivers' texts."""

    def emit(self, record: logging.LogRecord) -> None:
        reasons = _reasons.get()
        words = record.getMessage()
        if reasons is None or (record.levelno < logging.WARNING and not words.startswith(_CAUSE)):
            return
        if (error := sys.exc_info()[1]) is not None:  # Apprise is handling it
            reasons.append(reason_of(error))
        elif status := _STATUS.search(words):
            reasons.append(answered(int(status[1])))


def keep_services_quiet() -> None:
    """Let no library that sees an address write to the log, or warn of it."""
    warnings.filterwarnings("ignore", "Unverified HTTPS request")
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


def apprise_channel(name: str, service: str, address: str) -> Channel | None:
    """Return the channel of an address of Apprise; None if no service of Apprise knows it."""
    keep_services_quiet()
    known = apprise.Apprise.instantiate(address, asset=_ASSET)
    if known is None:
        return None
    recipients = max(1, len(known))

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
            raise NotDelivered(reason_of(error)) from None
        finally:
            _reasons.reset(token)
        if not is_delivered:
            raise NotDelivered(
                next((reason for reason in reasons if not reason.startswith(OTHER)), (*reasons, OTHER)[0])
            )

    return Channel(name, service, proof_of(address), in_time(deliver, recipients))


def in_time(deliver: Callable[[Message], None], recipients: int = 1) -> Callable[[Message], None]:
    """Return `deliver` with a limit for the whole of it. A receiver that sends a byte now and then passes any other."""

    def deliver_in_time(message: Message) -> None:
        failures: list[Exception] = []

        def attempt() -> None:
            try:
                deliver(message)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=attempt, name="delivery", daemon=True)
        thread.start()
        thread.join(SENDS_WITHIN_S * recipients)
        if thread.is_alive():
            _end(thread)
            raise NotDelivered(NO_ANSWER)
        if failures:
            raise failures[0]

    return deliver_in_time


def _end(thread: threading.Thread) -> None:
    """End a thread that waits for a socket, as if that had timed out: libraries then close it. Else without them."""
    for error in (TimeoutError, SystemExit):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))
        thread.join(ENDS_WITHIN_S)
        if not thread.is_alive():
            return


def proof_of(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
