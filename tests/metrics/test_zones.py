"""One set of zone rules for Python and DuckDB: a program that would start with another one is refused."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
import tzdata

from ingest.topic.broker import Broker
from metrics import CALENDAR, CALENDAR_FOLDER
from metrics.configuration import campaigns, zones
from metrics.errors import ConfigurationError
from tests.support.processes import (
    ROOT,
    WITHIN_S,
    command,
    environment,
    free_port,
    one_sentence,
    options,
    status,
    wait_for,
)

CONFIGURED = sorted(
    {zone for file in ("campaigns.toml", "samples/bank.toml") for zone in campaigns.load(ROOT / file).zones}
)
CASABLANCA = """\
[clients]
orea = { name = "Mutuelle Oréa" }

[campaigns.orea-ventes]
name = "Oréa Ventes"
client = "orea"
timezone = "Africa/Casablanca"
"""
ASK = """
import duckdb
noon = "TIMESTAMPTZ '2026-12-01 12:00:00Z'"
((hours,),) = duckdb.execute(f"SELECT hour(timezone('Africa/Casablanca', {noon})) - 12").fetchall()
print(hours)
"""


@pytest.fixture
def casablanca(tmp_path: Path) -> Path:
    """A configuration with a campaign in Morocco."""
    path = tmp_path / "campaigns.toml"
    path.write_text(CASABLANCA)
    return path


@pytest.fixture
def no_calendar(tmp_path: Path) -> str:
    """A folder without zone rules, in which DuckDB finds nothing newer than its built-in ones."""
    path = tmp_path / "nothing"
    path.mkdir()
    return str(path)


@pytest.fixture
def old_zone_files(tmp_path: Path) -> Path:
    """The zone files from before 2026-09-20: Casablanca at UTC+1 for ever, the others unchanged."""
    path = tmp_path / "zones"
    shutil.copytree(Path(tzdata.__file__).parent / "zoneinfo", path)
    shutil.copyfile(path / "Africa" / "Lagos", path / "Africa" / "Casablanca")
    return path


@pytest.fixture
def old_tzdata(tmp_path: Path, old_zone_files: Path) -> str:
    """A folder with the package tzdata from before 2026-09-20."""
    package = tmp_path / "packages" / "tzdata"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    old_zone_files.rename(package / "zoneinfo")
    return str(package.parent)


def start(program: str, configuration: Path, **variables: str) -> str:
    """Return the error message of a `program` that refuses to start."""
    place = configuration.parent / "data"
    started = {
        "consumer": command("run", "--bootstrap-servers", f"127.0.0.1:{free_port()}"),
        "dashboard": [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(free_port())],
    }[program]
    given = environment(VIGIE_CAMPAIGNS=str(configuration), VIGIE_DATA_DIR=str(place), **variables)
    done = subprocess.run(
        started, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=WITHIN_S, cwd=ROOT, env=given,
        check=False,
    )  # fmt: skip
    assert not place.exists()
    return one_sentence(done)


PROGRAMS = pytest.mark.parametrize("program", ["consumer", "dashboard"])


@pytest.mark.slow
@PROGRAMS
def test_no_program_starts_with_the_calendar_built_into_duckdb(
    program: str, casablanca: Path, no_calendar: str
) -> None:
    message = start(program, casablanca, **{CALENDAR_FOLDER: no_calendar})
    assert message == (
        "vigie: DuckDB's calendar puts Africa/Casablanca at +1 h from UTC on 2026-09-20, the pinned tzdata at +0 h: "
        f"start without ICU_TIMEZONE_FILES_DIR, which is {no_calendar!r}, or put a newer zoneinfo64.res there."
    )


@pytest.mark.slow
def test_a_calendar_that_cannot_be_read_is_refused(casablanca: Path, no_calendar: str) -> None:
    """DuckDB takes seconds to report it, with its stack, so this is tried once."""
    (Path(no_calendar) / CALENDAR.name).write_bytes(b"no zones")
    message = start("consumer", casablanca, **{CALENDAR_FOLDER: no_calendar})
    assert message.startswith("vigie: DuckDB's calendar cannot be asked for Africa/Casablanca (")
    assert "start without ICU_TIMEZONE_FILES_DIR" in message


@pytest.mark.slow
@PROGRAMS
def test_no_program_starts_with_an_old_tzdata_package(program: str, casablanca: Path, old_tzdata: str) -> None:
    message = start(program, casablanca, PYTHONPATH=old_tzdata)
    assert message.startswith("vigie: DuckDB's calendar puts Africa/Casablanca at +0 h from UTC on 2019-")
    assert message.endswith(
        f"install the tzdata of requirements.txt, or renew {CALENDAR} as the README.md beside it says."
    )


@pytest.mark.slow
def test_the_consumer_does_not_start_with_old_zone_files_of_the_machine(casablanca: Path, old_zone_files: Path) -> None:
    """The dashboard may be started by `streamlit run`, so dashboard.py itself leaves these files out."""
    message = start("consumer", casablanca, PYTHONTZPATH=str(old_zone_files))
    assert message.startswith("vigie: This machine's zone files put Africa/Casablanca at +1 h from UTC on 2019-")
    assert message.endswith('start Python with PYTHONTZPATH="".')


def test_a_running_consumer_rejects_a_zone_that_differs_in_duckdb(
    broker: Broker, topic: str, casablanca: Path, no_calendar: str
) -> None:
    casablanca.write_text(CASABLANCA.replace("Africa/Casablanca", "Europe/Madrid"))
    place = casablanca.parent / "data"
    with subprocess.Popen(
        command("run", *options(place, broker.bootstrap_servers, topic, casablanca)),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(**{CALENDAR_FOLDER: no_calendar}),
    ) as process:
        try:
            wait_for(lambda: status(place), "a published file")
            assert status(place)["notice"] is None
            casablanca.write_text(CASABLANCA)
            notice = wait_for(lambda: status(place)["notice"], "the notice of the zone")
            assert notice.startswith("DuckDB's calendar puts Africa/Casablanca at +1 h from UTC on 2026-09-20")
            casablanca.write_text(CASABLANCA.replace("Africa/Casablanca", "Europe/Paris"))
            wait_for(lambda: not status(place)["notice"], "the notice is gone")
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("package", ["ingest", "metrics", "bench", "tests"])
def test_importing_vigie_sets_its_calendar_in_duckdb(package: str) -> None:
    without = {name: value for name, value in os.environ.items() if name != CALENDAR_FOLDER}
    for before, hours in ((f"import {package}", 0), ("", 1)):
        program = [sys.executable, "-W", "error", "-c", before + ASK]
        done = subprocess.run(program, capture_output=True, encoding="utf-8", cwd=ROOT, env=without, check=False)
        assert (done.stdout, done.stderr) == (f"{hours}\n", "")


@pytest.mark.parametrize("zone", CONFIGURED)
def test_duckdb_and_python_agree_in_every_hour_of_every_configured_zone(zone: str) -> None:
    first, end = (int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp()) for year in (2020, 2038))
    query = f"SELECT epoch(timezone('{zone}', to_timestamp(s)))::BIGINT - s FROM range({first}, {end}, 3600) r(s)"
    with duckdb.connect() as connection:
        theirs = [offset_s for (offset_s,) in connection.execute(query).fetchall()]
    clock = ZoneInfo(zone)
    ours = [
        round(at.total_seconds())
        for s in range(first, end, 3600)
        if (at := dt.datetime.fromtimestamp(s, clock).utcoffset()) is not None
    ]
    assert theirs == ours


def test_the_configured_zones_are_of_the_three_countries_and_morocco() -> None:
    assert {*CONFIGURED} >= {"Europe/Paris", "Europe/Madrid", "Europe/London"}
    zones.check_zones({*CONFIGURED, "Africa/Casablanca"})


DAYS = {  # UTC times of its midnights before, at and after leaving UTC+1 on 2026-09-20 at 02:00 (01:00 UTC)
    "2026-09-19": ("2026-09-18T23:00:00", 24),
    "2026-09-20": ("2026-09-19T23:00:00", 25),
    "2026-09-21": ("2026-09-21T00:00:00", 24),
}


@pytest.mark.parametrize("day", DAYS)
def test_days_of_casablanca(day: str) -> None:
    date = dt.date.fromisoformat(day)
    ((_, start, end),) = zones.local_days("Africa/Casablanca", date, date)
    began, hours = DAYS[day]
    assert (start.replace(tzinfo=None).isoformat(), end - start) == (began, dt.timedelta(hours=hours))


def test_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no zone 'Mars/Base'"):
        zones.check_zones(["Mars/Base"])
