"""Local accounts: the command that manages them, what they may see, their sessions, and limits on attempts."""

import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from metrics.authorisation.viewer import Viewer
from pages.accounts import passwords
from pages.accounts.access import Access, access
from pages.accounts.attempts import Attempts
from pages.accounts.errors import AccountsError
from pages.accounts.sessions import PERSON_S, SECRET_VARIABLE, TELEVISION_S, Sessions
from pages.accounts.store import Account, Accounts
from tests.support.dashboard.people import PASSWORD, accounts

NOW = 1_790_000_000.0
GOOD = {"name": "m", "role": "manager", "proof": "x", "clients": [], "campaigns": [], "sites": []}
CONFIGURATION = """
[clients]
brightcart = { name = "Brightcart" }
orea = { name = "Mutuelle Oréa" }
[campaigns.north]
client = "brightcart"
[campaigns.sud]
client = "orea"
[campaigns.sud-ventes]
client = "orea"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with three campaigns of two clients configured."""
    (tmp_path / "campaigns.toml").write_text(CONFIGURATION)
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VIGIE_CAMPAIGNS", str(tmp_path / "campaigns.toml"))
    return tmp_path


# the command


@pytest.mark.slow
def test_an_account_is_added_listed_changed_and_removed(place: Path) -> None:
    done = accounts(place, "add", "Cleo", "--role", "client", "--client", "orea", typed=f"{PASSWORD}\n")
    assert (done.returncode, done.stdout) == (0, "cleo may sign in as client: clients orea.\n"), done.stderr
    path = place / "access" / "accounts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    proof = json.loads(path.read_text())["accounts"][0]["proof"]
    assert proof.startswith("$argon2id$") and PASSWORD not in path.read_text()
    assert passwords.is_right(proof, PASSWORD) and not passwords.is_right(proof, PASSWORD + "!")
    accounts(place, "add", "mona", "--role", "manager", "--site", "Rabat", typed=f"{PASSWORD}\n")
    assert accounts(place, "list").stdout == "cleo\tclient\tclients orea\nmona\tmanager\tagents of sites Rabat\n"
    assert accounts(place, "password", "cleo", typed="another-horse-battery").returncode == 0
    changed = Accounts(path.parent).all()["cleo"]
    assert passwords.is_right(changed.proof, "another-horse-battery") and changed.clients == ("orea",)
    assert accounts(place, "remove", "cleo").returncode == 0
    assert accounts(place, "list").stdout == "mona\tmanager\tagents of sites Rabat\n"


@pytest.mark.slow
def test_a_television_gets_a_token_that_is_shown_once(place: Path) -> None:
    lines = accounts(place, "tv", "add", "hall", "--campaign", "sud").stdout.splitlines()
    token = lines[-1].removeprefix("/tv#")
    assert len(token) >= 43
    kept = (place / "access" / "accounts.json").read_text()
    assert token not in kept and passwords.is_token(json.loads(kept)["accounts"][0]["proof"], token)
    assert accounts(place, "tv", "list").stdout == "hall\ttelevision\tcampaigns sud\n"
    assert accounts(place, "list").stdout == ""
    assert accounts(place, "remove", "hall").returncode == 2  # there is no person of that name
    assert accounts(place, "tv", "revoke", "hall").returncode == 0
    assert accounts(place, "tv", "list").stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "typed", "message"),
    [
        pytest.param("add x --role client", PASSWORD, "A client account must say whose campaigns it sees", id="whose"),
        pytest.param("add x --role client --client y", PASSWORD, "no client 'y'; there are brightcart,", id="client"),
        pytest.param("add x --role analyst --campaign y", PASSWORD, "no campaign 'y'; there are north", id="campaign"),
        pytest.param("add x --role boss", PASSWORD, "invalid choice: 'boss'", id="role"),
        pytest.param("add x --role television", PASSWORD, "invalid choice: 'television'", id="television"),
        pytest.param("add ../x --role manager", PASSWORD, "'../x' is not a valid name", id="name"),
        pytest.param("add x --role manager", "short", "The password has 5 characters; choose 12 to 256", id="short"),
        pytest.param("add x --role manager", "a" * 300, "The password has 300 characters", id="long"),
        pytest.param("add x --role manager", "aaaaaaaaaaaaaa", "repeats very few characters", id="one character"),
        pytest.param("add x --role manager", "", "The password has 0 characters", id="nothing typed"),
        pytest.param("add mona --role manager", PASSWORD, "There is already an account mona", id="taken"),
        pytest.param("tv add mona", "", "There is already an account mona", id="taken by a person"),
        pytest.param("password nobody", PASSWORD, "There is no person nobody; there are mona", id="unknown"),
        pytest.param("add x --role manager --password y", PASSWORD, "there is no option --password;", id="on the line"),
    ],
)  # fmt: skip
def test_an_invalid_command_is_refused_in_one_sentence(place: Path, arguments: str, typed: str, message: str) -> None:
    Accounts(place / "access").change(lambda all: all.update(mona=Account("mona", "manager", "x")))
    before = (place / "access" / "accounts.json").read_bytes()
    done = accounts(place, *arguments.split(), typed=typed)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("vigie: ") and message in done.stderr and done.stderr.count("\n") == 1
    assert (place / "access" / "accounts.json").read_bytes() == before


