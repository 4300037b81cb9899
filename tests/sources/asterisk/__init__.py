"""Asterisk's queue_log: its lines, in files, tables and changes, of every version."""
