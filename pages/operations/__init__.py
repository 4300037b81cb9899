"""The data feed, its alarms, the analyst's SQL and /metrics."""
