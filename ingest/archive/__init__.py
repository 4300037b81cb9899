"""Settled rows and events in Parquet files, and how they are recalled when a later event changes them."""
