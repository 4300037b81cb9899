"""Campaigns over days: by interval and queue, against what is usual, why an interval missed its target, in periods."""
