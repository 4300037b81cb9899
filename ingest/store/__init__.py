"""The store: events folded into calls, archived in Parquet once they settle, and brought back when they change."""
