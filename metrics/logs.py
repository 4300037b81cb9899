"""The log format of the consumer and the dashboard: text lines for people, or JSON for a log store."""

import logging
import os
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from metrics.errors import ConfigurationError

FORMATS = ("text", "json")
TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JSON = "{asctime}{levelname}{name}{message}"


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
    formatter = logging.Formatter(TEXT) if log_format == "text" else _json()
    for other in [*logging.root.manager.loggerDict.values()]:  # a server around this code has its own handlers
        for handler in getattr(other, "handlers", ()):
            handler.setFormatter(formatter)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return JsonFormatter(JSON, style="{", rename_fields=names, datefmt="%Y-%m-%dT%H:%M:%S%z")
