"""The SQL objects of the published file: tables, macros, views, and a COMMENT on each.

`install` writes them into a fresh catalog in a few milliseconds. They are created once in memory and then copied,
because binding the macros (about 0.1 s) and commenting on 150 columns (another 0.1 s) is too slow to do every second.

How DuckDB 1.5.5 resolves names (measured): a macro's body is bound where it is called, through the caller's search
path. If the file is opened alone, it is the default catalog, and everything works. If it is attached under another
name, views still work because they remember their catalog. Macros need `USE name` or
`SET search_path = 'memory,name'` first.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import duckdb

from metrics.composition import sums as kept_sums
from metrics.composition.compose import formulas, relation
from metrics.composition.figures import KPIS, MEASURES
from metrics.composition.grains import GRAINS
from metrics.kpis import agent_time, first_contact, now, service_level, strain
from metrics.kpis.kpi import sum_of
from metrics.kpis.outcomes import PARTS
from metrics.published import relations
from metrics.published.explain import explain
from metrics.quoting import quoted

ROWS = {
    "kpi_campaign": "one row per campaign, including campaigns without calls",
    "kpi_queue": "one row per campaign and queue that had calls in the window, or whose calls were worked on in it",
    "kpi_term": "one row per campaign and contract term that overlaps the window, with the calls judged by that term",
    "kpi_agent": "one row per agent who was logged in, answered or worked on a call in the window",
    "kpi_agent_campaign": "one row per agent and campaign",
    "kpi_interval": "one row per campaign and interval of `minutes` minutes, counted from t0, including empty ones",
    "kpi_days": "one row per campaign and local day from day0 to day1 (not included)",
    "kpi_total": "one row for all campaigns in the list `among` (NULL: all campaigns): ratios of the sums",
    "kpi_formulas": "service level of each campaign under each of the five formulas, with the thresholds in force",
    "conservation": "offered and the sum of its parts, per campaign; conserved must be true",
    "agent_strain": "one row per agent logged in at `moment`, over all campaigns: shows who needs relief",
    "agent_pauses": "one row per agent and reason of pauses, over all campaigns",
    "agent_missed": "one row per agent and campaign: offers that the agent did not pick up",
    "first_contact": "one row per campaign: which callers did not have to call again within the contract's fcr_days",
    "explain_kpi": "how a campaign's figure was computed: formula, counts and what other systems print. Also one row "
    "for each contract term, with the number of its calls in the denominator of service level, and the term itself in "
    "the columns of sla_terms",
    "kpi_daily": "one row per campaign and local day, including empty ones, from the first to the last day with a call "
    "or with agents' time; a view",
    "kpi_now": "one row per campaign: the window of the last window_minutes before as_of, the queue, and whether the "
    "campaign is open; a view",
    **{name: f"{view.meaning}; a view" for name, view in kept_sums.VIEWS.items()},
}
WINDOW = "window [t0, t1), TIMESTAMPTZ"

CONSERVATION = f"""\
SELECT campaign, offered, {sum_of(*PARTS).sql} AS accounted, refused, conserved
FROM kpi_campaign(t0, t1)"""

# the days come from ingest_status: querying `calls` for them would read all history
DAILY = "FROM kpi_days((SELECT first_day FROM ingest_status), (SELECT last_day + 1 FROM ingest_status))"
VIEWS = {
    "kpi_daily": ("campaign", "day", *GRAINS["kpi_days"].columns),
    "kpi_now": (*now.COLUMNS, *now.FIGURES),
    **{name: tuple(view.columns) for name, view in kept_sums.VIEWS.items()},
}
"""The columns of each view."""

OWN_COLUMNS = strain.COLUMNS | first_contact.COLUMNS
"""Macros with columns of their own: macro → column → unit and meaning."""

CONTRACT_COLUMNS = {
    "settled": "no call of the window is open and lateness_s has passed since its end: only a late event can change it",
    "target": "service level required by the contract term in force [ratio 0–1]",
    "threshold_s": "T of the contract term in force [s]",
    "terms_changed": "the window overlaps more than one contract term; each call is judged by its own",
    "campaign": "campaign id",
    "day": "the campaign's local day",
}


@cache
def bodies() -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the parameters and the SELECT of each macro by name, in order. Built once per process."""
    selects = {name: (grain.parameters, relation(name)) for name, grain in GRAINS.items() if grain.parameters}
    selects["kpi_formulas"] = (("t0", "t1"), formulas())
    selects["conservation"] = (("t0", "t1"), CONSERVATION)
    selects["agent_strain"] = (("moment",), strain.STRAIN)
    selects["agent_pauses"] = (("t0", "t1"), strain.PAUSES)
    selects["agent_missed"] = (("t0", "t1"), strain.MISSED)
    selects["first_contact"] = (("t0", "t1"), first_contact.FIRST_CONTACT)
    selects["explain_kpi"] = (("campaign", "t0", "t1", "kpi"), explain())
    return selects


