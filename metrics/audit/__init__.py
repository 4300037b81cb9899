"""Who did what, when and from where: an append-only trail whose entries are chained by hashes."""
