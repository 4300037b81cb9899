"""The parts of the analyst page: examples, ways to connect, the schema, the glossary, and the result of a query."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from metrics.composition.figures import KPIS, MEASURES
from metrics.kpis.service_level import FORMULAS
from metrics.published.relations import FOLDER
from metrics.readers import COLUMNS, SECONDS, Answer, Relation, Trouble
from metrics.readers.analysis import spreadsheet
from pages.shared import chart, names, table
from pages.shared.i18n import DASH, Text

MAX_SERIES = 30
"""Split a chart into at most this many series."""
SMALLEST_SHOWN = 0.0005
"""Smaller numbers are 0 in three decimals."""
DAY_MS = 86_400_000
DATES = [
    {"dtickrange": [None, DAY_MS - 1], "value": "%H:%M\n%d/%m/%Y"},
    {"dtickrange": [DAY_MS, "M1"], "value": "%d/%m\n%Y"},
    {"dtickrange": ["M1", None], "value": "%m/%Y"},
]
"""How an axis writes times, by the distance of its ticks. In digits: the browser has only English names of months."""


def titles(text: Text) -> dict[str, str]:
    """Return the question that each example answers, the everyday ones first."""
    _ = text.gettext
    return {
        "intervals_today": _("Which half hours of the last day were below the contract’s target?"),
        "month_to_target": _("How many late calls can this month still afford?"),
        "week_by_week": _("How did the service level change, week by week?"),
        "five_formulas": _("What would the other formulas of service level say?"),
        "callers_in_queue": _("How many callers were waiting, over the last day?"),
        "weekday_and_hour": _("On which weekdays and at which hours do calls come in?"),
        "patience": _("After how long do callers hang up?"),
        "transfers": _("Which calls were transferred most often?"),
        "results_of_calls": _("How do calls end, campaign by campaign?"),
        "handling_by_team": _("How long do teams handle a call, and how busy are they?"),
        "pauses_by_reason": _("How does paused time split by reason?"),
        "rejected_records": _("What did the feed reject, and why?"),
    }


def trouble(trouble: Trouble, text: Text) -> str:
    """Say why there is no answer, and what to do."""
    _ = text.gettext
    words = {
        "not_one_read": _(
            "Only a single read-only statement is run here: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW."
        ),
        "same_name": _("Two columns are called {name}; give one of them another name with AS."),
        "too_wide": _("The answer has more than {columns} columns; name those that you need."),
        "said": _("DuckDB could not run it:"),
        "too_much": _(
            "The query needs more memory than it may have here; ask for less, or connect with your own tool."
        ),
        "too_long": _(
            "The query was interrupted because it ran for {seconds} s; ask for less, or connect with your own tool."
        ),
        "interrupted": _("The query was interrupted."),
        "busy": _("Other people’s queries are running, as many as are allowed at once; try again in a few seconds."),
        "written": _(
            "Somebody is writing to the published file, so an answer could be wrong; try again in a few seconds."
        ),
        "ended": _("The query ended before it answered; ask for less, or connect with your own tool."),
    }
    limits = {"seconds": text.number(SECONDS), "columns": text.number(COLUMNS)}
    return words[trouble.reason].format(name=trouble.words, **limits)


def summary(answer: Answer, text: Text) -> str:
    """Say how many rows there are, whether some were cut off, of which instant they are, and how long it took."""
    _ = text.gettext
    rows = answer.table.num_rows
    count = text.ngettext("{n} row", "{n} rows", rows).format(n=text.number(rows))
    if answer.cut:
        count = _("The first {n} rows; there are more").format(n=text.number(rows))
    as_of = _("as of {time} UTC").format(time=text.clock(answer.as_of, "UTC", seconds=True))
    return f"**{count}** · {text.date(answer.as_of)}, {as_of} · {text.seconds(answer.took_s)}"


def decimals(table: pa.Table) -> dict[str, ColumnConfig]:
    """Let the browser write decimal numbers as its language does. Returns column → configuration.

    The browser writes at most three decimals, so a column with a number that would become 0 stays as it is. So do
    whole numbers, which may be years.
    """
    formats = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
            size = pc.abs(pc.cast(column, pa.float64()))
            if not pc.any(pc.and_(pc.greater(size, 0), pc.less(size, SMALLEST_SHOWN))).as_py():
                formats[field.name] = st.column_config.NumberColumn(format="localized")
    return formats


def connections(path: Path, text: Text) -> list[tuple[str, str]]:
    """Return title and code for each way to open the published file."""
    _ = text.gettext
    shell = "'" + str(path).replace("'", "'\\''") + "'"
    quoted = '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
    query = "FROM kpi_campaign(now() - INTERVAL 1 HOUR, now())"
    python = f"""\
import duckdb  # pip install duckdb pandas pytz

with duckdb.connect({quoted}, read_only=True) as vigie:
    calls = vigie.sql("{query}").df()"""
    r = f"""\
library(duckdb)  # install.packages("duckdb")

