"""The SQL objects of the published file: its tables, macros and views, and a COMMENT on each.

`install` writes them into a fresh catalog in a few milliseconds: they are made once, in memory, and copied from there,
because binding the macros (about 0.1 s) and commenting on 150 columns (as much) is too slow for every second.

How names resolve in DuckDB 1.5.5, as measured. A macro's body is bound where it is called, through the caller's
search path: opened alone the file is the default catalog and all is well. Attached under another name, views work as
they are (they remember their catalog), and macros after `USE name` or `SET search_path = 'memory,name'`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache

import duckdb

from metrics.kpis import service_level, strain
from metrics.kpis.compose import GRAINS, KPIS, MEASURES, formulas, relation
from metrics.kpis.kpi import sum_of
from metrics.kpis.outcomes import PARTS
from metrics.published import relations
from metrics.published.explain import explain
from metrics.quoting import quoted

ROWS = {
    "kpi_campaign": "one row per campaign, every one known",
    "kpi_queue": "one row per campaign and queue that saw calls in the window, or whose calls were worked on in it",
    "kpi_term": "one row per campaign and term of its contract that touches the window, with the calls judged by it",
    "kpi_agent": "one row per agent who was logged in, answered or worked on a call in the window",
    "kpi_agent_campaign": "one row per agent and campaign",
    "kpi_interval": "one row per campaign and interval of so many minutes, counted from t0, empty ones too",
    "kpi_days": "one row per campaign and local day from day0 to day1 (not included)",
    "kpi_total": "one row for all campaigns of the list `among` together (NULL: all): ratios of the sums",
    "kpi_formulas": "service level of each campaign under each of the five formulas, by the thresholds in force",
    "conservation": "offered and the sum of its parts, per campaign; conserved must be true",
    "agent_strain": "one row per agent logged in at a moment: who should be relieved, over all campaigns",
    "agent_pauses": "one row per agent and reason of pauses, over all campaigns",
    "agent_missed": "one row per agent and campaign: offers that the agent did not pick up",
    "explain_kpi": "what a figure of a campaign was made of: formula, counts, what other systems print, and a row for "
    "each term of the contract: how many calls are in the service level's denominator by it, and the term in columns "
    "named as in sla_terms",
    "kpi_daily": "one row per campaign and local day, empty ones too, from the first day of a call or of an agent's "
    "time to the last; a view",
}
WINDOW = "window [t0, t1), TIMESTAMPTZ"

CONSERVATION = f"""\
SELECT campaign, offered, {sum_of(*PARTS).sql} AS accounted, refused, conserved
FROM kpi_campaign(t0, t1)"""

# asking `calls` for its first and last day would read all history
DAILY = """\
CREATE VIEW kpi_daily AS
FROM kpi_days((SELECT first_day FROM ingest_status), (SELECT last_day + 1 FROM ingest_status))"""

CONTRACT_COLUMNS = {
    "settled": "no call of the window is open and the lateness allowance has passed: only a late event moves it",
    "target": "service level that the contract in force asks for [ratio 0–1]",
    "threshold_s": "T of the contract in force [s]",
    "terms_changed": "the window spans more than one contract term; each call is judged by its own",
    "campaign": "campaign id",
    "day": "the campaign's local day",
}


@cache
def bodies() -> dict[str, tuple[tuple[str, ...], str]]:
    """Return parameters and SELECT of each macro by name, in order; the text is made once a process."""
    made = {name: (grain.parameters, relation(name)) for name, grain in GRAINS.items()}
    made["kpi_formulas"] = (("t0", "t1"), formulas())
    made["conservation"] = (("t0", "t1"), CONSERVATION)
    made["agent_strain"] = (("moment",), strain.STRAIN)
    made["agent_pauses"] = (("t0", "t1"), strain.PAUSES)
    made["agent_missed"] = (("t0", "t1"), strain.MISSED)
    made["explain_kpi"] = (("campaign", "t0", "t1", "kpi"), explain())
    return made


def macros() -> dict[str, str]:
    """Return the CREATE MACRO statements by name, in order."""
    return {
        name: f"CREATE MACRO {name}({', '.join(parameters)}) AS TABLE\n{body}"
        for name, (parameters, body) in bodies().items()
    }


def meaning(column: str) -> str:
    """Return the comment of a column of the KPI relations, with unit and formula."""
    if column in KPIS:
        kpi = KPIS[column]
        return f"{kpi.formula} [{kpi.unit}]; NULL: {kpi.undefined}"
    if column in MEASURES:
        return f"{MEASURES[column].meaning} [{MEASURES[column].unit}]"
    return CONTRACT_COLUMNS[column]


def comments() -> Iterator[str]:
    """Yield a COMMENT for every macro, and for the view and its columns; a macro's columns are in its own."""
    for name, (parameters, _) in bodies().items():
        columns = GRAINS[name].columns if name in GRAINS else ()
        of = f"; {WINDOW}" if "t0" in parameters else ""
        figures = "".join(f"\n{column}: {meaning(column)}" for column in columns)
        if name == "kpi_formulas":
            figures = "".join(f"\n{kpi.name}: {kpi.formula} [{kpi.unit}]" for kpi, _, _ in service_level.EACH)
        if name in strain.COLUMNS:
            figures = "".join(f"\n{c}: {says} [{unit}]" for c, (unit, says) in strain.COLUMNS[name].items())
        yield _comment("MACRO TABLE", name, ROWS[name] + of + figures)
    yield _comment("VIEW", "kpi_daily", ROWS["kpi_daily"])
    for column in ("campaign", "day", *GRAINS["kpi_days"].columns):
        yield _comment("COLUMN", f"kpi_daily.{column}", meaning(column))


