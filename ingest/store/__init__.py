"""The store: events folded into calls, in one DuckDB file that only the consumer opens."""
