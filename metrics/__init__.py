"""Vigie's figures: the configuration that calls are judged by, the SQL objects, and the readers for pages."""

import os
import sys
from pathlib import Path

CALENDAR = Path(__file__).parent / "icu" / "zoneinfo64.res"
"""Time zone rules for DuckDB, newer than its own. icu/README.md names their source."""

CALENDAR_FOLDER = "ICU_TIMEZONE_FILES_DIR"
"""Environment variable with their folder. DuckDB reads it once, when it is loaded, so it must be set before that."""

os.environ.setdefault(CALENDAR_FOLDER, str(CALENDAR.parent))

# `python -m` imports the package of a program before the program. DuckDB, loaded then, finds no file of it, takes it
# for a person's shell, and draws progress bars into its log.
if is_before_program := sys.argv[0] == "-m":
    sys.modules["__main__"].__file__ = __file__

from metrics.published.objects import install  # noqa: E402 - loads DuckDB

if is_before_program:
    del sys.modules["__main__"].__file__

__all__ = ["CALENDAR", "CALENDAR_FOLDER", "install"]
