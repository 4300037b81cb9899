"""The queue_log as a table: exported as CSV, or printed by psql or mysql.

Asterisk's realtime table has the columns time, callid, queuename, agent, event and data1 … data5, or all data in one
column, joined by pipes. QueueMetrics, whose table VICIdial and others fill, has other names for the same columns.
"""

import csv
import re
from dataclasses import dataclass

from ingest.sources.events import Unreadable
from ingest.sources.input.never import is_none_word

COLUMNS = {
    "time": "time", "time_id": "time",
    "callid": "callid", "call_id": "callid",
    "queuename": "queue", "queue": "queue",
    "agent": "agent",
    "event": "event", "verb": "event",
    "data": "data",
    **{f"data{n}": f"data{n}" for n in range(1, 6)},
}  # fmt: skip
NEEDED = ("time", "callid", "queue", "agent", "event")
DATA = tuple(f"data{n}" for n in range(1, 6))
RULE = re.compile(r"[-+|\s]*-[-+|\s]*")  # the line under a header, or around a table
FOOTER = re.compile(r"\(\d+ \w+\)|\d+ \w+ .*\(\d+[.,]\d+ \w+\)")  # (3 rows), or 3 rows in set (0.00 sec)


@dataclass(frozen=True)
class Table:
    """Our names of the columns, empty for those that are not read, and how rows are split into cells."""

    names: list[str]
    delimiter: str
    has_borders: bool = False  # each row begins and ends with the delimiter

    def row(self, text: str) -> list[str]:
        """The cells in the order of a line of the file. Raises Unreadable."""
        cells = self._cells(text)
        if len(cells) != len(self.names):
            raise Unreadable(f"{len(cells)} fields, where the header names {len(self.names)}.")
        row = {name: "" if is_none_word(cell) else cell for name, cell in zip(self.names, cells, strict=True) if name}
        return [row.get(name, "") for name in NEEDED] + _data(row)

    def _cells(self, text: str) -> list[str]:
        if self.delimiter != "|":
            try:
                return next(csv.reader([text], delimiter=self.delimiter, strict=True))
            except csv.Error as error:
                raise Unreadable(f"Not CSV: {error}.") from error
        cells = _piped(text, self.has_borders)
        more = len(cells) - len(self.names)
        if more > 0 and "data" in self.names:  # its own pipes are not escaped
            at = self.names.index("data")
            cells[at : at + more + 1] = ["|".join(cells[at : at + more + 1])]
        return cells


def is_decoration(text: str) -> bool:
    """Whether a line is no row: psql and mysql draw rules, and end with the number of rows."""
    return bool(RULE.fullmatch(text) or FOOTER.fullmatch(text))


def header(text: str) -> Table | None:
    """The table that begins with this line; None when the line is no header."""
    if "agent" not in text.lower():
        return None
    delimiter = max("|,;\t", key=text.count)
    has_borders = delimiter == "|" and text.startswith("|")
    try:
        cells = _piped(text, has_borders) if delimiter == "|" else next(csv.reader([text], delimiter=delimiter))
    except csv.Error:
        return None
    names = [COLUMNS.get(name.strip().lower(), "") for name in cells]
    return Table(names, delimiter, has_borders) if set(NEEDED) <= set(names) else None


def _piped(text: str, has_borders: bool) -> list[str]:
    inner = text.removeprefix("|").removesuffix("|") if has_borders else text
    return [cell.strip() for cell in inner.split("|")]


def _data(row: dict[str, str]) -> list[str]:
    """The data fields: five columns, of which Asterisk puts what is left into the last one, or one column for all."""
    *fields, last = (row.get(name, "") for name in DATA)
    if row.get("data") and not any([*fields, last]):
        return row["data"].split("|")
    return [*fields, *last.split("|")]
