"""What Vigie's numbers mean: the configuration they are judged by, the SQL objects, and the readers for pages."""

import os
from pathlib import Path

CALENDAR = Path(__file__).parent / "icu" / "zoneinfo64.res"
"""Zone rules for DuckDB that are newer than its own; icu/README.md tells where they are from."""

CALENDAR_FOLDER = "ICU_TIMEZONE_FILES_DIR"
"""The environment variable by which DuckDB finds them. It looks once, when it is loaded: nothing may load it before."""

os.environ.setdefault(CALENDAR_FOLDER, str(CALENDAR.parent))

from metrics.published.objects import install  # noqa: E402 - loads DuckDB

__all__ = ["CALENDAR", "CALENDAR_FOLDER", "install"]
