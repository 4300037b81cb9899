"""Vigie's figures: the configuration that calls are judged by, the SQL objects, and the readers for pages."""

import os
from pathlib import Path

CALENDAR = Path(__file__).parent / "icu" / "zoneinfo64.res"
"""Time zone rules for DuckDB, newer than its own. icu/README.md names their source."""

CALENDAR_FOLDER = "ICU_TIMEZONE_FILES_DIR"
"""Environment variable with their folder. DuckDB reads it once, when it is loaded, so it must be set before that."""

os.environ.setdefault(CALENDAR_FOLDER, str(CALENDAR.parent))

from metrics.published.objects import install  # noqa: E402 - loads DuckDB

__all__ = ["CALENDAR", "CALENDAR_FOLDER", "install"]
