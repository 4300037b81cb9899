"""Mutation testing of the code that decides rows and figures: SQL and Python of the store, the fold and the judging.

Run `make mutants`. docs/testing.md explains how it works, what it found and why it is not mutmut.
"""
