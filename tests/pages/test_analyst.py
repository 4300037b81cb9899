"""The analyst page and its readers: what SQL may and may not do on a published file with history."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from metrics import CALENDAR, readers
from metrics.authorisation.viewer import Role, Viewer
from metrics.published.examples import EXAMPLES
from metrics.readers import Answer, Published, Trouble
from metrics.readers.analysis import sandbox, spreadsheet
from metrics.readers.analysis.query import AT_ONCE, CELLS, COLUMNS, ROWS, Reason
from pages.operations import analysis
from pages.shared import i18n
from tests.support.dashboard.drawing import open_page
from tests.support.processes import wait_for
from tests.support.published import at, call, state
from tests.support.published import publish as write

pytestmark = pytest.mark.slow

ANALYST = Viewer("analyst", None, "ana")
LIMITED = Viewer("analyst", frozenset({"c"}), "ben")
ENDLESS = "SELECT count(*) FROM range(1_000_000_000_000_000) r (n) WHERE n % 7 = 3"  # takes time but no memory
UNHURRIED_S = 300
"""Time limit of queries in tests that are not about time. Query processes run niced, so a busy machine slows them."""
PAST = date(2026, 10, 5)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published file with history beside it, in a data directory with other files."""
    data = tmp_path_factory.mktemp("data")
    directory = data / "published"
    segment = directory / "calls" / f"day={PAST}" / "0.parquet"
    segment.parent.mkdir(parents=True)
    (data / "access").mkdir()
    (data / "access" / "accounts.json").write_text('{"secret": "hash"}')
    (directory / "other.csv").write_text("a\n1\n")
    row = call(queued=f"{PAST} 09:00") | {"call_id": "settled"}
    pq.write_table(pa.Table.from_pylist([{name: value for name, value in row.items() if name != "day"}]), segment)
    past = f"SELECT * FROM read_parquet(['{segment}'], hive_partitioning = true, hive_types = {{day: DATE}})"
    calls = [call(wait=wait, queued=f"09:{wait:02}") for wait in (5, 10, 50)]
    calls += [call("abandoned", wait, queued="09:30") for wait in (3, 12, 45)]
    calls += [call("open", 60, queued="11:59"), call(linked_id="p", queue="a"), call(linked_id="p", queue="b")]
    states = [state("available", "08:00", "09:00"), state("paused", "09:00", "09:20"), state("busy", "09:20", "09:40")]
    as_of = "12:00"
    write(directory / "vigie.duckdb", calls, states, as_of=as_of, past={"calls": past}, first_day=PAST).close()
    with duckdb.connect(directory / "vigie.duckdb") as writer:
        writer.execute("UPDATE ingest_status SET published_at = as_of")
    return directory / "vigie.duckdb"


