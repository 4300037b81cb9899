"""The store: events are folded into calls, archived in Parquet once they settle, and recalled when they change."""
