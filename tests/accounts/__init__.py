"""Sign-in, sessions, accounts, and who may see what."""
