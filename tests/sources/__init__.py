"""Switches: what their logs, records and lists become as events."""
