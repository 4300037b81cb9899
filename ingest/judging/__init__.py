"""Calls and agents' states judged at an instant, by the configuration; conservation checks and alarms."""
