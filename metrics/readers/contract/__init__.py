"""Contracts: the terms in force, a period against its target, and how a day or a period can still end."""
