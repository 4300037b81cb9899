"""The data feed, its alarms, channels of messages, the analyst's SQL, /metrics, and the server's address."""
