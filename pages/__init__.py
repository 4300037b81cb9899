"""The dashboard. app.py is the frame, each other script is a page, and the folders hold what the pages draw."""