@pytest.fixture
def inside(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The sandbox's connection, in this process."""
    with sandbox.opened(path) as connection:
        yield connection


def ran(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return sandbox.fetched(sandbox.readable(connection, sql), ROWS, readers.SIZE)[0]


def ask(path: Path, sql: str, seconds: int = UNHURRIED_S) -> Answer | Trouble:
    query = readers.query(Published(path), ANALYST, sql, seconds)
    assert query is not None
    return query.wait()


def answered(path: Path, sql: str) -> Answer:
    outcome = ask(path, sql)
    assert isinstance(outcome, Answer), outcome
    return outcome


def test_a_query_has_the_zone_rules_of_the_pages(path: Path) -> None:
    sql = "SELECT hour(TIMESTAMPTZ '2026-12-01 12:00:00Z' AT TIME ZONE 'Africa/Casablanca') AS noon"
    assert answered(path, sql).table.to_pylist() == [{"noon": 12}]


def refused(path: Path, sql: str, seconds: int = UNHURRIED_S) -> Trouble:
    outcome = ask(path, sql, seconds)
    assert isinstance(outcome, Trouble), outcome
    return outcome


# who may run SQL


@pytest.mark.parametrize(
    ("viewer", "may"),
    [
        pytest.param(Viewer("analyst", None), True, id="an analyst of every campaign"),
        pytest.param(Viewer("manager", None), True, id="a manager of every campaign"),
        pytest.param(Viewer("analyst", frozenset({"c"})), False, id="of some campaigns: SQL would show the others"),
        pytest.param(Viewer("manager", None, sites=frozenset({"s"})), False, id="of some sites: it names all agents"),
        pytest.param(Viewer("client", None), False, id="a client, whatever is configured"),
        pytest.param(Viewer("television", None), False, id="a television"),
    ],
)
def test_only_viewers_of_everything_may_run_sql(path: Path, viewer: Viewer, may: bool) -> None:
    query = readers.query(Published(path), viewer, "SELECT 1", UNHURRIED_S)
    assert (query is not None) is may is readers.may_query(viewer)
    if query is not None:
        assert isinstance(query.wait(), Answer)


def test_the_schema_is_for_managers_and_analysts(path: Path) -> None:
    assert readers.schema(Published(path), LIMITED)
    for role in ("client", "television"):
        assert readers.schema(Published(path), Viewer(role, None)) is None


def test_the_schema_comes_from_the_published_file(path: Path) -> None:
    relations = {relation.name: relation for relation in readers.schema(Published(path), ANALYST) or ()}
    calls, macro, days = relations["calls"], relations["kpi_campaign"], relations["kpi_daily"]
    assert calls.kind == "view" and calls.comment.startswith("one call")
    assert [c.comment for c in calls.columns if c.name == "caller"] == ["caller's number, masked"]
    assert macro.kind == "macro" and macro.parameters == "t0, t1"
    assert next(c.comment for c in macro.columns if c.name == "abandon_rate").startswith("abandoned / (offered")
    assert days.kind == "view" and {c.type for c in days.columns if c.name == "day"} == {"DATE"}
    assert all(relation.comment for relation in relations.values())


# what SQL may do


def test_an_answer_covers_the_snapshot_and_its_history(path: Path) -> None:
    answer = answered(path, "SELECT count(*) AS n, min(day) AS first_day FROM calls; -- all of them")
    assert answer.table.to_pylist() == [{"n": 10, "first_day": PAST}]
    assert answer.as_of == at("12:00") and not answer.cut


def test_values_of_types_that_only_duckdb_has_are_texts(path: Path) -> None:
    sql = "SELECT INTERVAL 90 SECONDS AS i, [1, 2] AS l, {'a': 1} AS s, sum(2) AS n, 'x'::ENUM ('x') AS e"
    (row,) = answered(path, sql).table.to_pylist()
    assert row == {"i": "00:01:30", "l": "[1, 2]", "s": "{'a': 1}", "n": 2, "e": "x"}


def test_columns_keep_duckdbs_names(inside: duckdb.DuckDBPyConnection) -> None:
    rows = ran(inside, """SELECT min(day), count(*), 1 AS "we""ird", [1], 'x' AS "#2" FROM calls""")
    assert rows.column_names == ['min("day")', "count_star()", 'we"ird', "main.list_value(1)", "#2"]
    assert [column[0].as_py() for column in rows.columns] == [PAST, 10, 1, "[1]", "x"]


@pytest.mark.parametrize("sql", ["FROM calls", "DESCRIBE calls", "SHOW TABLES", "SUMMARIZE agents", "VALUES (1)"])
def test_read_only_statements_run(inside: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert ran(inside, sql).num_columns


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_on_a_small_floor(inside: duckdb.DuckDBPyConnection, name: str) -> None:
    assert EXAMPLES[name].startswith("-- ")
    rows = ran(inside, EXAMPLES[name])
    assert rows.num_columns > 1
    assert rows.num_rows or name == "rejected_records"  # this floor has no rejected records


def test_results_of_the_examples(inside: duckdb.DuckDBPyConnection) -> None:
    """In time: answered after 5, 10, 10, 10 s. Late: answered after 50 s, abandoned after 12 and 45 s, open at 60 s."""
    (month,) = ran(inside, EXAMPLES["month_to_target"]).to_pylist()
    assert (month["in_time"], month["counted"]) == (4, 8)
    assert month["late_calls_to_spare"] == -3  # 4 of 5 would be 80 %
    patience = ran(inside, EXAMPLES["patience"]).to_pylist()
    assert [(row["from_s"], row["hung_up"]) for row in patience] == [(0, 1), (10, 1), (40, 1)]
    hours = ran(inside, EXAMPLES["weekday_and_hour"]).to_pylist()
    assert {(row["weekday"], row["hour"]): row["calls"] for row in hours} == {(1, 9): 9, (1, 11): 1}
    (transfers,) = ran(inside, EXAMPLES["transfers"]).to_pylist()
    assert (transfers["visits"], transfers["queues"]) == (2, "[a, b]")


# what SQL may not do


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
        "COPY calls TO '{published}/copy.csv'",
        "COPY (SELECT 1) TO '{segment}'",
        "EXPLAIN ANALYZE COPY calls TO '{published}/copy.csv'",
        "EXPORT DATABASE '{published}/export'",
        "ATTACH '{published}/new.duckdb'",
        "ATTACH ':memory:' AS m",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '9GB'",
        "SET VARIABLE a = 1",
        "RESET enable_external_access",
        "PRAGMA memory_limit = '9GB'",
        "PRAGMA enable_profiling",
        "CALL enable_logging()",
        "CREATE TEMP TABLE t AS SELECT 1",
        "CREATE SECRET (TYPE s3)",
        "DELETE FROM agents",
        "USE memory",
        "PREPARE p AS SELECT 1",
        "CHECKPOINT",
    ],
)
def test_anything_but_a_single_read_only_statement_is_refused(
    path: Path, inside: duckdb.DuckDBPyConnection, sql: str
) -> None:
    before = sorted(path.parent.rglob("*"))
    segment = path.parent / "calls" / f"day={PAST}" / "0.parquet"
    with pytest.raises(sandbox.Refused, match="not_one_read"):
        ran(inside, sql.format(published=path.parent, segment=segment))
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('{data}/access/accounts.json')",
        "FROM read_text('{published}/../access/accounts.json')",
        "FROM read_blob('/proc/self/environ')",
        "FROM read_csv('{published}/other.csv')",
        "FROM '{published}/other.csv'",
        "FROM glob('{data}/**')",
        "FROM glob('{published}/*')",
        "FROM sniff_csv('/etc/passwd')",
        "FROM parquet_metadata('/etc/passwd')",
        "FROM 'https://127.0.0.1/a.parquet'",
        "FROM 's3://bucket/a.parquet'",
        "FROM query('FROM read_csv(''/etc/passwd'')')",
        "FROM duckdb_extensions()",
    ],
)
def test_no_other_file_is_read(path: Path, inside: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
        ran(inside, sql.format(published=path.parent, data=path.parent.parent))


@pytest.mark.parametrize(
    ("sql", "trouble"),
    [
        pytest.param("COPY calls TO '/tmp/copy.csv'", Trouble("not_one_read"), id="a statement that writes"),
        pytest.param("FROM read_csv('/etc/passwd')", Trouble("said"), id="another file"),
    ],
)
def test_the_query_process_reports_the_refusal(path: Path, sql: str, trouble: Trouble) -> None:
    refusal = refused(path, sql)
    assert refusal.reason == trouble.reason and ("/etc/passwd" in refusal.words) is (trouble.reason == "said")


def test_a_query_is_not_answered_beside_a_foreign_log(path: Path) -> None:
    """DuckDB would read the log as part of the file."""
    log = path.with_name("vigie.duckdb.wal")
    log.touch()
    assert refused(path, "SELECT 1") == Trouble("written")
    log.unlink()
    assert answered(path, "SELECT 1").table.num_rows == 1


@pytest.mark.parametrize("sql", ["SELECT getenv('HOME')", "FROM table_of_python", "FROM connection", "FROM json"])
def test_a_query_cannot_reach_the_python_process(inside: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(duckdb.CatalogException, match="does not exist"):
        ran(inside, sql)


def test_a_select_that_would_log_to_a_file_writes_nothing(path: Path) -> None:
    """DuckDB classes this as a SELECT, and would create files wherever it may read."""
    before = sorted(path.parent.rglob("*"))
    storage = f"storage = 'file', storage_config = {{'path': '{path.parent}/calls'}}"
    ask(path, f"SELECT * FROM enable_logging({storage}), calls")
    assert sorted(path.parent.rglob("*")) == before


def test_settings_show_no_home_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of-somebody")
    settings = str(answered(path, "SELECT name, value FROM duckdb_settings()").table.to_pylist())
    assert "/home/of-somebody" not in settings and str(path.parent) in settings


def test_an_error_has_duckdbs_words(path: Path) -> None:
    trouble = refused(path, "SELECT wait FROM calls")
    assert trouble.reason == "said" and trouble.words.startswith('Binder Error: Referenced column "wait" not found')
    assert "sandbox" not in trouble.words and "Traceback" not in trouble.words


def test_two_columns_of_the_same_name_are_refused(path: Path) -> None:
    assert refused(path, "SELECT 1 AS a, 2 AS A") == Trouble("same_name", "a")


# limits


def test_a_long_answer_is_truncated_and_marked(path: Path) -> None:
    truncated = answered(path, "SELECT range AS n FROM range(10_000_000_000)")  # it would never end
    assert truncated.cut and truncated.table.num_rows == ROWS
    complete = answered(path, f"FROM range({ROWS})")
    assert not complete.cut and complete.table.num_rows == ROWS


def test_a_large_answer_is_truncated_and_marked(path: Path) -> None:
    truncated = answered(path, "SELECT repeat('x', 10_000) AS x FROM range(9_000)")
    assert truncated.cut and truncated.table.num_rows < 9_000 and truncated.table.nbytes <= readers.SIZE


def test_an_answer_of_many_columns_has_fewer_rows(path: Path) -> None:
    columns = ", ".join(f"n + {place} AS c{place}" for place in range(COLUMNS))
    truncated = answered(path, f"SELECT {columns} FROM range({ROWS}) r (n)")
    assert truncated.cut and truncated.table.num_rows == CELLS // COLUMNS
    assert refused(path, f"SELECT {columns}, 1 AS more FROM range(2) r (n)") == Trouble("too_wide")


def test_what_duckdb_logs_is_not_in_the_answer(path: Path) -> None:
    """It logs to standard output, from within a SELECT."""
    sql = "SELECT count(*) AS n FROM enable_logging(level='trace', storage='stdout'), (SELECT count(*) FROM calls)"
    assert answered(path, sql).table.num_rows == 1


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("print('no header')", id="no JSON"),
        pytest.param("print('[1]')", id="not a header"),
        pytest.param("""print('{"as_of": 1, "cut": false, "took_s": 1}'); print('no Arrow')""", id="no Arrow"),
        pytest.param("import sys; sys.stdin.close(); print('x')", id="it does not listen"),
        pytest.param("while True: print('x' * 1_000_000)", id="it does not end"),
    ],
)
def test_a_query_has_an_outcome_whatever_its_process_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    other = tmp_path / "program.py"
    other.write_text(program)
    monkeypatch.setattr(sandbox, "__file__", str(other))
    assert refused(path, "SELECT 1") == Trouble("ended")
    monkeypatch.undo()
    assert isinstance(answered(path, "SELECT 1"), Answer)