def install(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str] | None = None, private: str = ""
) -> None:
    """Create tables, macros, views and comments in the attached catalog `catalog`.

    In an empty catalog this takes milliseconds, and the caller then fills the tables: INSERT INTO catalog.calls BY
    NAME …. A base relation that is there already is kept, and commented on, which takes some 0.3 s for all of them.
    For a relation named in `past` (SQL after UNION ALL BY NAME, such as a SELECT from Parquet files) the table is
    called `recent_…`, and a view under the relation's name covers both; `private` creates what that SQL reads
    besides.
    Call it outside a transaction: the first time, and when `past` changes, it also writes to a catalog in memory.
    """
    past = past or {}
    of = {"catalog": catalog}
    there: list[tuple[str, str]] = []
    if connection.execute("FROM duckdb_tables() WHERE database_name = $catalog LIMIT 1", of).fetchone():
        there = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = $catalog", of
        ).fetchall()
    kept = {name for name, _ in there} & relations.COLUMNS.keys()
    made = f"vigie_objects_{_digest(sorted(past), private, sorted(kept))}"
    attached = {name for (name,) in connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()}
    if made not in attached:
        for name in attached:
            if name.startswith("vigie_objects_"):
                connection.execute(f"DETACH {name}")
        _make(connection, made, past, private, kept)
    else:
        _cover(connection, made, past)
    connection.execute("SET VARIABLE vigie_past = $digest", {"digest": _digest(sorted(past.items()))})
    connection.execute(f'COPY FROM DATABASE {made} TO "{catalog}" (SCHEMA)')
    if kept:
        views = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = $catalog", {"catalog": catalog}
        ).fetchall()
        connection.execute("BEGIN")
        for name, column, comment in _base_comments({name for (name,) in views}, catalog):
            if name in kept and (not column or (name, column) in there):
                connection.execute(comment)
        connection.execute("COMMIT")


def _make(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str], private: str, kept: set[str]
) -> None:
    """Create every object in a new catalog in memory, but at last not the base relations `kept`."""
    connection.execute(f"ATTACH ':memory:' AS {catalog}")
    own = connection.cursor()  # its default catalog is its own: macros are bound as somebody will who opens the file
    try:
        own.execute(f"USE {catalog}")
        if private:
            own.execute(private)
        for name in relations.COLUMNS:
            if name in past:
                own.execute(relations.create(name, f"recent_{name}"))
                own.execute(_view(name, past[name]))
            else:
                own.execute(relations.create(name))
        for statement in macros().values():
            own.execute(statement)
        own.execute(DAILY)
        for _, _, comment in _base_comments(set(past)):
            own.execute(comment)
        for comment in comments():
            own.execute(comment)
        for name in kept:
            own.execute(f"DROP TABLE {name}")
    except BaseException:
        own.close()
        connection.execute(f"DETACH {catalog}")
        raise
    own.close()


def _cover(connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str]) -> None:
    """Make the views over `past` anew when it reads other files than last time: a tenth of making everything."""
    if connection.execute("SELECT getvariable('vigie_past')").fetchone() == (_digest(sorted(past.items())),):
        return
    own = connection.cursor()
    own.execute(f"USE {catalog}")
    for name, rows in past.items():
        own.execute(_view(name, rows))
    for name, _, comment in _base_comments(set(past)):
        if name in past:
            own.execute(comment)
    own.close()


def _view(name: str, rows: str) -> str:
    return f"CREATE OR REPLACE VIEW {name} AS FROM recent_{name} UNION ALL BY NAME {rows}"


def _digest(*what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:12]


def _base_comments(views: set[str], catalog: str = "") -> Iterator[tuple[str, str | None, str]]:
    """Yield relation, column (None: the relation itself) and the COMMENT on it; `catalog` if it is not the default."""
    within = f'"{catalog}".' if catalog else ""
    for name, what in relations.MEANING.items():
        yield name, None, _comment("VIEW" if name in views else "TABLE", f"{within}{name}", what)
        for column, (_, says) in relations.COLUMNS[name].items():
            yield name, column, _comment("COLUMN", f'{within}{name}."{column}"', says)


def _comment(kind: str, name: str, text: str) -> str:
    return f"COMMENT ON {kind} {name} IS {quoted(text)}"