def test_two_commands_at_once_lose_no_account(place: Path) -> None:
    here = Accounts(place / "access")
    with pytest.raises(AccountsError, match="Another command is changing"):
        here.change(lambda _: here.change(lambda all: all.update(mona=Account("mona", "manager", "x"))))
    here.change(lambda all: all.update(mona=Account("mona", "manager", "x")))  # the lock is free again
    assert set(here.all()) == {"mona"}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="no table"),
        pytest.param(json.dumps({"accounts": [GOOD | {"role": "boss"}]}), id="role"),
        pytest.param(json.dumps({"accounts": [GOOD | {"clients": "orea"}]}), id="limit"),
        pytest.param(json.dumps({"accounts": [GOOD | {"is_admin": True}]}), id="unknown key"),
        pytest.param('{"accounts": [{"name": "m", "proof": "x"}]}', id="no role"),
    ],
)
def test_an_invalid_accounts_file_lets_nobody_in(place: Path, written: str) -> None:
    here = Access(place / "access", place / "campaigns.toml")
    here.accounts.change(lambda all: all.update(m=Account("m", "manager", "x")))
    assert json.loads(here.accounts.path.read_text())["accounts"] == [GOOD]
    cookie = here.sessions.cookie(here.sessions.begin(here.accounts.all()["m"], NOW))
    assert here.viewer(cookie, NOW) is not None
    (place / "access" / "accounts.json").write_text(written)
    with pytest.raises(AccountsError, match="is not a valid accounts file"):
        here.accounts.all()
    assert here.viewer(cookie, NOW) is None


def test_a_file_that_others_may_read_lets_nobody_in(place: Path) -> None:
    here = Accounts(place / "access")
    here.change(lambda all: all.update(m=Account("m", "manager", "x")))
    os.chmod(here.path, 0o640)
    with pytest.raises(AccountsError, match="run `chmod 600"):
        Accounts(place / "access").all()


# the session


def test_a_session_is_signed_and_ends(place: Path) -> None:
    sessions = Sessions(place)
    person = Account("mona", "manager", "x")
    session = sessions.begin(person, NOW)
    cookie = sessions.cookie(session)
    assert sessions.read(cookie, NOW) == session
    assert sessions.read(cookie, NOW + PERSON_S - 1) == session
    assert sessions.read(cookie, NOW + PERSON_S) is None
    screen = sessions.cookie(sessions.begin(replace(person, role="television"), NOW))
    assert sessions.read(screen, NOW + TELEVISION_S - 1) is not None
    for wrong in (None, "", "x", cookie[:-1], cookie[1:], cookie.replace(cookie[3], "_"), "é" * 40):
        assert sessions.read(wrong, NOW) is None
    assert Sessions(place).read(cookie, NOW) == session  # after a restart
    assert Sessions(place / "other").read(cookie, NOW) is None  # with another secret


def test_signing_out_outlasts_a_restart(place: Path) -> None:
    sessions = Sessions(place)
    mine, other = (sessions.begin(Account(name, "manager", "x"), NOW) for name in ("mona", "max"))
    sessions.end(mine, NOW)
    for here in (sessions, Sessions(place)):
        assert here.read(here.cookie(mine), NOW) is None
        assert here.read(here.cookie(other), NOW) == other
    sessions.end(other, NOW + PERSON_S + 1)
    assert mine.id not in (place / "ended").read_text()  # an expired session is dropped from the list


def test_the_secret_is_private_and_long_enough(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Sessions(place / "access")
    secret = place / "access" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_text()) >= 64
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    cookie = Sessions(place / "one").cookie(Sessions(place / "one").begin(Account("m", "manager", "x"), NOW))
    assert Sessions(place / "two").read(cookie, NOW) is not None
    assert not (place / "two").exists()
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 31)
    with pytest.raises(AccountsError, match="at least 32"):
        Sessions(place / "two")