def macros() -> dict[str, str]:
    """Return the CREATE MACRO statements by name, in order."""
    return {
        name: f"CREATE MACRO {name}({', '.join(parameters)}) AS TABLE\n{body}"
        for name, (parameters, body) in bodies().items()
    }


@cache
def views() -> dict[str, str]:
    """Return the CREATE VIEW statements by name, in order."""
    selects = {"kpi_daily": DAILY, "kpi_now": relation("kpi_now")}
    return {name: f"CREATE VIEW {name} AS\n{select}" for name, select in selects.items()}


def sums() -> dict[str, str]:
    """Return the CREATE VIEW statements of the sums by name: what they are without a past, all rows added up."""
    return {name: f"CREATE VIEW {name} AS\n{view.select}" for name, view in kept_sums.VIEWS.items()}


def statements() -> tuple[str, ...]:
    """Return the CREATE statements of all sums, macros and views, in the order in which they need each other."""
    return (*sums().values(), *macros().values(), *views().values())


def meaning_in(view: str, column: str) -> str:
    """Return the comment of a column of a view."""
    if view in kept_sums.VIEWS:
        return kept_sums.VIEWS[view].columns[column][1]
    if view == "kpi_now" and column in now.COLUMNS:
        unit, meaning = now.COLUMNS[column]
        return f"{meaning} [{unit}]"
    return meaning_of(column)


def meaning_of(column: str) -> str:
    """Return the comment of a column of the KPI relations, with unit and formula."""
    if column in KPIS:
        kpi = KPIS[column]
        return f"{kpi.formula} [{kpi.unit}]; NULL: {kpi.undefined}"
    if column in MEASURES:
        return f"{MEASURES[column].meaning} [{MEASURES[column].unit}]"
    if column in agent_time.AGENTS:
        return agent_time.agents_meaning(column)
    return CONTRACT_COLUMNS[column]


def comments() -> Iterator[str]:
    """Yield a COMMENT statement for every macro (it also describes the columns), every view and its columns."""
    for name, (parameters, _) in bodies().items():
        columns = GRAINS[name].columns if name in GRAINS else ()
        window = f"; {WINDOW}" if "t0" in parameters else ""
        figures = "".join(f"\n{column}: {meaning_of(column)}" for column in columns)
        if name == "kpi_formulas":
            figures = "".join(f"\n{kpi.name}: {kpi.formula} [{kpi.unit}]" for kpi in service_level.EACH)
        if name in OWN_COLUMNS:
            figures = "".join(f"\n{c}: {meaning} [{unit}]" for c, (unit, meaning) in OWN_COLUMNS[name].items())
        yield _comment("MACRO TABLE", name, ROWS[name] + window + figures)
    yield from _view_comments(VIEWS)


def _view_comments(views: Iterable[str]) -> Iterator[str]:
    for view in views:
        yield _comment("VIEW", view, ROWS[view])
        for column in VIEWS[view]:
            yield _comment("COLUMN", f"{view}.{column}", meaning_in(view, column))


