"""The log format of the consumer and the dashboard: text lines for people, or JSON for a log store."""

import logging
import os
import time
import traceback
from types import TracebackType
from typing import ClassVar, TextIO

from pythonjsonlogger.json import JsonFormatter

from metrics.errors import ConfigurationError

FORMATS = ("text", "json")
TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JSON = "{asctime}{levelname}{name}{message}"
WHOLE_S = 3600.0
"""Write the traceback of one place whole only this often [s]. In between, one line says what failed there."""
MOST_PLACES, LONGEST_LINE = 1000, 500
"""Remember at most this many places. Cut a traceback's lines at this length: browsers may have sent what they quote."""

Failure = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Brief(logging.Formatter):
    """Writes the same traceback once: whoever repeats a request that fails must not fill the disk."""

    _written_at: ClassVar[dict[tuple[str, str, int | None], float]] = {}

    def formatException(self, ei: Failure) -> str:
        whole = [line[:LONGEST_LINE] for line in super().formatException(ei).splitlines()]
        frames = traceback.extract_tb(ei[2])
        place = (type(ei[1]).__name__, frames[-1].filename if frames else "", frames[-1].lineno if frames else None)
        now = time.monotonic()
        if now - self._written_at.get(place, -WHOLE_S) < WHOLE_S:
            return f"{whole[-1]} ({place[1]}:{place[2]}; the traceback is above, less than an hour ago)"
        if len(self._written_at) >= MOST_PLACES:
            self._written_at.clear()
        self._written_at[place] = now
        return "\n".join(whole)


class _BriefJson(_Brief, JsonFormatter):
    pass


def write_to(stream: TextIO, of: str = "") -> None:
    """Write messages of the logger `of` (default: the root), from INFO up, to `stream` in the format VIGIE_LOG_FORMAT.

    Raises ConfigurationError for a format other than text or json.
    """
    log_format = os.environ.get("VIGIE_LOG_FORMAT") or "text"
    if log_format not in FORMATS:
        raise ConfigurationError(f"VIGIE_LOG_FORMAT={log_format!r} is not one of {', '.join(FORMATS)}.")
    log = logging.getLogger(of)
    if log.handlers:
        return
    formatter = _Brief(TEXT) if log_format == "text" else _json()
    for other in [*logging.root.manager.loggerDict.values()]:  # a server around this code has its own handlers
        for handler in getattr(other, "handlers", ()):
            handler.setFormatter(formatter)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return _BriefJson(JSON, style="{", rename_fields=names, datefmt="%Y-%m-%dT%H:%M:%S%z")
