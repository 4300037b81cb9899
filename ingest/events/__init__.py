"""What a record says: the event contract, batches of events, and what is masked."""
