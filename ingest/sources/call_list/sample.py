"""What the beginning of a list shows of it: encoding, delimiter, header, and in what form its times and numbers are."""

import csv
import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingest.sources.call_list.enveloped import ARRAYS, calls_in, is_of_arrays, of_arrays
from ingest.sources.input import clocks
from ingest.sources.input.documents import Documents
from ingest.sources.input.never import is_never, is_none_word
from ingest.sources.input.text import marked

SAMPLE = 1 << 18  # bytes of a list that are looked at
ROWS = 500
DELIMITERS = ";,\t|"
LEGACY = ("cp1252", "mac_roman", "cp850")
COMMON = frozenset("éèêëàâçîïôùûœñáíóúü¿¡ºª°ÉÈÀÇÑÁÍÓÚ’€«»\u00a0\u202f")  # in French and Spanish texts
CLOCK = re.compile(r"\d{1,2}([:h]\d{2})(:\d{2})?([.,]\d{1,9})?")
ARRAY = re.compile(r"\[\s*\{")
TOKEN = re.compile(r"\d+|[^\W\d_]+\.?|[\W_]+")
LETTERS = re.compile(r"[^\W\d_]")
BEGINNING, END = dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1)  # noqa: DTZ001  local times
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Sample:
    """The beginning of a list. `header` is empty if no line of it looks like one."""

    encoding: str
    format: str
    delimiter: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The texts of a column that are not empty."""
        place = self.header.index(name)
        texts = (row[place].strip() for row in self.rows if place < len(row))
        return [text for text in texts if not is_none_word(text) and text != "-"]


def look(data: bytes) -> Sample:
    """Look at the beginning of a list; never raises."""
    encoding = _encoding(data)
    text = data.decode(encoding, "replace").lstrip("\ufeff")
    if text.lstrip()[:1] in ("{", "[") and text.lstrip():
        header, rows = _of_json(text)
        return Sample(encoding, "json", ",", header, rows)
    lines = text.splitlines()
    lines = lines[:-1] if len(data) >= SAMPLE else lines  # the last is cut
    delimiter = _delimiter(lines)
    records = [record for record in _records(lines[: 2 * ROWS], delimiter) if any(map(str.strip, record))]
    start, width = _start(records)
    if start is None:
        return Sample(encoding, "csv", delimiter, [], [record for record in records if len(record) == width])
    header = [name.strip() for name in records[start]]
    if start and (both := two_lines(records[start - 1], records[start])):
        header = both
    elif start + 1 < len(records) and (both := two_lines(records[start], records[start + 1])):
        header, start = both, start + 1
    return Sample(encoding, "csv", delimiter, header, [r for r in records[start + 1 :] if len(r) == len(header)][:ROWS])


def _encoding(data: bytes) -> str:
    if mark := marked(data):
        return mark
    if data[:2000].count(0) * 4 > len(data[:2000]):
        return "utf-16-le" if data[1:2000:2].count(0) > data[0:2000:2].count(0) else "utf-16-be"
    for cut in range(4):  # the sample may end within a character
        try:
            data[: len(data) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return "utf-8"
    return max(LEGACY, key=lambda encoding: sum(c in COMMON for c in data.decode(encoding, "replace")))


def _of_json(text: str) -> tuple[list[str], list[list[str]]]:
    """The paths of the values, and the rows; an envelope is opened, also one whose end is not in the sample."""
    found = of_arrays(text) if ARRAYS.search(text) else []
    if not found and is_of_arrays(text):  # its end is not in the sample
        found = of_arrays(text[: text.rfind("]")] + "]]") or of_arrays(text[: text.rfind("]") + 1] + "]")
    found = found or _objects(text)
    if not found and (inside := ARRAY.search(text)):
        found = _objects(text[inside.start() :])
    calls: list[dict[str, Any]] = []
    for document in found:
        own = 0 if len(found) == 1 else len(_flat(document))
        calls += calls_in(document, lambda of: len(_flat(of)), own) or [document]
    flat = [_flat(call) for call in calls[:ROWS]]
    names = list(dict.fromkeys(name for call in flat for name in call))
    # an object may be null in some calls
    header = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    return header, [[call.get(name, "") for name in header] for call in flat]


def _objects(text: str) -> list[dict[str, Any]]:
    documents = Documents()
    found = [*documents.feed(text.encode(errors="replace")), *documents.finish()]
    return [document for document, _ in found if isinstance(document, dict)]


def _flat(document: dict[str, Any], path: str = "") -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            values |= _flat(value, f"{path}{name}.")
        elif not isinstance(value, list):
            values[f"{path}{name}"] = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return values


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter by which most lines have the same number of fields."""
    if lines and (told := re.fullmatch(r"sep=(.)", lines[0].strip(), re.IGNORECASE)):
        return told[1]

    def alike(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(record) for record in _records(lines[:100], delimiter))
        del widths[1]
        width, count = max(widths.items(), key=lambda each: (each[1], each[0]), default=(1, 0))
        return count, width

    return max(DELIMITERS, key=alike)


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader((line + "\n" for line in lines), delimiter=delimiter))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _start(records: Sequence[list[str]]) -> tuple[int | None, int]:
    """Which record is the header, and how many fields a row has: most have so many, and a header has words only."""
    widths = Counter(len(record) for record in records if len(record) > 1)
    if not widths:
        return (0 if records else None), 1
    width = widths.most_common(1)[0][0]
    for number, record in enumerate(records[:50]):
        cells = [field for field in record if field.strip()]
        if len(record) == width and (len(cells) * 2 > width or width == 1):  # a title fills one cell
            return (number if all(map(_is_name, cells)) else None), width
    return None, width


