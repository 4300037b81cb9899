"""The content of records: the event contract, batches of events, and the masking of phone numbers."""
