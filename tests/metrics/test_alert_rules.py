"""Alert rules in campaigns.toml: what is read, what is refused, and with which line."""

from pathlib import Path

import pytest

from metrics.configuration import campaigns
from metrics.configuration.alerts import AlertRule
from metrics.configuration.campaigns import Configuration
from metrics.errors import ConfigurationError
from metrics.kpis.alert_figures import FIGURES, SILENT_S, STALE_S
from tests.support.processes import ROOT

FLOOR = """\
[clients]
orea = { name = "Oréa" }
vianova = { name = "Vianova" }
idle = { name = "Idle" }
[campaigns.sinistres]
client = "orea"
[campaigns.ventes]
client = "orea"
[campaigns.mobile]
client = "vianova"
[notify.floor]
to = ["mailto://floor@vigie.example"]
[notify.office]
"""
FIRST = FLOOR.count("\n") + 1
"""The line of [[alerts]]."""


def load(tmp_path: Path, rules: str) -> Configuration:
    path = tmp_path / "campaigns.toml"
    path.write_text(FLOOR + rules, encoding="utf-8")
    return campaigns.load(path)


def rule(tmp_path: Path, keys: str) -> AlertRule:
    (read,) = load(tmp_path, f'[[alerts]]\nname = "r"\n{keys}').alerts
    return read


def test_a_rule_is_read_with_every_key(tmp_path: Path) -> None:
    keys = """
        figure = "service_level"
        below = 0.7
        end_threshold = 0.75
        for_s = 120
        min_calls = 20
        clients = ["orea"]
        campaigns = ["mobile"]
        severity = "critical"
        notify = ["floor"]
        escalate = ["office"]
        escalate_after_s = 900
        repeat_after_s = 1800
        quiet_when_closed = false
    """
    assert rule(tmp_path, keys) == AlertRule(
        *("r", "service_level", "below", 0.7, 0.75),
        for_s=120,
        min_calls=20,
        campaigns=frozenset({"sinistres", "ventes", "mobile"}),
        severity="critical",
        notify=("floor",),
        escalate=("office",),
        escalate_after_s=900,
        repeat_after_s=1800,
        quiet_when_closed=False,
    )


def test_a_rule_about_agents_names_sites(tmp_path: Path) -> None:
    keys = 'figure = "agents_available"\nbelow = 2\nsites = ["fes", "rabat"]'
    expected = AlertRule("r", "agents_available", "below", 2, 2, sites=frozenset({"fes", "rabat"}))
    assert rule(tmp_path, keys) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(
            'figure = "longest_wait_s"\nabove = 120',
            AlertRule("r", "longest_wait_s", "above", 120, 120, for_s=60, quiet_when_closed=True),
            id="the defaults: it ends at its threshold",
        ),
        pytest.param(
            'figure = "abandon_rate"\nabove = 0.1',
            AlertRule("r", "abandon_rate", "above", 0.1, 0.1, min_calls=10),
            id="a figure of calls needs ten of them",
        ),
        pytest.param(
            'figure = "offered"\nabove_usual = 0.5\nend_threshold = 0.2',
            AlertRule("r", "offered", "above", 0.5, 0.2, by_usual=True),
            id="above what is usual",
        ),
        pytest.param(
            'figure = "offered"\nabove_usual = 2.0',
            AlertRule("r", "offered", "above", 2.0, 2.0, by_usual=True),
            id="three times what is usual",
        ),
        pytest.param(
            'figure = "source_silent_s"\nabove = 300\nsources = ["pbx"]',
            AlertRule(
                *("r", "source_silent_s", "above", 300, 300), sources=frozenset({"pbx"}), quiet_when_closed=False
            ),
            id="some sources",
        ),
        pytest.param(
            'figure = "waiting"\nabove = 5\nescalate = ["office"]',
            AlertRule("r", "waiting", "above", 5, 5, escalate=("office",), escalate_after_s=600),
            id="escalated after ten minutes",
        ),
    ],
)
def test_what_a_rule_leaves_out(tmp_path: Path, keys: str, expected: AlertRule) -> None:
    assert rule(tmp_path, keys) == expected


