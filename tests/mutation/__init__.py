"""Mutation testing of what decides rows and figures: SQL and Python of the store, the fold and the judging.

`make mutants`; how it works, what it found and why it is not mutmut: docs/testing.md.
"""
