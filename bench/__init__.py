"""What Vigie takes beside what it is compared with, measured in one run: `python -m bench [NAME…] [--json FILE]`."""

import metrics  # noqa: F401 - before anything here loads DuckDB: it says where the calendar is
