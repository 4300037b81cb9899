"""Whole programs and the repository: commands, brokers, working days, the demo, deployment, documents."""
