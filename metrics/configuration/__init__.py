"""campaigns.toml: campaigns, terms, people, zones."""