def test_a_query_that_runs_too_long_ends(path: Path) -> None:
    assert refused(path, ENDLESS, seconds=1) == Trouble("too_long")


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT list(n) FROM range(200_000_000) r (n)", id="what DuckDB counts"),
        pytest.param("SELECT length(repeat('x', 3_000_000_000))", id="what it does not count"),
    ],
)
def test_a_query_that_needs_too_much_memory_ends(path: Path, sql: str) -> None:
    assert refused(path, sql) == Trouble("too_much")


def test_a_query_is_interrupted(path: Path) -> None:
    query = readers.query(Published(path), ANALYST, ENDLESS, UNHURRIED_S)
    assert query is not None and query.outcome is None
    query.interrupt()
    assert query.wait() == Trouble("interrupted")


def test_one_query_per_person_and_few_at_once(path: Path) -> None:
    def asks(viewer: Viewer, sql: str) -> readers.Query | None:
        return readers.query(Published(path), viewer, sql, UNHURRIED_S)

    people = [Viewer("analyst", None, f"analyst-{n}") for n in range(AT_ONCE + 1)]
    running = [asks(viewer, ENDLESS) for viewer in people[:AT_ONCE]]
    assert all(query is not None and query.outcome is None for query in running)
    another = asks(people[-1], "SELECT 1")
    assert another is not None and another.outcome == Trouble("busy")
    again = asks(people[0], "SELECT 1")  # a person's new query replaces the running one
    assert again is not None and isinstance(again.wait(), Answer)
    assert running[0] is not None and running[0].wait() == Trouble("interrupted")
    after = asks(people[-1], "SELECT 1")
    assert after is not None and isinstance(after.wait(), Answer)
    assert running[1] is not None
    running[1].interrupt()
    assert running[1].wait() == Trouble("interrupted")


