"""The published snapshot and what monitoring is told."""