@pytest.mark.parametrize(
    ("keys", "line", "words"),
    [
        pytest.param('figure = "mood"\nabove = 1', 1, "allowed is one of service_level,", id="an unknown figure"),
        pytest.param("above = 1", -1, "`figure` is missing", id="no figure"),
        pytest.param(
            'figure = "waiting"', -1, "0 thresholds are given, allowed is one of below, above", id="no threshold"
        ),
        pytest.param('figure = "waiting"\nbelow = 1\nabove = 2', 3, "2 thresholds are given", id="two thresholds"),
        pytest.param('figure = "waiting"\nabove_usual = 1', 2, "not known for `waiting`", id="nothing is usual"),
        pytest.param('figure = "waiting"\nabove = 5\nends_at = 2', 3, "unknown key `ends_at`", id="an unknown key"),
        pytest.param('figure = "service_level"\nbelow = 80', 2, "a number from 0 to 1", id="a ratio is no percentage"),
        pytest.param('figure = "service_level"\nbelow = 0', 2, "never below that", id="it can never fire below"),
        pytest.param('figure = "occupancy"\nabove = 1', 2, "never above that", id="it can never fire above"),
        pytest.param(
            'figure = "service_level"\nbelow = 0.7\nend_threshold = 0.6',
            3,
            "allowed is at least `below` (0.7)",
            id="ends lower",
        ),
        pytest.param(
            'figure = "service_level"\nbelow = 0.7\nend_threshold = 1.2',
            3,
            "a number from 0 to 1",
            id="it can never end",
        ),
        pytest.param(
            'figure = "waiting"\nabove = 5\nend_threshold = 6', 3, "allowed is at most `above` (5)", id="ends higher"
        ),
        pytest.param('figure = "waiting"\nabove = 5\nend_threshold = -1', 3, "a number from 0", id="never ends above"),
        pytest.param(
            'figure = "offered"\nbelow_usual = 0.3\nend_threshold = 0.4',
            3,
            "at most `below_usual` (0.3)",
            id="ends lower than usual",
        ),
        pytest.param('figure = "offered"\nbelow_usual = 1', 2, "never below that", id="below nothing"),
        pytest.param(
            'figure = "waiting"\nabove = 1\ncampaigns = ["x"]', 3, "sinistres, ventes, mobile", id="a campaign"
        ),
        pytest.param('figure = "agents_available"\nbelow = 1\nsites = "fes"', 3, "a list of", id="sites"),
        pytest.param('figure = "waiting"\nabove = 1\nclients = ["x"]', 3, "orea, vianova, idle", id="a client"),
        pytest.param('figure = "waiting"\nabove = 1\nseverity = "bad"', 3, "info, warning, critical", id="a severity"),
        pytest.param('figure = "waiting"\nabove = 1\nnotify = ["me"]', 3, "floor, office", id="a group"),
        pytest.param('figure = "waiting"\nabove = 1\nescalate = ["me"]', 3, "floor, office", id="another group"),
        pytest.param(
            'figure = "waiting"\nabove = 1\nmin_calls = 3',
            3,
            "or one on service_level, service_level_to_target,",
            id="calls of a queue",
        ),
        pytest.param(
            'figure = "lag"\nabove = 1\ncampaigns = ["ventes"]', 3, "about no campaign", id="a campaign's feed"
        ),
        pytest.param('figure = "lag"\nabove = 1\nquiet_when_closed = true', 3, "about no campaign", id="a closed feed"),
        pytest.param('figure = "waiting"\nabove = 1\nsites = ["fes"]', 3, "does not count agents", id="a queue's site"),
        pytest.param('figure = "waiting"\nabove = 1\nsources = ["pbx"]', 3, "about no source", id="a source's queue"),
        pytest.param(
            'figure = "waiting"\nabove = 1\nescalate_after_s = 60', 3, "no `escalate`", id="nobody to escalate to"
        ),
        pytest.param(
            'figure = "service_level_to_target"\nbelow = -0.1\nend_threshold = 0.9',
            3,
            "`end_threshold` is 0.9, and by its targets campaign sinistres never comes back to that; "
            "allowed is at most 0.2",
            id="a level that is too high for its target",
        ),
        pytest.param(
            'figure = "month_to_target"\nbelow = 0.3', 2, "allowed is at most 0.2", id="it is always below this"
        ),
        pytest.param(
            'figure = "month_best_to_target"\nabove = 0.2',
            2,
            "`month_best_to_target` is never above that; allowed is less than 0.2",
            id="it is never so far above its target",
        ),
        pytest.param(
            'figure = "service_level_to_target"\nbelow = -0.8',
            2,
            "`service_level_to_target` is never below that; allowed is more than -0.8",
            id="it is never so far below its target",
        ),
        pytest.param(
            'figure = "service_level_to_target"\nabove = 0.1\nend_threshold = -0.9',
            3,
            "allowed is at least -0.8",
            id="a level that is too low for its target",
        ),
        pytest.param('figure = "source_silent_s"\nabove = 1e9', 2, "a number from 0 to 604800", id="after a week"),
        pytest.param('figure = "source_silent_s"\nabove = 604800', 2, "never above that", id="for a week"),
        pytest.param(
            'figure = "source_silent_s"\nabove = 604000\nfor_s = 900',
            3,
            "after a week without an event; allowed is less than 800",
            id="it is pending until the week is over",
        ),
        pytest.param(
            'figure = "longest_wait_s"\nabove = 14400',
            2,
            "`above` is 14400, but a call that waits is given up after 14400 s",
            id="no call waits so long",
        ),
        pytest.param(
            'figure = "longest_wait_s"\nabove = 14000\nfor_s = 600',
            3,
            "less than 400",
            id="given up while pending",
        ),
        pytest.param(
            'figure = "waiting"\nabove = 1\ncampaigns = []', 3, "`campaigns` is empty", id="no campaign of all"
        ),
        pytest.param('figure = "waiting"\nabove = 1\nclients = []', 3, "`clients` is empty", id="no client of all"),
        pytest.param(
            'figure = "waiting"\nabove = 1\nclients = ["idle"]', 3, "allowed are clients of campaigns", id="no campaign"
        ),
        pytest.param('figure = "breaks_overdue"\nabove = 1\nsites = []', 3, "`sites` is empty", id="no site of all"),
        pytest.param(
            'figure = "source_silent_s"\nabove = 1\nsources = []', 3, "`sources` is empty", id="no source of all"
        ),
        pytest.param('figure = "waiting"\nabove = 1\nfor_s = -1', 3, "a number from 0", id="a negative time"),
        pytest.param(
            'figure = "waiting"\nabove = 1\n[[alerts]]\nname = "r"\nfigure = "lag"\nabove = 1',
            4,
            "each name once",
            id="a name twice",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_its_line(tmp_path: Path, keys: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        rule(tmp_path, keys)
    at_line = FIRST if line < 0 else FIRST + 1 + line
    assert f"campaigns.toml, line {at_line}: " in str(error.value) and words in str(error.value)


def test_a_rule_on_a_target_is_judged_by_the_campaigns_that_it_watches(tmp_path: Path) -> None:
    """Its own, by all their terms, and where it can fire."""
    terms = "[[campaigns.ventes.sla]]\ntarget = 0.5\n[[campaigns.ventes.sla]]\nvalid_from = 2026-01-01\ntarget = 0.9\n"
    head = terms + '[[alerts]]\nname = "r"\nfigure = "service_level_to_target"\n'
    for keys in ("below = -0.85", "below = -0.1\nend_threshold = 0.2", "above = 0.4\nend_threshold = 0.1"):
        load(tmp_path, head + keys)
    own = head + 'campaigns = ["ventes"]\nbelow = -0.1\nend_threshold = '
    assert load(tmp_path, f"{own}0.5").alerts[0].end_threshold == 0.5
    with pytest.raises(ConfigurationError, match=r"campaign ventes .*; allowed is at most 0\.5"):
        load(tmp_path, f"{own}0.51")


@pytest.mark.parametrize(
    ("list_of", "wrong"),
    [("campaigns", '["ventes", "vents"]'), ("clients", '["orea", "vents"]'), ("notify", '["floor", "vents"]')],
)
def test_an_error_names_the_entry_that_is_wrong(tmp_path: Path, list_of: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=f'`{list_of}` has "vents", allowed is a list of '):
        rule(tmp_path, f'figure = "waiting"\nabove = 1\n{list_of} = {wrong}')


@pytest.mark.parametrize("hidden", ["\\n", "\\u001b", "\\u202e", "\\u2028", "\\u00ad", "\\u0085"])
def test_a_name_is_one_line_that_everybody_sees(tmp_path: Path, hidden: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, f'[[alerts]]\nname = "a{hidden}b"\nfigure = "lag"\nabove = 1')
    assert "`name` has the character U+" in str(error.value) and str(error.value).isprintable()


def test_a_name_in_a_script_with_joiners_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, '[[alerts]]\nname = "می\u200cرود"\nfigure = "lag"\nabove = 1').alerts[0].name


def test_an_error_does_not_repeat_a_long_name_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, f'[[alerts]]\nname = "{"n" * 5_000}"\nfigure = "lag"\nabove = 1')
    assert "1 to 64 characters" in str(error.value) and len(str(error.value)) < 400


def test_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"line {FIRST}: `name` is missing"):
        load(tmp_path, '[[alerts]]\nfigure = "lag"\nabove = 1')


def test_the_example_has_a_dozen_rules_and_says_when_the_feed_is_silent() -> None:
    floor = campaigns.load(ROOT / "campaigns.toml")
    assert len(floor.alerts) >= 12
    assert {"feed_age_s", "longest_wait_s"} <= {rule.figure for rule in floor.alerts} <= FIGURES.keys()
    assert all(rule.end_threshold != rule.threshold or rule.for_s >= 60 for rule in floor.alerts)  # none flaps


@pytest.mark.parametrize(("figure", "bound_s"), [("feed_age_s", STALE_S), ("feed_silent_s", SILENT_S)])
def test_the_example_says_so_when_other_rules_are_held(figure: str, bound_s: float) -> None:
    (rule,) = (rule for rule in campaigns.load(ROOT / "campaigns.toml").alerts if rule.figure == figure)
    assert rule.threshold <= bound_s and rule.for_s <= 30