# files


def test_the_files_hold_what_is_shown(path: Path) -> None:
    sql = """SELECT '=1+1' AS formula, 1.5::DOUBLE AS n, TRUE AS yes, NULL::VARCHAR AS nil,
        TIMESTAMPTZ '2026-11-23 09:00:00+01' AS at, -3 AS minus"""
    answer = answered(path, sql)
    assert answer.csv().startswith(b"\xef\xbb\xbf")
    head, row = csv.reader(io.StringIO(answer.csv().decode("utf-8-sig")))
    assert head == ["formula", "n", "yes", "nil", "at", "minus"]
    assert row == ["'=1+1", "1.5", "true", "", "2026-11-23T08:00:00+00:00", "-3"]
    assert pq.read_table(io.BytesIO(answer.parquet())).equals(answer.table)


@pytest.mark.parametrize("before", ["", "\n", " ", "\u00a0", "\u200b", "\ufeff", "\u200e", "\x00 \u2060"])
@pytest.mark.parametrize("sign", ["=", "@", "+", "-", "\uff1d"])
def test_no_text_becomes_a_formula(before: str, sign: str) -> None:
    assert spreadsheet.cell(f"{before}{sign}cmd|'/C calc'!A0") == f"'{before}{sign}cmd|'/C calc'!A0"


