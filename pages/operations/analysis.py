"""The parts of the analyst page: examples, ways to connect, the schema, the glossary, what came of a query."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from metrics.compose import KPIS, MEASURES
from metrics.readers import SECONDS, Answer, Relation, Trouble
from metrics.relations import FOLDER
from metrics.service_level import FORMULAS
from pages.shared import chart, names, table
from pages.shared.i18n import DASH, Text

DRAWN = 30
"""A chart is split into so many series at most."""
LEAST = 0.0005
"""What is less is 0 in three decimals."""
DAY_MS = 86_400_000
DATES = [
    {"dtickrange": [None, DAY_MS - 1], "value": "%H:%M\n%d/%m/%Y"},
    {"dtickrange": [DAY_MS, "M1"], "value": "%d/%m\n%Y"},
    {"dtickrange": ["M1", None], "value": "%m/%Y"},
]
"""How an axis writes times, by how far its ticks are apart: in numbers, since the browser knows English months only."""


def titles(text: Text) -> dict[str, str]:
    """Return the question that each example answers, those of every day first."""
    _ = text.gettext
    return {
        "intervals_today": _("Which half hours of the last day were below the contract?"),
        "month_to_target": _("How many late calls can this month still bear?"),
        "week_by_week": _("How did the service level go, week by week?"),
        "five_formulas": _("What would the other formulas of service level say?"),
        "callers_in_queue": _("How many callers waited, through the last day?"),
        "weekday_and_hour": _("On which weekdays, at which hours, do calls come?"),
        "patience": _("After how long do callers hang up?"),
        "transfers": _("Which calls were passed on most?"),
        "results_of_calls": _("What do calls end in, campaign by campaign?"),
        "handling_by_team": _("How long do teams handle a call, and how busy are they?"),
        "pauses_by_reason": _("Where do pauses go, by reason?"),
        "rejected_records": _("What could the feed not use, and why?"),
    }


def trouble(why: Trouble, text: Text) -> str:
    """Say why there is no answer, and what to do."""
    _ = text.gettext
    said = {
        "not_one_read": _(
            "Only a single statement that reads is run here: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW."
        ),
        "same_name": _("Two columns are called {name}; give one of them another name with AS."),
        "said": _("DuckDB could not run it:"),
        "too_much": _(
            "The query needs more memory than it may have here; ask for less, or connect with your own tool."
        ),
        "too_long": _(
            "The query was interrupted because it ran for {seconds} s; ask for less, or connect with your own tool."
        ),
        "interrupted": _("The query was interrupted."),
        "busy": _("Other people's queries are running, as many as are allowed at once; try again in a few seconds."),
        "ended": _("The query ended before it answered; ask for less, or connect with your own tool."),
    }
    return said[why.reason].format(name=why.words, seconds=text.number(SECONDS))


def summary(answer: Answer, text: Text) -> str:
    """Say how many rows, whether there are more, of which instant, and how long it took."""
    _ = text.gettext
    rows = answer.table.num_rows
    count = text.ngettext("{n} row", "{n} rows", rows).format(n=text.number(rows))
    if answer.cut:
        count = _("The first {n} rows; there are more").format(n=text.number(rows))
    as_of = _("as of {time} UTC").format(time=text.clock(answer.as_of, "UTC", seconds=True))
    return f"**{count}** · {text.date(answer.as_of)}, {as_of} · {text.seconds(answer.took_s)}"


def decimals(table: pa.Table) -> dict[str, ColumnConfig]:
    """Let the browser write numbers with decimals as its language does, by the names of their columns.

    It writes no more than three decimals: a column with a number that would be 0 stays as it is, and so do whole
    numbers, which may be years.
    """
    found = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
            size = pc.abs(pc.cast(column, pa.float64()))
            if not pc.any(pc.and_(pc.greater(size, 0), pc.less(size, LEAST))).as_py():
                found[field.name] = st.column_config.NumberColumn(format="localized")
    return found


def connections(path: Path, text: Text) -> list[tuple[str, str]]:
    """Return title and code of each way to open the published file."""
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
        (_("DuckDB's command line"), f'duckdb -readonly {shell} "{query}"'),
        ("Python", python),
        ("R", r),
        (
            _("DBeaver: a DuckDB connection by URL, and a driver property"),
            f"jdbc:duckdb:{path}\nduckdb.read_only=true",
        ),
        (
            _("If Vigie's folder is mounted elsewhere: run this first"),
            f"SET VARIABLE {FOLDER} = '/mnt/published';",
        ),
    ]


def schema(relations: Iterable[Relation], text: Text) -> str:
    """Draw every relation with its comment; its columns open on a click."""
    _ = text.gettext
    kinds = {"table": _("table"), "view": _("view"), "macro": _("macro")}
    heads = table.heads((_("Column"), _("Type"), _("Meaning")))
    drawn = []
    for one in relations:
        call = one.name if one.parameters is None else f"{one.name}({one.parameters})"
        rows = [
            table.row(
                _code(column.name), table.cell(_code(column.type or "")) + table.cell(escape(column.comment), "wrap")
            )
            for column in one.columns
        ]
        columns = table.table(heads, rows, scrolls=True) if rows else ""
        drawn.append(
            f"<details><summary>{_code(call)} <small>{escape(kinds[one.kind])}</small>"
            f"<span>{escape(one.comment)}</span></summary>{columns}</details>"
        )
    return f'<div class="vigie-schema">{"".join(drawn)}</div>'


def glossary(text: Text) -> str:
    """Draw every figure with its formula, the five formulas of service level, and what is counted."""
    _ = text.gettext
    figures = [(_name(k.name, text), k.name, k.formula, k.unit, k.undefined) for k in KPIS.values()]
    formulas = [("", name, one.text, "", one.printed_by) for name, one in FORMULAS.items()]
    counts = [(_name(m.name, text), m.name, m.meaning, m.unit) for m in MEASURES.values()]
    column, unit = _("Column"), _("Unit")
    parts = (
        (_("Figures"), (_("Figure"), column, _("Formula"), unit, _("Undefined when")), figures),
        (_("The five formulas of service level"), ("", _("Name"), _("Formula"), "", _("As printed by")), formulas),
        (_("Counts and seconds"), (_("Figure"), column, _("Meaning"), unit), counts),
    )
    return '<div class="vigie-schema">' + "".join(f"<h3>{escape(t)}</h3>{_table(h, r)}" for t, h, r in parts) + "</div>"


def _name(column: str, text: Text) -> str:
    """Name a figure as the other pages do; one that no page shows has its column only."""
    try:
        return names.figure(column, text)
    except KeyError:
        return ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    shown = [place for place, word in enumerate(head) if word]
    lines = []
    for row in rows:
        first, *rest = (_code(row[place]) if place == 1 else escape(row[place]) for place in shown)
        lines.append(table.row(first, "".join(table.cell(html, "wrap") for html in rest)))
    return table.table(table.heads(head[place] for place in shown), lines, scrolls=True)


def _code(words: str) -> str:
    return f"<code>{escape(words)}</code>"


@dataclass(frozen=True)
class Axes:
    """Which columns can stand where in a chart, and what is drawn before somebody chooses."""

    across: list[str]
    upright: list[str]
    split: list[str]
    x: str
    y: str
    by: str | None
    timely: frozenset[str]
    named: frozenset[str]

    def kind(self, x: str) -> str:
        """Return the kind for what stands across: time is a line, names are bars, numbers are points."""
        return "line" if x in self.timely else "bar" if x in self.named else "points"


def axes(table: pa.Table) -> Axes | None:
    """Look at the types: time across if there is any, else names; the last number known upright; names apart."""
    timely = [f.name for f in table.schema if pa.types.is_temporal(f.type)]
    numbers = [f.name for f in table.schema if _is_number(f.type)]
    named = [f.name for f in table.schema if f.name not in timely and f.name not in numbers]
    if not numbers or table.num_columns < 2 or not table.num_rows:
        return None
    x = next(iter((*timely, *named, *numbers)))
    upright = [name for name in numbers if name != x]
    known = [name for name in upright if table[name].null_count < table.num_rows]
    split = [name for name in named if table[name].combine_chunks().unique().__len__() <= DRAWN]
    by = next((name for name in split if name != x), None)
    columns = list(table.column_names)
    return Axes(columns, numbers, split, x, (known or upright)[-1], by, frozenset(timely), frozenset(named))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def kinds(text: Text) -> dict[str, str]:
    _ = text.gettext
    return {"line": _("Line"), "bar": _("Bars"), "points": _("Points")}


def figure(table: pa.Table, x: str, y: str, by: str | None, kind: str, text: Text) -> go.Figure:
    """Draw `y` over `x`, a series for each value of `by`; what is not known is not drawn. A line goes along `x`."""
    type_ = table.schema.field(x).type
    if kind == "line" and (pa.types.is_temporal(type_) or _is_number(type_)):
        table = table.sort_by(x)
    across, upright = table[x].to_pylist(), [None if v is None else float(v) for v in table[y].to_pylist()]
    apart = table[by].to_pylist() if by else [None] * table.num_rows
    drawn = go.Figure(layout={"xaxis_title": x, "yaxis_title": y, "height": 460, "legend_title": by})
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        drawn.update_xaxes(tickformatstops=DATES, hoverformat="%d/%m/%Y %H:%M")
    for series in dict.fromkeys(apart):
        places = [place for place, one in enumerate(apart) if one == series]
        points = {"x": [across[place] for place in places], "y": [upright[place] for place in places]}
        name = DASH if series is None else str(series)
        if kind == "bar":
            drawn.add_trace(go.Bar(**points, name=name))
        else:
            drawn.add_trace(go.Scatter(**points, name=name, mode="lines" if kind == "line" else "markers"))
    drawn.update_layout(
        colorway=chart.line_colours(),
        separators=text.separators(),
        showlegend=by is not None,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},  # never on the axis, whose labels vary
        margin={"t": 16, "r": 8},
    )
    return drawn
