"""Agents now, and on a past day."""
