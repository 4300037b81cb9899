"""CSV that is safe to open in a spreadsheet. Run on its own, it turns an Arrow stream into CSV: stdin to stdout.

query.py runs it isolated (`python -I spreadsheet.py`), so nothing of Vigie can be imported here.
"""

import csv
import io
import re
import sys
import unicodedata
from datetime import datetime

import numpy as np
import pyarrow as pa

NUMBER = re.compile(r"[+\d•* ]+")
FORMULA = "=+-@＝＋－＠"  # with the wide forms that spreadsheets of East Asia read alike
UNSEEN = ("Zs", "Zl", "Zp", "Cc", "Cf")
"""Unicode categories of what a spreadsheet may pass over: blanks, breaks, control and format characters."""


def cell(value: object) -> object:
    """Return the value to write. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and _is_formula(value):
        return "'" + value
    return value


def _is_formula(text: str) -> bool:
    if text[:1] in ("\t", "\r", "\n"):
        return True
    first = next((character for character in text if unicodedata.category(character) not in UNSEEN), "")
    return first != "" and first in FORMULA and not NUMBER.fullmatch(text)


def write(rows: pa.RecordBatchReader, out: io.TextIOBase) -> None:
    """Write a header and the rows, a batch at a time; instants in UTC."""
    writer = csv.writer(out)
    writer.writerow([cell(name) for name in rows.schema.names])
    for batch in rows:
        writer.writerows(zip(*map(_cells, batch.columns), strict=True))


def _cells(column: pa.Array) -> list[object]:
    if pa.types.is_timestamp(column.type):
        return [at.isoformat() if isinstance(at, datetime) else cell(at) for at in values(column)]
    return [cell(value) for value in values(column)]


def values(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """Return a column's values. A day or an instant outside the years 1 to 9999, which Python has no type for, is text.

    DuckDB has such dates, among them infinity.
    """
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        unit = "D" if pa.types.is_date(scalar.type) else scalar.type.unit
        number, greatest = int(scalar.value), 2**31 - 1 if unit == "D" else 2**63 - 1
        if abs(number) >= greatest:
            return "infinity" if number > 0 else "-infinity"
        return str(np.array(number, f"datetime64[{unit}]"))


if __name__ == "__main__":
    with io.TextIOWrapper(sys.stdout.buffer, "utf-8-sig", newline="") as output:
        write(pa.ipc.open_stream(sys.stdin.buffer), output)
