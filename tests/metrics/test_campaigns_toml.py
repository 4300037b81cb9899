"""The configuration file: what is read, what is rejected, and the error messages."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from metrics.configuration import campaigns
from metrics.configuration.campaigns import AgentLimits, Campaign, Configuration, Term
from metrics.configuration.people import Claims, Person
from metrics.errors import ConfigurationError

HERE = Path(__file__).parent.parent.parent
GOOD = """\
[defaults]
timezone = "Europe/Paris"

[clients]
orea = { name = "Mutuelle Oréa" }

[campaigns.orea-ventes]
name = "Oréa Ventes"
client = "orea"
language = "fr"
opening = { mon-fri = "10:00-13:00, 14:00-20:00" }

[[campaigns.orea-ventes.sla]]
threshold_s = 30

[[campaigns.orea-ventes.sla]]
valid_from = 2026-01-01
formula = "all_offered"
"""


def load(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "campaigns.toml"
    path.write_text(text, encoding="utf-8")
    return campaigns.load(path)


def terms(tmp_path: Path, sla: str) -> tuple[Term, ...]:
    text = GOOD.split("[[")[0] + sla
    return load(tmp_path, text).campaigns["orea-ventes"].terms


def test_the_floor_has_eight_campaigns() -> None:
    floor = campaigns.load(HERE / "campaigns.toml")
    assert {(c.id, c.client, c.language, c.timezone) for c in floor.campaigns.values()} == {
        ("orea-sinistres", "orea", "fr", "Europe/Paris"),
        ("orea-ventes", "orea", "fr", "Europe/Paris"),
        ("vianova-mobile", "vianova", "fr", "Europe/Paris"),
        ("safrane-boutique", "safrane", "fr", "Europe/Paris"),
        ("lucero-soporte", "lucero", "es", "Europe/Madrid"),
        ("almena-seguros", "almena", "es", "Europe/Madrid"),
        ("brightcart-orders", "brightcart", "en", "Europe/London"),
        ("harbourline-care", "harbourline", "en", "Europe/London"),
    }
    assert all(c.opening and c.terms for c in floor.campaigns.values())


def test_the_bank_is_a_file_of_its_own() -> None:
    bank = campaigns.load(HERE / "samples" / "bank.toml")
    assert sorted(bank.campaigns) == ["bank-in", "bank-ne", "bank-nw", "bank-pe", "bank-ps", "bank-tt"]
    assert {c.timezone for c in bank.campaigns.values()} == {"Asia/Jerusalem"}
    assert {(t.formula, t.threshold_s) for c in bank.campaigns.values() for t in c.terms} == {("all_offered", 20)}


def test_a_campaigns_own_values_come_before_the_defaults(tmp_path: Path) -> None:
    campaign = load(tmp_path, GOOD).campaigns["orea-ventes"]
    working_day = ((600, 780), (840, 1200))
    change = dt.datetime.fromisoformat("2026-01-01")
    assert campaign == Campaign(
        id="orea-ventes",
        name="Oréa Ventes",
        client="orea",
        language="fr",
        timezone="Europe/Paris",
        give_up_after_s=14_400,
        opening=(working_day,) * 5 + ((), ()),
        terms=(
            Term(valid_to=change, threshold_s=30),
            Term(valid_from=change, formula="all_offered", threshold_s=30),
        ),
    )


def test_a_campaigns_window_is_its_own_or_the_default(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).campaigns["orea-ventes"].window_minutes == 30
    hour = GOOD.replace('timezone = "Europe/Paris"', 'timezone = "Europe/Paris"\nwindow_minutes = 60')
    assert load(tmp_path, hour).campaigns["orea-ventes"].window_minutes == 60
    assert load(tmp_path, hour).campaign("mystery").window_minutes == 60
    own = hour.replace('language = "fr"', 'language = "fr"\nwindow_minutes = 15')
    assert load(tmp_path, own).campaigns["orea-ventes"].window_minutes == 15


def test_a_campaign_may_speak_a_language_that_the_pages_do_not(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace('"fr"', '"ar"')).campaigns["orea-ventes"].language == "ar"


def test_a_campaign_that_only_events_name_gets_the_defaults(tmp_path: Path) -> None:
    unknown = load(tmp_path, GOOD).campaign("mystery")
    assert (unknown.name, unknown.client, unknown.timezone, unknown.terms) == ("mystery", "", "Europe/Paris", (Term(),))


def test_versions_differ_in_their_digest(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).digest == load(tmp_path, GOOD).digest != load(tmp_path, GOOD + "\n").digest


def test_limits_of_agents(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).agents == AgentLimits()
    limits = load(tmp_path, GOOD + "[agents]\nhold_long_s = 60\nbreaks = { pausa = 600, comida = 1800 }").agents
    assert limits == AgentLimits(hold_long_s=60, breaks=(("pausa", 600), ("comida", 1800)))
    assert load(tmp_path, GOOD + "[agents]\nbreaks = {}").agents.breaks == ()
    assert campaigns.load(HERE / "campaigns.toml").agents == AgentLimits()  # the file states the defaults


def test_a_site_may_have_breaks_of_its_own(tmp_path: Path) -> None:
    limits = load(tmp_path, GOOD + "[agents.sites.Sevilla]\nbreak_s = 900\nrest_within_s = 3600").agents
    assert limits.sites == (("Sevilla", (("break_s", 900.0), ("rest_within_s", 3600.0))),)
    in_sevilla = limits.at("Sevilla")
    assert (in_sevilla.break_s, in_sevilla.break_within_s, in_sevilla.rest_s, in_sevilla.rest_within_s) == (
        900,
        21_600,
        300,
        3600,
    )
    assert limits.at("Rabat") is limits.at(None) is limits
    with pytest.raises(ConfigurationError, match=r"hold_long_s"):
        load(tmp_path, GOOD + "[agents.sites.Sevilla]\nhold_long_s = 60")
    with pytest.raises(ConfigurationError, match=r"`rest_s` \(300\) is more than `break_s` \(60\)"):
        load(tmp_path, GOOD + "[agents.sites.Sevilla]\nbreak_s = 60")


AT = dt.datetime
TERMS = {
    "none: the defaults, always": ("", [(None, None, 20)]),
    "one without dates: always": ("[[campaigns.orea-ventes.sla]]\nthreshold_s = 9", [(None, None, 9)]),
    "begins later: the defaults before": (
        "[[campaigns.orea-ventes.sla]]\nthreshold_s = 9\nvalid_from = 2026-01-01T18:00:00",
        [(None, AT(2026, 1, 1, 18), 20), (AT(2026, 1, 1, 18), None, 9)],
    ),
    "a gap: the defaults in it": (
        "[[campaigns.orea-ventes.sla]]\nthreshold_s = 9\nvalid_to = 2026-01-01\n"
        "[[campaigns.orea-ventes.sla]]\nthreshold_s = 7\nvalid_from = 2026-02-01",
        [(None, AT(2026, 1, 1), 9), (AT(2026, 1, 1), AT(2026, 2, 1), 20), (AT(2026, 2, 1), None, 7)],
    ),
    "ends: the defaults after": (
        "[[campaigns.orea-ventes.sla]]\nthreshold_s = 9\nvalid_to = 2026-01-01",
        [(None, AT(2026, 1, 1), 9), (AT(2026, 1, 1), None, 20)],
    ),
}


@pytest.mark.parametrize(("sla", "expected"), TERMS.values(), ids=TERMS)
def test_terms_cover_all_time(tmp_path: Path, sla: str, expected: object) -> None:
    assert [(t.valid_from, t.valid_to, t.threshold_s) for t in terms(tmp_path, sla)] == expected


SAID = (
    'formula = "all_offered"\nthreshold_s = 30\ntarget = 0.85\nwait_at_threshold_counts = false\nshort_abandon_s = 10\n'
)


@pytest.mark.parametrize("changed", ["formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s"])
def test_a_later_term_inherits_from_the_term_before_it(tmp_path: Path, changed: str) -> None:
    values = {
        "formula": "answered_only",
        "threshold_s": 20.0,
        "target": 0.9,
        "wait_at_threshold_counts": True,
        "short_abandon_s": 5.0,
    }
    head, shown = "[[campaigns.orea-ventes.sla]]\n", str(values[changed]).lower()
    shown = f'"{shown}"' if changed == "formula" else shown
    later = f"{head}valid_from = 2026-11-29\n{changed} = {shown}\n{head}valid_from = 2027-01-01\ntarget = 0.5\n"
    first, second, third = terms(tmp_path, head + SAID + later)
    assert first == Term(None, AT(2026, 11, 29), "all_offered", 30.0, 0.85, False, 10.0)
    assert second == replace(first, valid_from=AT(2026, 11, 29), valid_to=AT(2027, 1, 1), **{changed: values[changed]})
    assert third == replace(second, valid_from=AT(2027, 1, 1), valid_to=None, target=0.5)


def test_a_term_after_a_gap_inherits_from_the_term_before_the_gap(tmp_path: Path) -> None:
    head = "[[campaigns.orea-ventes.sla]]\n"
    later = f"{head}valid_from = 2026-02-01\ntarget = 0.9\n"
    first, gap, second = terms(tmp_path, head + SAID + "valid_to = 2026-01-01\n" + later)
    assert gap == Term(AT(2026, 1, 1), AT(2026, 2, 1))
    assert second == replace(first, valid_from=AT(2026, 2, 1), valid_to=None, target=0.9)


# text to replace in GOOD, its replacement, and the message after file and line
REFUSED = {
    "not TOML": ("[clients]", "[clients", None, "not valid TOML"),
    "unknown table": (
        "[clients]",
        "[client]",
        4,
        "unknown key `client`, allowed are defaults, agents, clients, campaigns",
    ),
    "unknown key": (
        'language = "fr"',
        'langage = "fr"',
        10,
        "unknown key `langage`, allowed are name, client, language",
    ),
    "unknown key of a term": ("threshold_s", "treshold_s", 14, "unknown key `treshold_s`, allowed are valid_from"),
    "unknown key of a client": ("{ name", "{ nom", 5, "unknown key `nom`, allowed are name"),
    "unknown client": ('client = "orea"', 'client = "ora"', 9, '`client` is "ora", allowed is one of orea'),
    "no client": ('client = "orea"\n', "", 7, "`client` is missing, allowed is one of orea"),
    "unknown language": ('"fr"', '"french"', 10, '`language` is "french", allowed is an ISO 639 code such as "fr"'),
    "language in capitals": ('"fr"', '"FR"', 10, '`language` is "FR", allowed is an ISO 639 code such as "fr"'),
    "unknown zone": ("Europe/Paris", "Europe/Pari", 2, '`timezone` is "Europe/Pari", allowed is an IANA zone'),
    "unknown formula": (
        '"all_offered"',
        '"offered"',
        18,
        '`formula` is "offered", allowed is one of exclude_short, all_offered',
    ),
    "wrong type": ("threshold_s = 30", 'threshold_s = "30"', 14, '`threshold_s` is "30", allowed is a number from 0'),
    "another window": (
        '"Europe/Paris"',
        '"Europe/Paris"\nwindow_minutes = 45',
        3,
        "`window_minutes` is 45, allowed is one of 15, 30, 60",
    ),
    "a window that is no whole number": (
        '"fr"',
        '"fr"\nwindow_minutes = 30.0',
        11,
        "`window_minutes` is 30.0, allowed",
    ),
    "an unknown word in the address of recordings": (
        '"fr"',
        '"fr"\nrecording = "https://rec.example/{call}"',
        11,
        "unknown word `{call}` in `recording`, allowed are {call_id}, {linked_id}, {campaign}, {queue}, {day}.",
    ),
    "a word without its second brace": (
        '"fr"',
        '"fr"\nrecording = "https://rec.example/{call_id"',
        11,
        "a brace in `recording` has no counterpart, allowed are {call_id}",
    ),
    "an address of recordings that would run a script": (
        '"fr"',
        '"fr"\nrecording = "javascript:alert({call_id})"',
        11,
        '`recording` is "javascript:alert({call_id})", allowed is an address such as https://',
    ),
    "an address of recordings whose server is a word": (
        '"fr"',
        '"fr"\nrecording = "https://{queue}/{call_id}"',
        11,
        "allowed is an address such as https://",
    ),
    "true is no number": ("threshold_s = 30", "threshold_s = true", 14, "`threshold_s` is true, allowed is a number"),
    "out of range": ("threshold_s = 30", "target = 80", 14, "`target` is 80, allowed is a number from 0 to 1"),
    "a date with an offset": (
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        17,
        "allowed is a local date or time without offset",
    ),
    "a date as text": ("2026-01-01", '"2026-01-01"', 17, '`valid_from` is "2026-01-01", allowed is a local date'),
    "overlapping terms": (
        "threshold_s = 30",
        "valid_to = 2026-01-02",
        17,
        "terms overlap: this one begins at 2026-01-01 00:00:00, the one before it ends later (2026-01-02 00:00:00)",
    ),
    "terms out of order": ("threshold_s = 30", "valid_from = 2026-01-01", 17, "allowed are terms in order"),
    "two terms for always": ("valid_from = 2026-01-01\n", "", 16, "allowed is to leave it out in the first term only"),
    "a term that ends before it begins": (
        'formula = "all_offered"',
        "valid_to = 2026-01-01",
        18,
        "`valid_to` is not after `valid_from`",
    ),
    "unknown day": ("mon-fri", "lun-ven", 11, "unknown day `lun-ven`, allowed are mon, tue"),
    "wrong hours": ("14:00-20:00", "14h-20h", 11, 'allowed are hours in order such as "08:00-20:00"'),
    "overlapping hours": ("14:00-20:00", "12:00-20:00", 11, "allowed are hours in order"),
    "unknown limit of agents": (
        "[defaults]",
        "[agents]\nbreak_minutes = 20\n[defaults]",
        2,
        "unknown key `break_minutes`",
    ),
    "calls come whole": (
        "[defaults]",
        "[agents]\nstreak_calls = 2.5\n[defaults]",
        2,
        "`streak_calls` is 2.5, allowed is a whole number from 2 to 1000",
    ),
    "high above too high": (
        "[defaults]",
        "[agents]\noccupancy_high = 0.95\n[defaults]",
        2,
        "`occupancy_high` (0.95) is more than `occupancy_too_high` (0.9), allowed is at most that",
    ),
    "a rest longer than a break": (
        "[defaults]",
        "[agents]\nbreak_s = 60\n[defaults]",
        2,
        "`rest_s` (300) is more than",
    ),
    "breaks are a table": (
        "[defaults]",
        "[agents]\nbreaks = 900\n[defaults]",
        2,
        "`breaks` is 900, allowed is a table",
    ),
    "a break in minutes as text": (
        "[defaults]",
        '[agents]\nbreaks = { lunch = "60 min" }\n[defaults]',
        2,
        '`lunch` is "60 min", allowed is a number from 1 to 86400',
    ),
    "a campaign that is no table": (
        "[campaigns.orea-ventes]",
        "[campaigns]\nx = 1\n[campaigns.orea-ventes]",
        8,
        "`x` is 1",
    ),
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_file_is_rejected_with_line_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int | None, expected: str
) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'campaigns.toml'}" + (f", line {line}: " if line else ": "))
    assert expected in message
    assert "\n" not in message and message.endswith(".")


def test_a_missing_file_is_reported_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VIGIE_CAMPAIGNS"):
        campaigns.load(tmp_path / "none.toml")


# names with a line break, an escape, a change of direction, or one that cannot be seen
HIDDEN = {
    "a client": ('"Mutuelle Oréa"', '"Mutuelle\\u202eOréa"', 5, "`name` has the character U+202E"),
    "a campaign": ('"Oréa Ventes"', '"Oréa\\nVentes"', 8, "`name` has the character U+000A"),
    "a campaign's id": ("[campaigns.orea-ventes]", '[campaigns."a\\u001bb"]', None, "the id has a hidden character"),
    "an unknown key": ('name = "Oréa Ventes"', '"na\\nme" = 1', None, "unknown key `na\\u000ame`"),
    "an unknown client": ('client = "orea"', 'client = "o\\u2028"', 9, '`client` is "o\\u2028", allowed is'),
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), HIDDEN.values(), ids=HIDDEN)
def test_a_name_that_would_forge_lines_of_the_log_is_refused(
    tmp_path: Path, old: str, new: str, line: int | None, expected: str
) -> None:
    text = GOOD.replace(old, new, 1)
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text.split("[[")[0])
    assert expected in str(refused.value) and (line is None or f"line {line}: " in str(refused.value))
    assert str(refused.value).isprintable()


def test_an_error_does_not_repeat_a_long_text_whole(tmp_path: Path) -> None:
    for old, long in (('"orea"', f'"{"x" * 5_000}"'), ('language = "fr"', "y" * 5_000 + " = 1")):
        with pytest.raises(ConfigurationError) as refused:
            load(tmp_path, GOOD.replace(old, long, 1))
        assert "…" in str(refused.value) and len(str(refused.value)) < 400


# permissions

WHO = """
[sign_in]
role_claim = "groups"
sites_claim = "site"

