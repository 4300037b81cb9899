"""A period against its contract as files that a spreadsheet opens: CSV and Excel, in the reader's language.

CSV is for Excel as it stands on the reader's desk: French and Spanish ones take `;` between values and a decimal comma,
English ones `,` and a point; a mark at the start says UTF-8. Numbers are bare: ratios 0–1, durations in seconds.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from metrics.kpis.outcomes import PARTS
from metrics.readers import Figures, Sla, Work, spreadsheet
from pages.contract import month_tables, standing
from pages.shared import names
from pages.shared.i18n import Text

Value = str | int | float | date | bool | None
SEPARATORS = {"fr": (";", ","), "es": (";", ","), "en": (",", ".")}
"""Language → what its spreadsheets take between two values, and as the decimal mark."""
COUNT, RATIO, SECONDS, DAY, MOMENT = "#,##0", "0.0%", "0.0", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
INK, LINE = "14191F", "C9CFD6"


@dataclass(frozen=True)
class Table:
    """A table of typed values; `formats` are Excel's, a column each."""

    name: str
    head: tuple[str, ...]
    formats: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def as_csv(one: Sla, text: Text) -> bytes:
    """Return all tables of the period as one: the first column says which, and what one does not have is empty."""
    tables = list(_tables(one, text))
    columns = list(dict.fromkeys(word for table in tables for word in table.head[1:]))
    separator, decimal = SEPARATORS[text.language]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    _ = text.gettext
    writer.writerow((_("Table"), _("Row"), *columns))
    for table in tables:
        for name, *values in table.rows:
            known = dict(zip(table.head[1:], values, strict=True))
            row = (table.name, name, *(known.get(column) for column in columns))
            writer.writerow([_written(value, decimal) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _written(value: Value, decimal: str) -> object:
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".").replace(".", decimal)
    return value.isoformat() if isinstance(value, date) else spreadsheet.cell(value)


def as_excel(one: Sla, text: Text) -> bytes:
    """Return the period as a workbook: what it says first, then a sheet a table."""
    book = Workbook()
    first = book.active
    assert isinstance(first, Worksheet)
    _summary(first, one, text)
    for table in _tables(one, text):
        _sheet(book.create_sheet(), table)
    book.properties.title = f"{one.campaign.name}, {standing.title(one, text)}"
    book.properties.creator = "Vigie"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# tables


def _tables(one: Sla, text: Text) -> Iterator[Table]:
    _ = text.gettext
    head = _calls_head(text)
    formats = ("@", *(COUNT,) * 12, RATIO, RATIO, RATIO, SECONDS)
    known = (_("Calls known since"), _("Days without a call"))
    period = (
        standing.title(one, text),
        *_calls(one.total, one.target),
        _known_from(one),
        standing.without_calls(one, text),
    )
    yield Table(_("Period"), (_("Period"), *head, *known), (*formats, MOMENT, "@"), (period,))
    terms = tuple(
        (
            month_tables.contract_rows(one, text)[n][0],
            judged.term.calls,
            judged.hits,
            judged.service_level,
            judged.term.target,
            judged.term.threshold_s,
            judged.term.short_abandon_s,
            names.formula(judged.term.formula, text),
        )
        for n, judged in enumerate(one.terms)
    )
    wanted = (
        *(_("Calls judged"), _("In time"), _("Service level"), _("Target"), _("In time within (s)")),
        *(_("Short abandon below (s)"), _("Formula")),
    )
    yield Table(
        _("Contract"), (_("In force"), *wanted), ("@", COUNT, COUNT, RATIO, RATIO, SECONDS, SECONDS, "@"), terms
    )
    if one.period.is_month:
        days = tuple((day.day, *_calls(day.figures, day.target)) for day in one.days)
        yield Table(_("By day"), (_("Day"), *head), (DAY, *formats[1:]), days)
    for name, first, rows in (
        (_("By queue"), _("Queue"), month_tables.queues(one, text)),
        (_("By time of day"), _("Interval"), month_tables.intervals(one, text)),
    ):
        yield Table(name, (first, *head), formats, tuple((row.name, *_calls(row.figures, row.target)) for row in rows))
    people = one.people
    if people and people.whole:
        labels = [row[0] for row in month_tables.people_rows(one, text)]
        told = [*people.agents, *((people.others,) if people.others else ()), people.whole]
        yield Table(
            _("Agents"),
            (_("Agent"), *_work_head(text)),
            ("@", COUNT, SECONDS, SECONDS, SECONDS, SECONDS, RATIO),
            tuple((name, *_work(work)) for name, work in zip(labels, told, strict=True)),
        )


def _known_from(one: Sla) -> datetime | None:
    """Return the local time of the first known call, when that leaves a part of the period out."""
    return one.known_from and _local(one.known_from, one)


def _local(at: datetime, one: Sla) -> datetime:
    return at.astimezone(ZoneInfo(one.campaign.timezone)).replace(tzinfo=None, microsecond=0)


def _calls_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    outcomes = tuple(names.figure(name, text) for name in PARTS)
    ratios = (_("Service level"), _("Target"), _("Abandon rate"), _("ASA (s)"))
    return (_("Offered"), _("In time"), _("Late"), *outcomes, _("Refused"), *ratios)


def _calls(figures: Figures, target: float | None) -> tuple[Value, ...]:
    return (
        figures.offered,
        figures.service_level_hits,
        standing.late(figures),
        *(getattr(figures, name) for name in PARTS),
        figures.refused,
        figures.service_level,
        target,
        figures.abandon_rate,
        figures.asa_s,
    )


def _work_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    return (_("Handled"), _("AHT (s)"), _("Talk (s)"), _("Hold (s)"), _("Wrap-up (s)"), _("Transfer rate"))


def _work(work: Work) -> tuple[Value, ...]:
    times = (work.aht_s, work.avg_talk_s, work.avg_hold_s, work.avg_wrap_s)
    return (work.handled, *times, work.transfer_rate)


# Excel


def _summary(sheet: Worksheet, one: Sla, text: Text) -> None:
    _ = text.gettext
    sheet.title = _("Summary")
    sheet.sheet_view.showGridLines = False
    said: list[tuple[str, Value, str]] = [
        (_("Client"), one.campaign.client, "@"),
        (_("Campaign"), one.campaign.name, "@"),
        (_("Period"), standing.title(one, text), "@"),
        (_("Calls known since"), _known_from(one), MOMENT),
        (_("Days without a call"), standing.without_calls(one, text), "@"),
        (_("Service level"), one.total.service_level, RATIO),
        (_("Target"), one.target, RATIO),
        ("", standing.distance(one, text), "@"),
        *(("", words, "@") for words in standing.outlook(one, text)),
        ("", standing.certainty(one, text), "@"),
        (_("Worst, while calls wait"), one.total.service_level_worst, RATIO),
        (_("Best, while calls wait"), one.total.service_level_best, RATIO),
        (_("Conservation"), standing.conservation(one, text), "@"),
        (_("Contract, version"), one.contract, "@"),
        (_("Data as of"), _local(one.freshness.as_of, one), MOMENT),
        (_("Time zone"), one.campaign.timezone, "@"),
    ]
    for n, (name, value, kind) in enumerate(said, start=1):
        _fill(sheet.cell(n, 1), name, "@").font = Font(bold=True, color=INK)
        cell = _fill(sheet.cell(n, 2), value, kind)
        cell.alignment = Alignment(horizontal="left", vertical="top", wrap_text=True)
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 28, 80


def _sheet(sheet: Worksheet, table: Table) -> None:
    sheet.title = table.name[:31]
    for column, word in enumerate(table.head, start=1):
        cell = _fill(sheet.cell(1, column), word, "@")
        cell.font = Font(bold=True, color=INK)
        cell.fill = PatternFill("solid", fgColor="EEF1F4")
        cell.border = Border(bottom=Side("thin", color=LINE))
        cell.alignment = Alignment(horizontal="left" if column == 1 else "right", vertical="bottom", wrap_text=True)
    for n, row in enumerate(table.rows, start=2):
        for column, (value, kind) in enumerate(zip(row, table.formats, strict=True), start=1):
            _fill(sheet.cell(n, column), value, kind)
    for column, width in enumerate(_widths(table), start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = "B2"


def _widths(table: Table) -> Iterable[float]:
    for n in range(len(table.head)):
        longest = max((len(str(row[n])) for row in table.rows if isinstance(row[n], str)), default=8)
        yield min(max(longest, 12) + 2, 48)


def _fill(cell: Cell, value: Value, kind: str) -> Cell:
    """Write a value; text stays text, whatever it begins with."""
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
    cell.number_format = kind
    return cell
