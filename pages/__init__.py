"""What people see. app.py is the frame; a file is a page; `_names` are the parts that pages share."""