[[people]]
email = "Cleo@Orea.example"
role = "client"
clients = ["orea"]

[[people]]
subject = "8f2c"
role = "manager"
campaigns = ["orea-ventes"]
sites = ["Rabat"]
"""


def test_people_and_claims(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD + WHO)
    assert found.claims == Claims(role="groups", sites="site")
    assert found.people == (
        Person("client", email="cleo@orea.example", clients=("orea",)),
        Person("manager", subject="8f2c", campaigns=("orea-ventes",), sites=("Rabat",)),
    )
    nobody = load(tmp_path, GOOD)
    assert (nobody.people, nobody.claims) == ((), Claims())


# text to replace in WHO, its replacement, and the message after file and line
REFUSED_OF_WHO = {
    "no role claim": ('role_claim = "groups"\n', "", 20, "`role_claim` is missing, allowed is the name of a claim"),
    "unknown claim": (
        "sites_claim",
        "site_claim",
        22,
        "unknown key `site_claim`, allowed are role_claim, clients_claim",
    ),
    "unknown role": ('"manager"', '"boss"', 31, '`role` is "boss", allowed is one of manager, client, analyst'),
    "no role": ('role = "manager"\n', "", 29, "`role` is missing, allowed is one of manager"),
    "nobody": (
        'subject = "8f2c"\n',
        "",
        29,
        "a person is named by `subject` or by `email`, allowed is exactly one of them",
    ),
    "two names": ('subject = "8f2c"\n', 'subject = "8f2c"\nemail = "x"\n', 29, "allowed is exactly one of them"),
    "an empty name": ('"8f2c"', '" "', 30, '`subject` is " ", allowed is a text'),
    "a client of nobody": ('clients = ["orea"]\n', "", 24, "a client has no campaigns to see, allowed are `clients`"),
    "an unknown client": ('["orea"]', '["oreo"]', 27, '`clients` has "oreo", allowed is a list of orea'),
    "an unknown campaign": (
        '["orea-ventes"]',
        '["ventes"]',
        32,
        '`campaigns` has "ventes", allowed is a list of orea-',
    ),
    "an empty list": ('["orea"]', "[]", 27, "`clients` is empty, allowed is a list of one or more"),
    "no list": ('["Rabat"]', '"Rabat"', 33, '`sites` is "Rabat", allowed is a list of texts'),
    "unknown key": ("sites = [", "site = [", 33, "unknown key `site`, allowed are subject, email, role"),
    "twice": ('subject = "8f2c"', 'email = "cleo@orea.EXAMPLE"', 29, "`cleo@orea.example` is named twice"),
    "no array": ("[[people]]\nemail", "[people]\nemail", 24, "`people` is"),
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), REFUSED_OF_WHO.values(), ids=REFUSED_OF_WHO)
def test_invalid_people_are_rejected(tmp_path: Path, old: str, new: str, line: int, expected: str) -> None:
    text = GOOD + WHO.replace(old, new)
    if new.startswith("[people]"):
        text = text[: text.rindex("[[people]]")]
    assert text != GOOD + WHO
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'campaigns.toml'}, line {line}: ") and expected in str(error.value)


RETENTION = """
[retention]
events = 90
calls = 365
dead_letters = 14

