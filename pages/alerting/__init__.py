"""Alerts: the bell in the frame, and what the page of alerts draws."""
