"""What people see. app.py is the frame; each other script is a page; folders hold what pages draw."""
