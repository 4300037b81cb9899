"""Questions that analysts ask of the published file, each a file of SQL that DuckDB runs as it is.

The analyst page offers them; `duckdb -readonly data/published/vigie.duckdb < metrics/published/examples/patience.sql`
asks one.
"""

from pathlib import Path

EXAMPLES = {file.stem: file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.sql"))}
