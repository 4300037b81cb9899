"""A period against its contract as spreadsheet files: CSV and Excel, in the reader's language.

CSV has the form that the Excel on the reader's desk expects: `;` between values where the decimal mark is a comma, as
in French and Spanish, otherwise `,`. A byte order mark says UTF-8. Numbers have no unit: ratios are 0–1, durations
are in seconds.
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
from metrics.readers import Figures, Sla, Work
from metrics.readers.analysis import spreadsheet
from pages.contract import first_contact, month_tables, standing
from pages.shared import names
from pages.shared.i18n import Text

Value = str | int | float | date | bool | None
COUNT, RATIO, SECONDS, DAY, MOMENT = "#,##0", "0.0%", "0.0", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
INK, LINE = "14191F", "C9CFD6"


@dataclass(frozen=True)
class Table:
    """A table of typed values. `formats` are Excel's number formats, one per column."""

    name: str
    head: tuple[str, ...]
    formats: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def as_csv(sla: Sla, text: Text) -> bytes:
    """Return all tables of the period as one. The first column names the table; columns that it lacks stay empty."""
    tables = list(_tables(sla, text))
    columns = list(dict.fromkeys(word for table in tables for word in table.head[1:]))
    decimal = text.separators()[0]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if decimal == "," else ",")
    _ = text.gettext
    writer.writerow((_("Table"), _("Row"), *columns))
    for table in tables:
        for name, *values in table.rows:
            by_column = dict(zip(table.head[1:], values, strict=True))
            row = (table.name, name, *(by_column.get(column) for column in columns))
            writer.writerow([_csv_value(value, decimal) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _csv_value(value: Value, decimal: str) -> object:
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".").replace(".", decimal)
    return value.isoformat() if isinstance(value, date) else spreadsheet.cell(value)


def as_excel(sla: Sla, text: Text) -> bytes:
    """Return the period as a workbook: a summary, then one sheet per table."""
    book = Workbook()
    summary = book.active
    assert isinstance(summary, Worksheet)
    _summary(summary, sla, text)
    for table in _tables(sla, text):
        _sheet(book.create_sheet(), table)
    book.properties.title = f"{sla.campaign.name}, {standing.title(sla, text)}"
    book.properties.creator = "Vigie"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# tables


def _tables(sla: Sla, text: Text) -> Iterator[Table]:
    _ = text.gettext
    head = _calls_head(text)
    formats = ("@", *(COUNT,) * 12, RATIO, RATIO, RATIO, SECONDS)
    coverage_columns = (_("Calls known since"), _("Days without a call"))
    period = (
        standing.title(sla, text),
        *_calls_values(sla.total, sla.target),
        _known_from(sla),
        standing.without_calls(sla, text),
    )
    yield Table(_("Period"), (_("Period"), *head, *coverage_columns), (*formats, MOMENT, "@"), (period,))
    terms = tuple(
        (
            month_tables.contract_rows(sla, text)[n][0],
            judged.term.calls,
            judged.hits,
            judged.service_level,
            judged.term.target,
            judged.term.threshold_s,
            judged.term.short_abandon_s,
            names.formula(judged.term.formula, text),
        )
        for n, judged in enumerate(sla.terms)
    )
    term_columns = (
        *(_("Calls judged"), _("In time"), _("Service level"), _("Target"), _("In time within (s)")),
        *(_("Short abandon below (s)"), _("Formula")),
    )
    yield Table(
        _("Contract"), (_("In force"), *term_columns), ("@", COUNT, COUNT, RATIO, RATIO, SECONDS, SECONDS, "@"), terms
    )
    if sla.period.is_month:
        days = tuple((day.day, *_calls_values(day.figures, day.target)) for day in sla.days)
        yield Table(_("By day"), (_("Day"), *head), (DAY, *formats[1:]), days)
    for name, heading, rows in (
        (_("By queue"), _("Queue"), month_tables.queues(sla, text)),
        (_("By time of day"), _("Interval"), month_tables.intervals(sla, text)),
    ):
        yield Table(
            name, (heading, *head), formats, tuple((row.name, *_calls_values(row.figures, row.target)) for row in rows)
        )
    people = sla.people
    if people and people.whole:
        labels = [row[0] for row in month_tables.people_rows(sla, text)]
        work_rows = [*people.agents, *((people.others,) if people.others else ()), people.whole]
        yield Table(
            _("Agents"),
            (_("Agent"), *_work_head(text)),
            ("@", COUNT, SECONDS, SECONDS, SECONDS, SECONDS, RATIO),
            tuple((name, *_work_values(work)) for name, work in zip(labels, work_rows, strict=True)),
        )
    if of := sla.first_contact:
        contact_columns = (
            *(_("Within (days)"), _("Answered contacts"), _("Too recent to count"), _("Resolved"), _("Share resolved")),
            *(_("Callers"), _("Callers who called more than once"), _("Without a caller’s number")),
        )
        yield Table(
            first_contact.heading(text),
            (_("Period"), *contact_columns),
            ("@", COUNT, COUNT, COUNT, COUNT, RATIO, COUNT, COUNT, COUNT),
            (
                (
                    *(standing.title(sla, text), of.fcr_days, of.contacts, of.pending, of.resolved, of.fcr),
                    *(of.callers, of.repeat_callers, of.unknown),
                ),
            ),
        )


def _known_from(sla: Sla) -> datetime | None:
    """Return the local time of the first known call, if it lies inside the period."""
    return sla.known_from and _local(sla.known_from, sla)


def _local(at: datetime, sla: Sla) -> datetime:
    return at.astimezone(ZoneInfo(sla.campaign.timezone)).replace(tzinfo=None, microsecond=0)


def _calls_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    outcomes = tuple(names.figure(name, text) for name in PARTS)
    ratios = (_("Service level"), _("Target"), _("Abandon rate"), _("ASA (s)"))
    return (_("Offered"), _("In time"), _("Late"), *outcomes, _("Refused"), *ratios)


def _calls_values(figures: Figures, target: float | None) -> tuple[Value, ...]:
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


def _work_values(work: Work) -> tuple[Value, ...]:
    times = (work.aht_s, work.avg_talk_s, work.avg_hold_s, work.avg_wrap_s)
    return (work.handled, *times, work.transfer_rate)


# Excel


def _summary(sheet: Worksheet, sla: Sla, text: Text) -> None:
    _ = text.gettext
    sheet.title = _("Summary")
    sheet.sheet_view.showGridLines = False
    rows: list[tuple[str, Value, str]] = [
        (_("Client"), sla.campaign.client, "@"),
        (_("Campaign"), sla.campaign.name, "@"),
        (_("Period"), standing.title(sla, text), "@"),
        (_("Calls known since"), _known_from(sla), MOMENT),
        (_("Days without a call"), standing.without_calls(sla, text), "@"),
        (_("Service level"), sla.total.service_level, RATIO),
        (_("Target"), sla.target, RATIO),
        ("", standing.distance(sla, text), "@"),
        *(("", words, "@") for words in standing.outlook(sla, text)),
        ("", standing.certainty(sla, text), "@"),
        (_("Worst, while calls wait"), sla.total.service_level_worst, RATIO),
        (_("Best, while calls wait"), sla.total.service_level_best, RATIO),
        (_("Conservation"), standing.conservation(sla, text), "@"),
        (_("Contract, version"), sla.contract, "@"),
        (_("Data as of"), _local(sla.freshness.as_of, sla), MOMENT),
        (_("Time zone"), sla.campaign.timezone, "@"),
    ]
    for n, (name, value, number_format) in enumerate(rows, start=1):
        _fill(sheet.cell(n, 1), name, "@").font = Font(bold=True, color=INK)
        cell = _fill(sheet.cell(n, 2), value, number_format)
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
        for column, (value, number_format) in enumerate(zip(row, table.formats, strict=True), start=1):
            _fill(sheet.cell(n, column), value, number_format)
    for column, width in enumerate(_widths(table), start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = "B2"


def _widths(table: Table) -> Iterable[float]:
    for n in range(len(table.head)):
        longest = max((len(str(row[n])) for row in table.rows if isinstance(row[n], str)), default=8)
        yield min(max(longest, 12) + 2, 48)


def _fill(cell: Cell, value: Value, number_format: str) -> Cell:
    """Write a value. Text stays text, even if it begins like a formula."""
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
    cell.number_format = number_format
    return cell
