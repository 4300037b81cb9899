"""Example queries on the published file for analysts: one SQL file each, which DuckDB runs unchanged.

The analyst page offers them. To run one in a shell:
`duckdb -readonly data/published/vigie.duckdb < metrics/published/examples/patience.sql`.
"""

from pathlib import Path

EXAMPLES = {file.stem: file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.sql"))}