vigie <- dbConnect(duckdb(), dbdir = {quoted}, read_only = TRUE)
calls <- dbGetQuery(vigie, "{query}")
dbDisconnect(vigie, shutdown = TRUE)"""
    return [
        (_("DuckDB’s command line"), f'duckdb -readonly {shell} "{query}"'),
        ("Python", python),
        ("R", r),
        (
            _("DBeaver: a DuckDB connection by URL, and a driver property"),
            f"jdbc:duckdb:{path}\nduckdb.read_only=true",
        ),
        (
            _("If Vigie’s folder is mounted elsewhere: run this first"),
            f"SET VARIABLE {FOLDER} = '/mnt/published';",
        ),
    ]


def schema(relations: Iterable[Relation], text: Text) -> str:
    """Draw every relation with its comment; its columns open on a click."""
    _ = text.gettext
    kinds = {"table": _("table"), "view": _("view"), "macro": _("macro")}
    heads = table.heads((_("Column"), _("Type"), _("Meaning")))
    details = []
    for relation in relations:
        call = relation.name if relation.parameters is None else f"{relation.name}({relation.parameters})"
        rows = [
            table.row(
                _code(column.name), table.cell(_code(column.type or "")) + table.cell(escape(column.comment), "wrap")
            )
            for column in relation.columns
        ]
        columns = table.table(heads, rows, scrolls=True) if rows else ""
        details.append(
            f"<details><summary>{_code(call)} <small>{escape(kinds[relation.kind])}</small>"
            f"<span>{escape(relation.comment)}</span></summary>{columns}</details>"
        )
    return f'<div class="vigie-schema">{"".join(details)}</div>'


def glossary(text: Text) -> str:
    """Draw every figure with its formula, the five formulas of service level, and the counts."""
    _ = text.gettext
    figures = [(_name(kpi.name, text), kpi.name, kpi.formula, kpi.unit, kpi.undefined) for kpi in KPIS.values()]
    formulas = [("", name, formula.text, "", formula.printed_by) for name, formula in FORMULAS.items()]
    counts = [(_name(measure.name, text), measure.name, measure.meaning, measure.unit) for measure in MEASURES.values()]
    column, unit = _("Column"), _("Unit")
    parts = (
        (_("Figures"), (_("Figure"), column, _("Formula"), unit, _("Undefined when")), figures),
        (_("The five formulas of service level"), ("", _("Name"), _("Formula"), "", _("As printed by")), formulas),
        (_("Counts and seconds"), (_("Figure"), column, _("Meaning"), unit), counts),
    )
    return (
        '<div class="vigie-schema">'
        + "".join(f"<h3>{escape(title)}</h3>{_table(head, rows)}" for title, head, rows in parts)
        + "</div>"
    )


def _name(column: str, text: Text) -> str:
    """Name a figure as the other pages do. A figure that no page shows has no name but its column's."""
    try:
        return names.figure(column, text)
    except KeyError:
        return ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    columns = [column for column, word in enumerate(head) if word]
    lines = []
    for row in rows:
        first, *rest = (_code(row[column]) if column == 1 else escape(row[column]) for column in columns)
        lines.append(table.row(first, "".join(table.cell(html, "wrap") for html in rest)))
    return table.table(table.heads(head[column] for column in columns), lines, scrolls=True)


def _code(words: str) -> str:
    return f"<code>{escape(words)}</code>"


@dataclass(frozen=True)
class Axes:
    """The columns that can be chosen for each part of a chart, and the first choice."""

    across: list[str]
    upright: list[str]
    split: list[str]
    x: str
    y: str
    by: str | None
    temporal: frozenset[str]
    named: frozenset[str]

    def kind(self, x: str) -> str:
        """Return the kind of chart for column `x`: a line for time, bars for names, points for numbers."""
        return "line" if x in self.temporal else "bar" if x in self.named else "points"


def axes(table: pa.Table) -> Axes | None:
    """Choose by type: time across if there is any, else names; the last number with values upright; names as series."""
    temporal = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
    numbers = [field.name for field in table.schema if _is_number(field.type)]
    named = [field.name for field in table.schema if field.name not in temporal and field.name not in numbers]
    if not numbers or table.num_columns < 2 or not table.num_rows:
        return None
    x = next(iter((*temporal, *named, *numbers)))
    upright = [name for name in numbers if name != x]
    with_values = [name for name in upright if table[name].null_count < table.num_rows]
    split = [name for name in named if len(table[name].combine_chunks().unique()) <= MAX_SERIES]
    by = next((name for name in split if name != x), None)
    columns = list(table.column_names)
    return Axes(columns, numbers, split, x, (with_values or upright)[-1], by, frozenset(temporal), frozenset(named))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def kinds(text: Text) -> dict[str, str]:
    _ = text.gettext
    return {"line": _("Line"), "bar": _("Bars"), "points": _("Points")}


def figure(table: pa.Table, x: str, y: str, by: str | None, kind: str, text: Text) -> go.Figure:
    """Draw `y` over `x`, a series for each value of `by`. A line is sorted by `x`.

    Unknown values are not drawn, nor days that a calendar does not have, such as infinity.
    """
    x_type = table.schema.field(x).type
    if kind == "line" and (pa.types.is_temporal(x_type) or _is_number(x_type)):
        table = table.sort_by(x)
    xs, ys = spreadsheet.values(table[x]), [None if value is None else float(value) for value in table[y].to_pylist()]
    series_of = table[by].to_pylist() if by else [None] * table.num_rows
    plot = go.Figure(layout={"xaxis_title": x, "yaxis_title": y, "height": 460, "legend_title": by})
    if pa.types.is_date(x_type) or pa.types.is_timestamp(x_type):
        xs = [None if isinstance(at, str) else at for at in xs]
        plot.update_xaxes(tickformatstops=DATES, hoverformat="%d/%m/%Y %H:%M")
    for series in dict.fromkeys(series_of):
        rows = [row for row, name in enumerate(series_of) if name == series]
        points = {"x": [xs[row] for row in rows], "y": [ys[row] for row in rows]}
        name = DASH if series is None else str(series)
        if kind == "bar":
            plot.add_trace(go.Bar(**points, name=name))
        else:
            plot.add_trace(go.Scatter(**points, name=name, mode="lines" if kind == "line" else "markers"))
    plot.update_layout(
        colorway=chart.line_colours(),
        separators=text.separators(),
        showlegend=by is not None,
        # above the chart: the axis labels below it vary in height
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"t": 16, "r": 8},
    )
    return plot
