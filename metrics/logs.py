"""How the consumer and the dashboard write their logs: a line each for people, or JSON for a log store."""

import logging
import os
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from metrics.errors import ConfigurationError

FORMATS = ("text", "json")
TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
JSON = "{asctime}{levelname}{name}{message}"


def write_to(stream: TextIO, of: str = "") -> None:
    """Write what the logger `of` (default: every one) says, from INFO on, to `stream`, as VIGIE_LOG_FORMAT says.

    Raises ConfigurationError for another format than text or json.
    """
    wanted = os.environ.get("VIGIE_LOG_FORMAT") or "text"
    if wanted not in FORMATS:
        raise ConfigurationError(f"VIGIE_LOG_FORMAT={wanted!r} is not one of {', '.join(FORMATS)}.")
    log = logging.getLogger(of)
    if log.handlers:
        return
    formatter = logging.Formatter(TEXT) if wanted == "text" else _json()
    for other in [*logging.root.manager.loggerDict.values()]:  # a server that this runs in has handlers of its own
        for handler in getattr(other, "handlers", ()):
            handler.setFormatter(formatter)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return JsonFormatter(JSON, style="{", rename_fields=names, datefmt="%Y-%m-%dT%H:%M:%S%z")
