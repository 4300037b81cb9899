"""The SQL objects as analysts find them: comments, other names, Parquet days, the glossary, the shell."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metrics import CALENDAR_FOLDER, install
from metrics.composition.figures import COLUMNS, DAY_COLUMNS
from metrics.composition.grains import GRAINS
from metrics.errors import NothingPublished
from metrics.published import generated, glossary, relations, shell
from metrics.published.objects import ROWS, VIEWS, macros, statements
from tests.support.processes import ROOT
from tests.support.published import at, call, campaign, day, publish, rows, state

PROMISED = """
offered, answered, abandoned, short_abandoned, overflowed, callback, voicemail, refused, dropped, open,
answered_in_threshold, abandoned_in_threshold, handled, transferred, sales, service_level, service_level_worst,
service_level_best, abandon_rate, asa_s, longest_wait_s, aht_s, avg_talk_s, avg_hold_s, avg_wrap_s, occupancy,
utilisation, available_s, busy_s, wrap_up_s, paused_s, dialed, connected, contacts, drops, contact_rate, drop_rate,
conversion, settled
"""


RELATIONS = {  # docs/architecture.md, Published relations; there may be more columns between and after them
    "calls": "call_id, linked_id, campaign, queue, direction, channel, language, priority, agent, caller, queued_at,"
    " answered_at, ended_at, wrapped_at, left_at, outcome, wait_s, talk_s, hold_s, wrap_s, handle_s, missed_offers,"
    " transferred, disposition, sale, amount, currency, score, ended_by, inferred_end, clock_skew, day",
    "agent_states": "agent, state, reason, campaign, started_at, ended_at, seconds",
    "agents": "agent, name, team, site, languages, state, reason, since, campaign, call_id",
    "campaigns": "campaign, client, name, language, timezone",
    "sla_terms": "campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts,"
    " short_abandon_s",
    "ingest_status": "as_of, published_at, last_event_at, events, duplicates, dead_letters, lag, version",
    "dead_letters": "topic, partition, offset, received_at, reason, payload",
    "kpi_daily": f"campaign, day, {PROMISED}",
}
MACROS = {
    "kpi_campaign($t0, $t1)": f"campaign, {PROMISED}",
    "kpi_interval($t0, $t1, 30)": f"campaign, interval_start, {PROMISED}",
    "kpi_formulas($t0, $t1)": "campaign, exclude_short, all_offered, ignore_abandons_in_threshold,"
    " abandon_counts_as_success, answered_only",
    # the same columns where they apply
    "kpi_queue($t0, $t1)": "campaign, queue, offered, answered, abandoned, short_abandoned, overflowed, callback,"
    " voicemail, refused, dropped, open, answered_in_threshold, abandoned_in_threshold, handled, transferred, sales,"
    " service_level, service_level_worst, service_level_best, abandon_rate, asa_s, longest_wait_s, aht_s, avg_talk_s,"
    " avg_hold_s, avg_wrap_s, conversion, settled",
    "kpi_agent($t0, $t1)": "agent, answered, answered_in_threshold, handled, transferred, sales, asa_s, aht_s,"
    " avg_talk_s, avg_hold_s, avg_wrap_s, occupancy, utilisation, available_s, busy_s, wrap_up_s, paused_s, conversion",
    "explain_kpi('c', $t0, $t1, 'asa_s')": "step, name, value, text",
}


def listed(columns: str) -> list[str]:
    return [column.strip() for column in columns.split(",")]


@pytest.mark.parametrize("name", RELATIONS)
def test_a_relation_has_its_documented_columns_with_comments(tmp_path: Path, name: str) -> None:
    with publish(tmp_path / "v.duckdb", [call()], [state("busy", "10:00", "10:30")]) as published:
        found = dict(
            published.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [name]
            ).fetchall()
        )
        types = published.execute(f"DESCRIBE {name}").fetchall()
    promised = listed(RELATIONS[name])
    assert [column for column in found if column in promised] == promised
    assert all(found.values())
    for column, kind, *_ in types:
        assert kind == "TIMESTAMP WITH TIME ZONE" or not column.endswith("_at"), column
        assert kind == "DOUBLE" or not column.endswith("_s"), column


@pytest.mark.parametrize("name", MACROS)
def test_a_macro_has_its_documented_columns(tmp_path: Path, name: str) -> None:
    with publish(tmp_path / "v.duckdb", [call()], [state("busy", "10:00", "10:30")]) as published:
        (first, *_) = rows(published, f"FROM {name}", t0=at("00:00"), t1=at("24 00:00"))
    promised = listed(MACROS[name])
    assert [column for column in first if column in promised] == promised


def test_columns_have_the_documented_order(tmp_path: Path) -> None:
    promised = listed(PROMISED)
    with publish(tmp_path / "v.duckdb", [call()]) as published:
        assert list(day(published))[: len(promised) + 1] == ["campaign", *promised]
        (first,) = rows(published, "FROM kpi_daily LIMIT 1")
        assert list(first) == ["campaign", "day", *DAY_COLUMNS]


def test_every_object_and_column_has_a_comment(tmp_path: Path) -> None:
    with publish(tmp_path / "v.duckdb") as published:
        bare = [
            *rows(
                published, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
            ),
            *rows(published, "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND comment IS NULL"),
            *rows(published, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"),
            *rows(published, "SELECT function_name FROM duckdb_functions() WHERE NOT internal AND comment IS NULL"),
        ]
        assert bare == []
        comments = dict(
            published.execute("SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal").fetchall()
        )
    assert comments.keys() == ROWS.keys() - VIEWS.keys()
    for column in COLUMNS:
        assert f"\n{column}: " in comments["kpi_campaign"]


def test_alone_or_attached_under_another_name(tmp_path: Path) -> None:
    """Views work under any name, macros once the file is on the search path, as the README says."""
    publish(tmp_path / "v.duckdb", [call()]).close()
    with duckdb.connect() as analyst:
        analyst.execute(f"ATTACH '{tmp_path / 'v.duckdb'}' AS other (READ_ONLY); SET TimeZone = 'UTC'")
        ask = "SELECT offered FROM {}kpi_campaign('2026-11-23', '2026-11-24')"
        assert analyst.execute("SELECT offered FROM other.kpi_daily").fetchall() == [(1,)]
        with pytest.raises(duckdb.CatalogException):
            analyst.execute(ask.format("other."))
        analyst.execute("SET search_path = 'memory,other'")
        assert analyst.execute(ask.format("")).fetchall() == [(1,)]
        analyst.execute("USE other")
        assert analyst.execute(ask.format("")).fetchall() == [(1,)]


def test_past_days_in_parquet_are_read_only_when_needed(tmp_path: Path) -> None:
    past = [call(queued=f"2026-11-{d:02} 10:00") for d in range(1, 23)]
    states = [state("busy", f"2026-11-{d:02} 10:00", f"2026-11-{d:02} 11:00") for d in range(1, 23)]
    with publish(tmp_path / "past.duckdb", past, states) as complete:
        for name in ("calls", "agent_states"):
            complete.execute(f"COPY {name} TO '{tmp_path / name}' (FORMAT parquet, PARTITION_BY (day))")
    files = {
        name: f"FROM read_parquet('{tmp_path / name}/*/*.parquet', hive_partitioning = true)"
        for name in ("calls", "agent_states")
    }
    of_past: dict[str, Any] = {"past": files, "first_day": dt.date(2026, 11, 1)}
    with publish(tmp_path / "v.duckdb", [call()], [state("busy", "10:00", "10:30")], **of_past) as published:
        bare = "SELECT column_name FROM duckdb_columns() WHERE table_name = 'calls' AND comment IS NULL"
        assert published.execute(bare).fetchall() == []
        assert [r["offered"] for r in rows(published, "FROM kpi_daily ORDER BY day")] == [1] * 23
        row = day(published, "2026-11-10 00:00", "2026-11-11 00:00")
        assert (row["offered"], row["busy_s"]) == (1, 3600)
        for name in ("calls", "agent_states"):  # opening another day's file fails
            (tmp_path / name / "day=2026-11-17" / "data_0.parquet").write_text("not Parquet")
        with pytest.raises(duckdb.Error):
            rows(published, "FROM kpi_daily")
        assert day(published, "2026-11-10 00:00", "2026-11-11 00:00") == row
        window = {"t0": at("2026-11-10 00:00"), "t1": at("2026-11-11 00:00")}
        for ask in (
            "FROM kpi_queue($t0, $t1)",
            "FROM kpi_agent($t0, $t1)",
            "FROM kpi_interval($t0, $t1, 60)",
            "FROM kpi_formulas($t0, $t1)",
            "FROM explain_kpi('c', $t0, $t1, 'asa_s')",
        ):
            assert rows(published, ask, **window)
        for ask in ("agent_strain(greatest($t0, $t1))", "agent_pauses($t0, $t1)", "agent_missed($t0, $t1)"):
            assert rows(published, f"SELECT count(*) AS n FROM {ask}", **window) == [{"n": 0}]
        assert rows(published, "FROM kpi_days(DATE '2026-11-10', DATE '2026-11-12')")


def test_install_keeps_existing_relations(tmp_path: Path) -> None:
    with duckdb.connect() as writer:
        writer.execute(f"ATTACH '{tmp_path / 'v.duckdb'}' AS snapshot")
        writer.execute("CREATE TABLE snapshot.ingest_status (as_of TIMESTAMPTZ, lateness_s DOUBLE, own INTEGER)")
        install(writer, "snapshot")
        assert writer.execute("SELECT current_database()").fetchall() == [("memory",)]
        found = writer.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'ingest_status'"
        ).fetchall()
    assert dict(found) == {
        "as_of": relations.COLUMNS["ingest_status"]["as_of"][1],
        "lateness_s": relations.COLUMNS["ingest_status"]["lateness_s"][1],
        "own": None,
    }


@pytest.mark.parametrize("name", [name for name, grain in GRAINS.items() if grain.parameters])
def test_strings_dates_and_instants_are_windows(tmp_path: Path, name: str) -> None:
    grain = GRAINS[name]
    last = {"kpi_interval": ", 30", "kpi_total": ", NULL"}.get(name, "")
    with publish(tmp_path / "v.duckdb", [call()]) as published:
        ask = f"FROM {name}({{}}, {{}}{last})"
        by_text = published.execute(ask.format("'2026-11-23'", "'2026-11-24'")).fetchall()
        by_date = published.execute(ask.format("DATE '2026-11-23'", "DATE '2026-11-24'")).fetchall()
        given = (dt.date(2026, 11, 23), dt.date(2026, 11, 24)) if name == "kpi_days" else (at("00:00"), at("24 00:00"))
        by_parameter = published.execute(ask.format("?", "?"), given).fetchall()
    assert by_text == by_date == by_parameter
    assert by_text and grain.columns


def test_the_glossarys_advice_on_another_database_works(tmp_path: Path) -> None:
    query = glossary.ATTACHED.split("```sql\n")[1].split("```")[0]
    published = "data/published/vigie.duckdb"
    assert published in query
    publish(tmp_path / "v.duckdb", [call()]).close()
    with duckdb.connect() as analyst:
        found = rows(analyst, query.replace(published, str(tmp_path / "v.duckdb")))
    assert [row["offered"] for row in found] == [1]


def test_a_local_hour_is_found_as_the_glossary_says(tmp_path: Path) -> None:
    """In Casablanca, before and after it left UTC+1."""
    query = glossary.LOCAL.split("```sql\n")[1].split("```")[0]
    here = campaign("c", "Africa/Casablanca")
    noons = ["2026-09-18 11:00", "2026-11-23 12:00"]
    with publish(tmp_path / "v.duckdb", [call(of=here, queued=noon) for noon in noons], campaigns=[here]) as published:
        found = rows(published, query)
    assert [row["since_local_midnight"] for row in found] == [dt.timedelta(hours=12)] * 2


def test_the_glossary_is_fresh() -> None:
    assert glossary.README.read_text(encoding="utf-8") == glossary.text(), "run `python -m metrics.published.glossary`"


def test_the_generated_sql_is_fresh_and_runs() -> None:
    script = generated.FILE.read_text(encoding="utf-8")
    assert script == generated.text(), "run `make generated`"
    assert max(map(len, script.splitlines())) <= generated.WIDTH
    definitions = []
    for own_script in (script, ";".join(statements())):
        with duckdb.connect() as own:
            for name in relations.COLUMNS:
                own.execute(relations.create(name))
            own.execute(own_script)
            definitions.append(
                own.execute(
                    "SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal ORDER BY ALL"
                ).fetchall()
            )
    assert {name for name, _ in definitions[0]} == macros().keys()
    assert definitions[0] == definitions[1], "a line is broken where it changes the SQL"


@pytest.mark.slow
def test_the_shell_shows_the_last_published_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "v.duckdb"
    publish(path, [call()]).close()
    shell.run(path, "SELECT offered FROM kpi_campaign('2026-11-23', '2026-11-24');")
    assert "offered" in capsys.readouterr().out
    shell.run(path, "SELECT 41 AS first; SELECT 42 AS second;\n")
    both = capsys.readouterr().out
    assert both.index("41") < both.index("42")
    shell.run(path, "DROP TABLE calls")
    assert "read-only" in capsys.readouterr().out


@pytest.mark.slow
def test_the_shell_has_the_zone_rules_of_the_pages(tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    publish(tmp_path / "published" / "vigie.duckdb", [call()]).close()
    without = {name: value for name, value in os.environ.items() if name != CALENDAR_FOLDER}
    done = subprocess.run(
        [sys.executable, "-m", "metrics.published.shell", "--data-dir", str(tmp_path)],
        input="SELECT TIMESTAMPTZ '2026-12-01 12:00:00Z' AT TIME ZONE 'Africa/Casablanca' AS noon;",
        capture_output=True, encoding="utf-8", cwd=ROOT, env=without, check=True,
    )  # fmt: skip
    assert "2026-12-01 12:00:00" in done.stdout


def test_the_shell_without_a_published_file_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="make demo"):
        shell.main(["--data-dir", str(tmp_path)])
