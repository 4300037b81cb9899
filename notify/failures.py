"""From what a library raises to a reason of our own (metrics/language/failure_words.py).

Errors of libraries repeat host, port and path of an address, and what the receiver wrote. Nothing of them is kept but
the kind, a status of three digits, and the name of a class.
"""

import errno
import smtplib
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException

import requests

from metrics.language.failure_words import (
    ANSWERED,
    NO_ANSWER,
    NO_CONNECTION,
    NOT_TRUSTED,
    OTHER,
    SIGN_IN,
    UNKNOWN_NAME,
)

_NO_WAY = {
    errno.EADDRNOTAVAIL,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
}
_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    (NOT_TRUSTED, (ssl.SSLCertVerificationError,)),
    (UNKNOWN_NAME, (socket.gaierror,)),
    (SIGN_IN, (smtplib.SMTPAuthenticationError,)),
    (NO_CONNECTION, (requests.ConnectTimeout,)),
    (NO_ANSWER, (requests.Timeout, TimeoutError)),
    (NO_CONNECTION, (ConnectionError, smtplib.SMTPServerDisconnected)),
)
"""Kind → the errors that are of it. The first kind that one of the causes has."""


def reason_of(error: BaseException) -> str:
    """Return the reason of an error, by what caused it."""
    causes = list(_causes(error))
    for kind, classes in _KINDS:
        if any(isinstance(cause, classes) for cause in causes):
            return kind
    for cause in causes:
        if isinstance(cause, smtplib.SMTPResponseException):
            return answered(cause.smtp_code)
        if isinstance(cause, smtplib.SMTPRecipientsRefused) and cause.recipients:
            return answered(next(iter(cause.recipients.values()))[0])
        if isinstance(cause, OSError) and cause.errno in _NO_WAY:
            return NO_CONNECTION
    root = causes[-1]
    is_broken = any(isinstance(cause, (HTTPException, ssl.SSLError, requests.exceptions.SSLError)) for cause in causes)
    if isinstance(error, requests.ConnectionError) and not is_broken:
        return NO_CONNECTION
    return f"{OTHER} {type(root).__name__}"


def answered(status: int) -> str:
    """Return the reason that the receiver answered with a status of HTTP or SMTP."""
    return f"{ANSWERED} {status}" if 100 <= status < 600 else OTHER


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error and what it came from. Libraries wrap the cause in arguments and in `reason`."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
