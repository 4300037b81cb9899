"""What Vigie takes beside what it is compared with, measured in one run: `python -m bench [NAME…] [--json FILE]`."""
