"""Tells people what fires: reads the published alerts, and delivers messages about them.

`desk` is the database that notify and the pages share: acknowledgements, silences, and what was sent. It is the only
module of this package that pages import.
"""
