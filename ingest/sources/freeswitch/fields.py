"""Fields of FreeSWITCH's JSON: all of them text, instants as seconds or microseconds since 1970."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ingest.events.contract import EARLIEST

PER_SECOND = 1_000_000


def text(document: Mapping[str, Any], name: str) -> str | None:
    """A field; None if it is missing or empty."""
    value = document.get(name)
    return None if value is None or isinstance(value, dict | list) else str(value).strip() or None


def instant(document: Mapping[str, Any], name: str, per_second: int = 1) -> dt.datetime | None:
    """The instant in a field; None if it is missing, 0, or no time that the contract knows."""
    value = text(document, name) or ""
    if not value.isdecimal() or len(value) > 17:
        return None
    try:
        at = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=int(value) * PER_SECOND // per_second)
    except OverflowError:
        return None
    return at if at >= EARLIEST else None


def call_id(source: str, member: str, session: str) -> str:
    """A visit of a caller to a queue. A caller who comes back to their place keeps the member, in a new session."""
    return f"{source}/{session}/{member}"