def two_lines(upper: Sequence[str], lower: Sequence[str]) -> list[str] | None:
    """The names of columns in a header of two lines, the upper with names for several columns; None for others.

    A name in the lower line counts if it is there once, otherwise both, joined by a space.
    """
    groups, names = [field.strip() for field in upper], [field.strip() for field in lower]
    if len(groups) != len(names) or not all(map(_is_name, filter(None, groups + names))):
        return None
    if not any(groups) or not any(names) or all(groups) or not all(map(max, groups, names)):
        return None
    if all(names) and len(set(names)) == len(names):
        return None  # the lower line is a header without the upper one, which may be a title
    joined, group = [], ""
    for above, below in zip(groups, names, strict=True):
        group = above or group
        joined.append(f"{group} {below}".strip() if names.count(below) > 1 and below else below or above)
    return joined


def _is_name(field: str) -> bool:
    return bool(LETTERS.search(field)) and not re.search(r"\d{3}|\d[:/]\d", field)


def form_of(texts: Sequence[str]) -> tuple[str, bool] | None:
    """The format of these times, and whether the order of day and month is certain; None if there is no such format."""
    texts = [clocks.plain(text) for text in texts if not is_never(clocks.plain(text))]
    if not texts:
        return None
    if all(map(_is_iso, texts)):
        return "iso", True
    if all(map(NUMBER.fullmatch, texts)):
        return next(((form, True) for form in ("epoch", "excel") if all(_reads(text, form) for text in texts)), None)
    forms = Counter(form for text in texts for form in _forms(text))
    fitting = [form for form, count in forms.items() if count == len(texts)]
    return (fitting[0], len(fitting) == 1) if fitting else None


def are_times_of_day(texts: Sequence[str]) -> bool:
    return bool(texts) and all(clocks.time_of_day(clocks.plain(text)) is not None for text in texts)


def _is_iso(text: str) -> bool:
    return text[:4].isdecimal() and not text.isdecimal() and _reads(text, "iso")


def _reads(text: str, form: str) -> bool:
    try:
        at = clocks.read([text], form)
    except (ValueError, OverflowError, OSError):
        return False
    return isinstance(at, dt.datetime) and BEGINNING <= at.replace(tzinfo=None) < END


def _forms(text: str) -> list[str]:
    """The formats by which a time can be read, that with the day first before that with the month first."""
    half = " %p" if clocks.MERIDIEM.search(text) else ""
    rest = clocks.BLANKS.sub(" ", clocks.MERIDIEM.sub(" ", text)).strip()
    clock = ""
    if found := CLOCK.search(rest):
        hour, minute = ("%I" if half else "%H"), found[1][0]
        clock = hour + minute + "%M" + (":%S" if found[2] else "") + (found[3][0] + "%f" if found[3] else "") + half
        rest = rest[: found.start()] + "\0" + rest[found.end() :]
    tokens = TOKEN.findall(rest)
    numbers = [token for token in tokens if token.isdecimal()]
    orders: list[tuple[str, ...]] = []
    if any(map(_is_month, tokens)):
        orders = [("%d", _year(numbers[-1]))] if numbers else []
    elif numbers and len(numbers[0]) == 4:
        orders = [("%Y", "%m", "%d")]
    else:
        orders = [("%d", "%m", _year(numbers[-1])), ("%m", "%d", _year(numbers[-1]))] if numbers else []
    forms = []
    for order in orders:
        directives = iter(order)
        if len(numbers) > len(order):
            continue
        form = "".join(
            next(directives) if token.isdecimal()
            else "%B" if _is_month(token)
            else "%A" if clocks.is_day(token)
            else token
            for token in tokens
        ).replace("\0", clock)  # fmt: skip
        if _reads(text, form):
            forms.append(form)
    return forms


def _is_month(token: str) -> bool:
    return bool(LETTERS.match(token) and clocks.month_of(token) and not clocks.is_day(token))


def _year(number: str) -> str:
    return "%Y" if len(number) == 4 else "%y"


def are_days(texts: Sequence[str]) -> bool:
    """Whether durations are fractions of a day: less than one, with more digits than a second has."""
    return any(re.fullmatch(r"0[.,]\d{4,}", text) for text in texts) and all(
        re.fullmatch(r"0(?:[.,]\d+)?|\d(?:[.,]\d+)?[eE]-\d+", text) for text in texts
    )


def decimal_of(texts: Sequence[str]) -> str | None:
    """The decimal separator of these numbers; None if they have none, or leave doubt."""
    found = Counter(match[1] for text in texts if (match := re.fullmatch(r".*\d([.,])\d{1,2}\D*", text)))
    return found.most_common(1)[0][0] if found else None
