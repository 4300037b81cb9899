"""Who may look, and at what."""
