"""The published snapshot, and metrics for monitoring."""
