"""Benchmarks of Vigie, each side by side with what it is compared with: `python -m bench [NAME…] [--json FILE]`."""

import metrics  # noqa: F401 - sets the folder of DuckDB's calendar, so it must come before anything loads DuckDB
