"""The two threads of `ingest run`: one reads, one writes."""
