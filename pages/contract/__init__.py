"""A month or a day against the client's contract, and its files."""