@pytest.mark.parametrize("text", ["", " ", "\u200b", "+33 6 12", "+33•••••••89", " x=1", "a\n=1", "\u200bname"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert spreadsheet.cell(text) == text


def test_no_name_of_a_column_becomes_a_formula(path: Path) -> None:
    assert answered(path, """SELECT 1 AS "=1+1", 2 AS n""").csv() == b"\xef\xbb\xbf'=1+1,n\r\n1,2\r\n"


INFINITE = "(VALUES (DATE '2026-11-23', 1), ('infinity', 2), ('-infinity', 3), ('290000-01-01', 4)) AS v(day, n)"


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
def test_an_infinite_day_is_text_in_a_file_and_not_drawn(path: Path, kind: str) -> None:
    answer = answered(path, f"SELECT day::{kind} AS day, n FROM {INFINITE}")
    days = [row.split(",")[0] for row in answer.csv().decode("utf-8-sig").split()]
    assert days[1].startswith("2026-11-23") and days[4].startswith("290000-01-01")
    assert (days[2], days[3]) == ("infinity", "'-infinity")  # with the apostrophe of what might be a formula
    drawn = analysis.figure(answer.table, "day", "n", None, "line", i18n.text("en")).data[0]
    assert [n for day, n in zip(drawn.x, drawn.y, strict=True) if day is not None] == [1]


# the page


@pytest.fixture
def here(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The published file, where the pages look for it."""
    monkeypatch.setenv("VIGIE_DATA_DIR", str(path.parent.parent))
    monkeypatch.setenv("VIGIE_ACCESS_DIR", str(tmp_path))
    yield path
    readers.published().close()  # DuckDB refuses to open an open file with other settings


def tabs(test: AppTest) -> list[str]:
    return [tab.label for tab in test.tabs]


def run(test: AppTest, sql: str) -> AppTest:
    """Enter a query, run it and wait for the result. Run it again if a busy machine reached the time limit."""
    test.text_area(key="sql").set_value(sql)

    def is_answered() -> bool:
        next(button for button in test.button if button.label == "Run").click().run()
        query = test.session_state["query"]
        wait_for(lambda: query.outcome is not None, "the answer")
        return query.outcome != Trouble("too_long")

    wait_for(is_answered, "an answer within the time limit of the page", UNHURRIED_S)
    return test.run()


def test_the_page_answers_and_offers_files(here: Path) -> None:
    test = run(
        open_page("analyst.py", ANALYST),
        "SELECT outcome, count(*) AS n FROM calls GROUP BY ALL ORDER BY n DESC, outcome",
    )
    assert not test.exception
    assert next(iter(test.dataframe[0].value["outcome"])) == "answered"
    assert any(
        re.match(r"\*\*4 rows\*\* · 23/11/2026, as of 12:00:00 UTC · \d", element.value) for element in test.markdown
    )
    assert [element.label for element in test.get("download_button")] == [
        *("CSV", "Parquet", "The query", CALENDAR.name)
    ]
    assert "sql" not in test.query_params  # a query may contain personal data
    test.switch_page("campaign.py").run()
    test.switch_page("analyst.py").run()
    assert test.text_area(key="sql").value.startswith("SELECT outcome")


def test_each_answer_is_drawn(here: Path) -> None:
    test = open_page("analyst.py", ANALYST)
    test.session_state["result_tabs"] = "Chart"
    run(test, "SELECT day, count(*) AS n FROM calls GROUP BY day")
    assert not test.exception and len(test.get("plotly_chart")) == 1
    assert [element.value for element in test.selectbox if element.label in ("Horizontal axis", "Vertical axis")] == [
        "day",
        "n",
    ]
    run(test, "SELECT outcome, avg(wait_s) AS wait_s FROM calls GROUP BY outcome")
    assert not test.exception and len(test.get("plotly_chart")) == 1
    assert [element.value for element in test.selectbox if element.label in ("Horizontal axis", "Vertical axis")] == [
        "outcome",
        "wait_s",
    ]
    run(test, "SELECT outcome FROM calls")
    assert not test.exception and not test.get("plotly_chart")


def test_decimals_follow_the_browsers_locale(here: Path) -> None:
    sql = "SELECT 2026 AS year, 1.5::DOUBLE AS wait_s, 2.25::DECIMAL(9, 2) AS amount, 0.0001::DOUBLE AS tiny"
    test = run(open_page("analyst.py", ANALYST), sql)
    columns = json.loads(test.dataframe[0].proto.columns)
    assert {name: column["type_config"]["format"] for name, column in columns.items() if "type_config" in column} == {
        "wait_s": "localized",
        "amount": "localized",
    }


def test_an_example_fills_the_editor(here: Path) -> None:
    test = open_page("analyst.py", ANALYST)
    assert test.text_area(key="sql").value == EXAMPLES["intervals_today"]
    test.selectbox(key="example_choice").select("patience").run()
    assert test.text_area(key="sql").value == EXAMPLES["patience"]


def test_the_page_shows_duckdbs_error(here: Path) -> None:
    test = run(open_page("analyst.py", ANALYST), "SELECT wait FROM calls")
    assert [element.value for element in test.warning] == ["DuckDB could not run it\\:"]
    assert any('column "wait" not found' in element.value for element in test.code)
    test = run(test, "DROP TABLE agents")
    assert test.warning[0].value.startswith("Only a single read\\-only statement is run here")


def test_a_viewer_of_some_campaigns_reads_why_there_is_no_sql(here: Path) -> None:
    everything = open_page("analyst.py", ANALYST)
    assert tabs(everything) == ["SQL", "Connect", "Schema", "Glossary"]
    assert any(f"duckdb -readonly '{here}'" in element.value for element in everything.code)
    assert {element.language for element in everything.code} == {
        "plaintext"
    }  # plain text: the colours of syntax highlighting are too faint
    some = open_page("analyst.py", LIMITED)
    assert tabs(some) == ["Schema", "Glossary"]
    assert "SQL cannot be limited to some campaigns" in some.info[0].value
    assert not some.text_area and not some.code


@pytest.mark.parametrize("role", ["client", "television"])
def test_clients_and_televisions_have_no_such_page(here: Path, role: Role) -> None:
    with pytest.raises(ValueError, match=r"analyst\.py"):  # they have no such page
        open_page("analyst.py", Viewer(role, frozenset({"c"})))


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_example_has_a_title(language: str) -> None:
    assert set(analysis.titles(i18n.text(language))) == set(EXAMPLES)


def test_every_trouble_has_a_text(path: Path) -> None:
    for reason in get_args(Reason):
        assert analysis.trouble(Trouble(reason, "a"), i18n.text("en"))


@pytest.mark.parametrize(
    ("sql", "drawn"),
    [
        pytest.param("SELECT day, campaign, 1 AS n FROM calls", ("day", "n", "campaign", "line"), id="days: a line"),
        pytest.param("SELECT outcome, count(*) AS n FROM calls GROUP BY 1", ("outcome", "n", None, "bar"), id="names"),
        pytest.param("SELECT wait_s, talk_s FROM calls", ("wait_s", "talk_s", None, "points"), id="numbers: points"),
        pytest.param(
            "SELECT day, 1 AS n, NULL::DOUBLE AS unknown FROM calls", ("day", "n", None, "line"), id="no empty column"
        ),
    ],
)
def test_the_columns_determine_the_chart(
    inside: duckdb.DuckDBPyConnection, sql: str, drawn: tuple[str, str, str | None, str]
) -> None:
    rows = ran(inside, sql)
    axes = analysis.axes(rows)
    assert axes is not None and (axes.x, axes.y, axes.by, axes.kind(axes.x)) == drawn
    figure = analysis.figure(rows, axes.x, axes.y, axes.by, drawn[3], i18n.text("en"))
    assert sum(len(series.x) for series in figure.data) == rows.num_rows


def test_a_line_is_drawn_in_order_of_time(inside: duckdb.DuckDBPyConnection) -> None:
    rows = ran(inside, "SELECT DATE '2026-11-01' + n AS day, n FROM (VALUES (2), (0), (1)) AS v(n)")
    drawn = analysis.figure(rows, "day", "n", None, "line", i18n.text("fr"))
    assert list(drawn.data[0].y) == [0, 1, 2] and drawn.layout.separators[0] == ","
    assert list(analysis.figure(rows, "day", "n", None, "bar", i18n.text("fr")).data[0].y) == [2, 0, 1]


def test_a_chart_needs_a_number(inside: duckdb.DuckDBPyConnection) -> None:
    assert analysis.axes(ran(inside, "SELECT campaign, outcome FROM calls")) is None
    assert analysis.axes(ran(inside, "SELECT campaign, 1 AS n FROM calls WHERE FALSE")) is None
