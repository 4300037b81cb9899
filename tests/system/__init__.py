"""Whole programs: commands, brokers, days, demo, documents."""
