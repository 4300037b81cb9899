"""What has settled: its files, and what recalls it."""
