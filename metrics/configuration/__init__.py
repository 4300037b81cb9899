"""Reads campaigns.toml: campaigns, contract terms, people and time zones."""
