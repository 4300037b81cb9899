"""`make sql`: a read-only SQL shell on the published file. Uses the `duckdb` program if it is installed."""

import os
import shutil
import sys
from pathlib import Path

import duckdb

from metrics.command_line import Parser
from metrics.errors import MetricsError, NothingPublished
from metrics.published.opening import foreign_logs, open_snapshot
from metrics.published.relations import FOLDER
from metrics.quoting import quoted

WELCOME = """\
Vigie's published file, read-only. End a statement with `;`; press Ctrl-D to leave. Times are in UTC. Try:
  SHOW TABLES;   FROM kpi_campaign(current_date, current_date + 1);   FROM kpi_daily;
  SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal;
"""


def main(arguments: list[str]) -> int:
    """Run the shell and return the exit code: 1 if input was not a terminal and a statement failed."""
    parser = Parser(prog="python -m metrics.published.shell", description="A SQL shell on the published file.")
    default = os.environ.get("VIGIE_DATA_DIR") or "data"
    parser.add_argument("--data-dir", type=Path, default=Path(default), help=f"default {default}; also VIGIE_DATA_DIR")
    path = parser.parse_args(arguments).data_dir / "published" / "vigie.duckdb"
    if not path.exists():
        raise NothingPublished(f"{path} does not exist: start `make demo` or `python -m ingest run` first.")
    # the program would read what somebody else wrote beside the file
    if (program := shutil.which("duckdb")) and sys.stdin.isatty() and not foreign_logs(path):
        os.execv(program, [program, "-readonly", "-cmd", f"SET VARIABLE {FOLDER} = {_folder(path)}", str(path)])
    if sys.stdin.isatty():
        import readline  # noqa: F401 - line editing for input()

        sys.stdout.write(WELCOME)
    statement, failed = "", False
    while True:
        try:
            line = input(("vigie> " if not statement else "    -> ") if sys.stdin.isatty() else "")
        except EOFError:
            line = None
        except KeyboardInterrupt:
            statement = ""
            sys.stdout.write("\n")
            continue
        statement += (line or "") + "\n"
        if statement.strip() and (line is None or line.rstrip().endswith(";")):
            failed |= not run(path, statement)
            statement = ""
        if line is None:
            return int(failed and not sys.stdin.isatty())


def run(path: Path, statement: str) -> bool:
    """Run the statements on the newest published file and print their results; return whether all succeeded.

    The file is opened anew because each publish replaces it.
    """
    try:
        with open_snapshot(path) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET VARIABLE {FOLDER} = {_folder(path)}")
            for single in connection.extract_statements(statement):
                result = connection.sql(single)
                if result is not None:
                    result.show(max_width=shutil.get_terminal_size((160, 40)).columns)
    except duckdb.Error as error:
        sys.stdout.write(f"{error}\n")
        return False
    return True


def _folder(path: Path) -> str:
    """Return the folder of the published file as an SQL string."""
    return quoted(path.parent.resolve())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MetricsError as error:
        sys.stderr.write(f"vigie: {error}\n")
        sys.exit(error.exit_code)
