"""Tests; see conftest.py."""

import metrics  # noqa: F401 - before anything here loads DuckDB: it says where the calendar is
