"""The SQL objects of the published file: installs every macro and view, and what each means, into a fresh catalog.

How names resolve in DuckDB 1.5.5, as measured. A macro's body is bound where it is called, through the caller's
search path: opened alone the file is the default catalog and all is well; attached under another name, views work as
they are (they remember their schema), and macros after `USE name` or `SET search_path = 'memory,name'`. Creating a
macro binds its body once, so `install` makes the catalog the default one while it works.
"""

from functools import cache

import duckdb

from metrics import compose


@cache
def statements() -> tuple[str, ...]:
    """Return the statements that create every object, in order; the text is made once a process."""
    macros = [
        f"CREATE MACRO {name}({grain.parameters}) AS TABLE\n{compose.relation(name)}"
        for name, grain in compose.GRAINS.items()
    ]
    return (*macros, DAILY)


# every day from the first that is known to the last
DAILY = """
CREATE VIEW kpi_daily AS
FROM kpi_days((SELECT min(day) FROM calls), (SELECT max(day) + 1 FROM calls))
"""


def install(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """Create the objects in `catalog`, which must hold the base relations, and leave the default catalog as it was."""
    before = connection.execute("SELECT current_database(), current_schema()").fetchone()
    assert before
    connection.execute(f'USE "{catalog}"')
    try:
        for statement in statements():
            connection.execute(statement)
    finally:
        connection.execute(f'USE "{before[0]}"."{before[1]}"')
