"""Call lists with their mapping."""
