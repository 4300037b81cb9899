"""The campaigns' figures on /metrics, and the example rules and dashboard that read them."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import encoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanaDashboard
from prometheus_client.parser import text_string_to_metric_families

from metrics import clock, readers
from metrics.authorisation.viewer import Viewer
from metrics.kpis.alert_figures import SEVERITIES
from pages.accounts import passwords
from pages.accounts.access import access
from pages.accounts.store import Account
from tests.support.dashboard.browsing import Dashboard, dashboard
from tests.support.dashboard.served import floor
from tests.support.floor_file import FLOOR, alert
from tests.support.processes import ROOT, WITHIN_S, not_here

pytestmark = pytest.mark.slow

RULES, GRAFANA = ROOT / "deploy" / "prometheus", ROOT / "deploy" / "grafana" / "vigie.json"
TOKEN = "the-token-of-a-television-in-the-hall"


@contextmanager
def served(
    place: Path, campaigns: tuple[str, ...] = (), *, later_s: float = 120, alerts: Sequence[dict[str, Any]] = ()
) -> Iterator[Dashboard]:
    """Serve a floor to a television, of these campaigns or of all. Its data is fresh while the test runs."""
    floor(place / "published" / "vigie.duckdb", later_s=later_s, alerts=alerts)
    screen = Account("hall", "television", passwords.token_proof(TOKEN), (), campaigns)
    access().accounts.change(lambda accounts: accounts.update({screen.name: screen}))
    with dashboard(place) as running:
        yield running


def scrape(running: Dashboard, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{running.address}/metrics", headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    """Return the samples about campaigns: (name, label values in the order of their names) → value."""
    return {
        (
            sample.name.removeprefix("vigie_campaign_"),
            *(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("vigie_campaign_")
    }


def test_a_televisions_token_reads_the_figures_that_its_wall_shows(path: Path, tmp_path: Path) -> None:
    with served(tmp_path) as running:
        status, text = scrape(running, TOKEN)
    assert status == 200
    measured = values(text)
    board = readers.board(readers.published(), Viewer("television", None))
    assert board is not None and {live.campaign.campaign for live in board.campaigns} == {"north", "sud", "este"}
    for live in board.campaigns:
        of = (live.campaign.campaign, live.campaign.client)
        expected: dict[tuple[str, ...], Any] = {
            ("waiting_calls", *of): live.now.waiting,
            ("longest_wait_seconds", *of): live.now.longest_wait_s,
            ("service_level_ratio", *of, "now"): live.now.service_level,
            ("service_level_ratio", *of, "today"): live.today and live.today.service_level,
            ("target_ratio", *of, "now"): live.now.target,
            ("offered_calls", *of, "today"): live.today and live.today.offered,
            ("has_verdict", *of): not live.now.too_few_calls,
            ("open", *of): live.now.is_open,
            ("agents", *of, "busy"): live.agents.busy if live.agents and live.agents.logged_in else None,
        }
        for name, value in expected.items():
            assert measured.get(name) == value, name
    clients = {live.campaign.campaign: live.campaign.client for live in board.campaigns}
    assert measured["waiting_calls", "north", clients["north"]] == 1
    assert measured["agents", "north", clients["north"], "available"] == 30
    assert ("longest_wait_seconds", "sud", clients["sud"]) not in measured  # nobody waits: no sample, and not 0


def test_a_token_reads_no_other_campaigns_and_nobody_else_reads_any(path: Path, tmp_path: Path) -> None:
    with served(tmp_path, ("sud",)) as running:
        assert {name[1] for name in values(scrape(running, TOKEN)[1])} == {"sud"}
        status, text = scrape(running)
        assert status == 200 and "vigie_published 1.0" in text and "vigie_campaign" not in text
        for wrong in ("", "another", TOKEN[:-1], f"{TOKEN} x"):
            status, text = scrape(running, wrong)
            assert status == 401 and "vigie_" not in text
        access().accounts.change(lambda accounts: accounts.pop("hall"))
        assert scrape(running, TOKEN)[0] == 401


def test_old_data_has_no_figures(path: Path, tmp_path: Path) -> None:
    with served(tmp_path, later_s=-600) as running:
        status, text = scrape(running, TOKEN)
    assert status == 200 and "vigie_as_of_timestamp_seconds" in text and not values(text)


def firing(text: str) -> dict[tuple[str, ...], float]:
    """Return how many alerts fire, by campaign, client and severity."""
    return {
        tuple(sample.labels[label] for label in ("campaign", "client", "severity")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vigie_alerts_firing"
    }


NONE = {(of, FLOOR[of][0], severity): 0 for of in FLOOR for severity in SEVERITIES} | {
    ("", "", severity): 0 for severity in SEVERITIES
}
NORTH_FIRES = {("north", FLOOR["north"][0], "critical"): 2, ("north", FLOOR["north"][0], "warning"): 1}
FEED_FIRES = {("", "", "warning"): 1}


@pytest.mark.parametrize(
    ("campaigns", "later_s", "expected"),
    [
        pytest.param((), 120, NONE | NORTH_FIRES | FEED_FIRES, id="all campaigns"),
        pytest.param(("sud",), 120, {of: 0 for of in NONE if of[0] == "sud"}, id="another campaign"),
        pytest.param((), -600, {of: 0 for of in NONE if not of[0]} | FEED_FIRES, id="old data"),
    ],
)
def test_alerts_that_fire_are_counted_by_campaign_and_severity(
    path: Path, tmp_path: Path, campaigns: tuple[str, ...], later_s: float, expected: dict[tuple[str, ...], float]
) -> None:
    at = clock.now()
    rows = [
        *(alert("waiting", at, campaign="north", severity="critical", rule=f"rule-{n}") for n in range(2)),
        alert("offered", at, campaign="north"),
        alert("offered", at, campaign="sud", ended_at=at, end_reason="recovered"),
        alert("feed_age_s", at),
    ]
    with served(tmp_path, campaigns, later_s=later_s, alerts=rows) as running:
        assert firing(scrape(running, TOKEN)[1]) == expected
        assert firing(scrape(running)[1]) == {}


def promtool(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    program = shutil.which("promtool")
    if program is None:
        not_here("Prometheus's rules cannot be checked here: `apt-get install prometheus`", "VIGIE_REQUIRE_PROMTOOL")
    return subprocess.run(
        [program, *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        cwd=RULES,
        timeout=WITHIN_S,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    ["check rules vigie.rules.yml", "test rules vigie.rules.test.yml", "check config --syntax-only prometheus.yml"],
)
def test_promtool_accepts_the_examples(arguments: str) -> None:
    done = promtool(*arguments.split())
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_test() -> None:
    rules = set(re.findall(r"- alert: (\w+)", (RULES / "vigie.rules.yml").read_text()))
    fires = re.findall(r"alertname: (\w+)\n\s+exp_alerts:", (RULES / "vigie.rules.test.yml").read_text())
    assert rules == set(fires)


def test_promtool_accepts_the_metrics_and_the_examples_name_no_other(path: Path, tmp_path: Path) -> None:
    with served(tmp_path) as running:
        text = scrape(running, TOKEN)[1]
    done = promtool("check", "metrics", given=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    exposed = set(re.findall(r"^(vigie_\w+)", text, re.M))
    for file in (RULES / "vigie.rules.yml", RULES / "vigie.rules.test.yml", GRAFANA):
        named = set(re.findall(r"vigie_[a-z_]+[a-z]", file.read_text()))
        assert named and named <= exposed, (file.name, named - exposed)


def test_the_dashboard_is_one_that_grafana_knows() -> None:
    """Read it into Grafana's own models and write it again: a field that Grafana does not know would be lost."""
    register_default_plugins()
    file = json.loads(GRAFANA.read_text())
    read_back = json.loads(encoder.JSONEncoder(sort_keys=True).encode(GrafanaDashboard.from_json(file)))
    assert lost(file, read_back) == []
    assert lost({"panels": [{"titel": "x"}]}, {"panels": [{"title": "x"}]}) == [".panels[0].titel"]
    places = [panel["gridPos"] for panel in file["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) == 23  # no panel over another
    assert all(panel["description"] for panel in file["panels"])


def lost(before: Any, after: Any, at: str = "") -> list[str]:
    """Return the places in `before` whose value is missing or different in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [place for key in before for place in (lost(before[key], after.get(key), f"{at}.{key}"))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [place for n, (a, b) in enumerate(zip(before, after, strict=True)) for place in lost(a, b, f"{at}[{n}]")]
    return [] if before == after else [at]
