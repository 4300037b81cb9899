"""The wallboard, also on a television."""