MONA = Account("mona", "manager", "proof")
CHANGES = {
    "removed": None,
    "another password": replace(MONA, proof="other"),
    "another role": replace(MONA, role="analyst"),
    "another limit": replace(MONA, campaigns=("north",)),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_changing_an_account_ends_its_sessions(place: Path, changed: Account | None) -> None:
    here = Access(place / "access", place / "campaigns.toml")
    here.accounts.change(lambda all: all.update(mona=MONA))
    cookie = here.sessions.cookie(here.sessions.begin(MONA, NOW))
    assert here.viewer(cookie, NOW) == Viewer("manager", None, "mona")

    def change(all: dict[str, Account]) -> None:
        del all["mona"]
        if changed is not None:
            all["mona"] = changed

    Accounts(place / "access").change(change)  # as another process would
    assert here.viewer(cookie, NOW) is None


SEEN = {
    "a manager sees all": (Account("x", "manager", ""), None),
    "a manager of a campaign": (Account("x", "manager", "", campaigns=("north",)), {"north"}),
    "a manager of a client": (Account("x", "manager", "", clients=("orea",)), {"sud", "sud-ventes"}),
    "an analyst sees all": (Account("x", "analyst", ""), None),
    "a client and one campaign": (Account("x", "client", "", ("orea",), ("north",)), {"sud", "sud-ventes", "north"}),
    "a client that is not configured": (Account("x", "client", "", ("gone",)), set()),
    "a client account without a client": (Account("x", "client", ""), set()),
    "a television": (Account("x", "television", "", campaigns=("sud",)), {"sud"}),
}


@pytest.mark.parametrize(("account", "campaigns"), SEEN.values(), ids=SEEN)
def test_what_an_account_sees(place: Path, account: Account, campaigns: set[str] | None) -> None:
    seen = access().viewer_of(account)
    assert (seen.role, seen.name) == (account.role, "x")
    assert seen.campaigns == campaigns


def test_a_client_sees_its_new_campaigns_and_an_invalid_file_changes_nothing(place: Path) -> None:
    here, cleo = access(), Account("cleo", "client", "", ("orea",))
    assert here.viewer_of(cleo).campaigns == {"sud", "sud-ventes"}
    (place / "campaigns.toml").write_text(CONFIGURATION + '[campaigns.sud-nuit]\nclient = "orea"\n')
    assert here.viewer_of(cleo).campaigns == {"sud", "sud-ventes", "sud-nuit"}
    (place / "campaigns.toml").write_text(CONFIGURATION + "[campaigns.sud-nuit\n")
    assert here.viewer_of(cleo).campaigns == {"sud", "sud-ventes", "sud-nuit"}
    (place / "campaigns.toml").unlink()
    assert here.viewer_of(cleo).campaigns == set()


# the limits


def test_attempts_are_counted_within_a_window() -> None:
    tried = Attempts(3, within_s=60)
    for at in (0, 10, 20):
        assert tried.wait_s("mona", at) == 0
        tried.add("mona", at)
    assert tried.wait_s("mona", 20) == 40  # until the first attempt is a minute old
    assert tried.wait_s("max", 20) == 0
    assert tried.wait_s("mona", 60) == 0
    tried.add("mona", 60)
    assert tried.wait_s("mona", 60) == 10
    tried.forgive("mona")  # the password was right
    assert tried.wait_s("mona", 60) == 0
    tried.forgive("mona", all=True)
    for at in (61, 62, 63):
        assert tried.wait_s("mona", at) == 0
        tried.add("mona", at)


def test_memory_for_attempts_is_bounded() -> None:
    tried = Attempts(1, within_s=60)
    for n in range(11_000):
        tried.add(f"name-{n}", 0)
    assert tried.wait_s("name-10999", 1) == 59
    assert tried.wait_s("name-0", 1) == 0  # forgotten


# the audit trail


@pytest.mark.slow
def test_every_change_is_in_the_audit_trail(place: Path) -> None:
    accounts(place, "add", "anna", "--role", "manager", typed=f"{PASSWORD}\n")
    accounts(place, "add", "bo", "--role", "manager", typed="short\n")  # is refused, so nothing happened
    accounts(place, "tv", "add", "hall", "--campaign", "north")
    accounts(place, "remove", "anna")
    lines = accounts(place, "audit").stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == [
        "anna · added · manager · everything",
        "hall · added · television · campaigns north",
        "anna · removed · manager",
    ]
    assert PASSWORD not in "".join(lines)
    assert accounts(place, "audit", "--kind", "sign-in").stdout == ""
    assert accounts(place, "audit", "--until", "2020-01-01").stdout == ""
    assert len(accounts(place, "audit", "--most", "1").stdout.splitlines()) == 1
    checked = accounts(place, "audit", "--verify")
    assert checked.stdout.startswith("3 entries, complete and unchanged. Note the newest: 3:"), checked.stderr
    noted = checked.stdout.split()[-1]
    assert accounts(place, "audit", "--noted", noted).returncode == 0
    wrong = accounts(place, "audit", "--noted", f"{noted[:-1]}x")
    assert wrong.returncode == 2 and "another hash" in wrong.stderr


@pytest.mark.slow
def test_a_trail_that_was_changed_is_reported(place: Path) -> None:
    accounts(place, "add", "anna", "--role", "manager", typed=f"{PASSWORD}\n")
    with sqlite3.connect(place / "access" / "audit.sqlite") as connection:
        connection.execute("DROP TRIGGER entries_stay_as_they_are")
        connection.execute("UPDATE entries SET who = 'nobody'")
    connection.close()
    done = accounts(place, "audit", "--verify")
    assert done.returncode == 2 and "broken at entry 1" in done.stderr