def install(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str] | None = None, private: str = ""
) -> None:
    """Create tables, macros, views and comments in the attached catalog `catalog`.

    In an empty catalog this takes milliseconds. The caller then fills the tables: INSERT INTO catalog.calls BY NAME ….
    A base relation that already exists is kept and only gets comments; that takes about 0.3 s for all relations.

    `past` maps a relation to SQL for its older rows, such as a SELECT from Parquet files. The table of such a relation
    is called `recent_…`, and a view with the relation's name combines both with UNION ALL BY NAME. A relation of sums
    is mapped to the SELECT of all its rows. `private` is a statement that creates whatever else that SQL reads.

    Call this outside a transaction: the first time, and whenever `past` changes, it also writes to a catalog in memory.
    """
    past = past or {}
    parameters = {"catalog": catalog}
    existing: list[tuple[str, str]] = []
    if connection.execute("FROM duckdb_tables() WHERE database_name = $catalog LIMIT 1", parameters).fetchone():
        existing = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = $catalog", parameters
        ).fetchall()
    kept = {name for name, _ in existing} & relations.COLUMNS.keys()
    template = f"vigie_objects_{_digest(sorted(past), private, sorted(kept))}"
    attached = {name for (name,) in connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()}
    if template not in attached:
        for name in attached:
            if name.startswith("vigie_objects_"):
                connection.execute(f"DETACH {name}")
        _create_template(connection, template, past, private, kept)
    else:
        _renew_views(connection, template, past)
    connection.execute("SET VARIABLE vigie_past = $digest", {"digest": _digest(sorted(past.items()))})
    connection.execute(f'COPY FROM DATABASE {template} TO "{catalog}" (SCHEMA)')
    if kept:
        views = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = $catalog", parameters
        ).fetchall()
        connection.execute("BEGIN")
        for name, column, comment in _base_comments({name for (name,) in views}, catalog):
            if name in kept and (not column or (name, column) in existing):
                connection.execute(comment)
        connection.execute("COMMIT")


def _create_template(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str], private: str, kept: set[str]
) -> None:
    """Create every object in a new catalog in memory, then drop the base relations `kept`."""
    connection.execute(f"ATTACH ':memory:' AS {catalog}")
    # the cursor has its own default catalog, so macros are bound as they are for someone who opens the file
    cursor = connection.cursor()
    try:
        cursor.execute(f"USE {catalog}")
        if private:
            cursor.execute(private)
        for name in relations.COLUMNS:
            if name in past:
                cursor.execute(relations.create(name, f"recent_{name}"))
                cursor.execute(_view(name, past[name]))
            else:
                cursor.execute(relations.create(name))
        for name, statement in sums().items():
            cursor.execute(_view(name, past[name]) if name in past else statement)
        for statement in (*macros().values(), *views().values()):
            cursor.execute(statement)
        for _, _, comment in _base_comments(set(past)):
            cursor.execute(comment)
        for comment in comments():
            cursor.execute(comment)
        for name in kept:
            cursor.execute(f"DROP TABLE {name}")
    except BaseException:
        cursor.close()
        connection.execute(f"DETACH {catalog}")
        raise
    cursor.close()


def _renew_views(connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str]) -> None:
    """Replace the views over `past` if it reads other files than last time. A tenth of the cost of a new template."""
    if connection.execute("SELECT getvariable('vigie_past')").fetchone() != (_digest(sorted(past.items())),):
        renew(connection, catalog, past)


def renew(connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str]) -> None:
    """Replace the views over `past` in the attached catalog `catalog`, which `install` has filled."""
    cursor = connection.cursor()
    cursor.execute(f"USE {catalog}")
    for name, rows in past.items():
        cursor.execute(_view(name, rows))
    for name, _, comment in _base_comments(set(past)):
        if name in past:
            cursor.execute(comment)
    for comment in _view_comments(kept_sums.VIEWS):
        cursor.execute(comment)
    cursor.close()


def _view(name: str, rows: str) -> str:
    if name in kept_sums.VIEWS:
        return f"CREATE OR REPLACE VIEW {name} AS\n{rows}"
    return f"CREATE OR REPLACE VIEW {name} AS FROM recent_{name} UNION ALL BY NAME {rows}"


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _base_comments(views: set[str], catalog: str = "") -> Iterator[tuple[str, str | None, str]]:
    """Yield relation, column (None: the relation itself) and its COMMENT statement. `catalog` "" is the default one."""
    prefix = f'"{catalog}".' if catalog else ""
    for name, meaning in relations.MEANING.items():
        yield name, None, _comment("VIEW" if name in views else "TABLE", f"{prefix}{name}", meaning)
        for column, (_, column_meaning) in relations.COLUMNS[name].items():
            yield name, column, _comment("COLUMN", f'{prefix}{name}."{column}"', column_meaning)


def _comment(kind: str, name: str, text: str) -> str:
    return f"COMMENT ON {kind} {name} IS {quoted(text)}"