[retention.clients.orea]
calls = 180
agent_states = 90
"""


def test_retention_is_by_class_and_client_and_of_what_is_named_only(tmp_path: Path) -> None:
    kept = load(tmp_path, GOOD + RETENTION).retention
    assert (kept.events, kept.agent_states, kept.dead_letters) == (90, None, 14)
    assert [kept.days("calls", client) for client in ("orea", "", "other")] == [180, 365, 365]
    assert [kept.days("agent_states", client) for client in ("orea", "")] == [90, None]
    nothing = load(tmp_path, GOOD).retention
    assert (nothing.events, nothing.calls, nothing.agent_states, nothing.dead_letters) == (None, None, None, 30)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[retention]\nevents = 0", r"`events` is 0, allowed is a whole number from 7 to 36500"),
        ("[retention]\nevents = 400\ncalls = 365", r"`calls` \(365\) is less than `events` in \[retention\] \(400\)"),
        ("[retention]\nagent_states = 365", r"`agent_states` needs `events` in \[retention\], allowed is at most 365"),
        ("[retention]\nevents = 30\n[retention.clients.orea]\ncalls = 20", r"line 23: `calls` \(20\) is less than"),
        ("[retention.clients.orea]\nevents = 30", r"unknown key `events`, allowed are calls, agent_states"),
        ("[retention.clients.ore]\ncalls = 30", r"unknown client `ore`, allowed are orea"),
        ("[retention]\naudit = 30", r"unknown key `audit`, allowed is the variable VIGIE_AUDIT_DAYS"),
        ("[retention]\nletters = 30", r"unknown key `letters`, allowed are events, calls"),
        ("[dead_letters]\nkeep_days = 30", r"`keep_days` is not here, allowed is `dead_letters` in \[retention\]"),
    ],
)
def test_a_retention_that_cannot_be_kept_is_refused(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        load(tmp_path, f"{GOOD}\n{text}\n")
