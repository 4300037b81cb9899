"""The demo's accounts: made once, printed at every start, and renewed when their secret is lost."""

import json
import stat
from pathlib import Path

import msgspec
import pytest

from ingest import demo_accounts
from pages.accounts import passwords
from pages.accounts.store import Account, Accounts
from tests.support.processes import environment

pytestmark = pytest.mark.slow


def start(folder: Path) -> dict[str, str]:
    """Return what a start prints: account → password, or the television's token."""
    _, *people, television = demo_accounts.lines("http://vigie", {**environment(), "VIGIE_ACCESS_DIR": str(folder)})
    printed = {line.split()[0]: line[14:33].strip() for line in people}
    return printed | {"television": television.partition("#")[2]}


def fits(folder: Path, name: str, secret: str) -> bool:
    """Whether one signs in to the account with this secret."""
    account = Accounts(folder).get(name)
    assert account
    if account.role == "television":
        return account.proof == passwords.token_proof(secret)
    return passwords.is_right(account.proof, secret)


def test_accounts_and_their_secrets_survive_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    first = start(folder)
    assert set(first) == {"manager", "client", "analyst", "television"}
    assert all(fits(folder, name, secret) for name, secret in first.items())
    before = (folder / "accounts.json").read_bytes()
    assert start(folder) == first
    assert (folder / "accounts.json").read_bytes() == before  # sessions go on as well
    assert stat.S_IMODE((folder / demo_accounts.SECRETS).stat().st_mode) == 0o600


def test_an_account_whose_secret_is_lost_gets_a_new_one_and_a_changed_password_stays(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    first = start(folder)
    kept = json.loads((folder / demo_accounts.SECRETS).read_text())
    del kept["client"], kept["television"]
    (folder / demo_accounts.SECRETS).write_text(json.dumps(kept))
    (folder / f"{demo_accounts.SECRETS}.new").write_text("torn")

    def change(accounts: dict[str, Account]) -> None:
        accounts["analyst"] = msgspec.structs.replace(accounts["analyst"], proof=passwords.proof_of("my own password"))
        del accounts["manager"]

    Accounts(folder).change(change)
    second = start(folder)
    assert second["analyst"] == "(changed by you)"
    assert fits(folder, "analyst", "my own password")
    for name in ("manager", "client", "television"):
        assert second[name] != first[name]
        assert fits(folder, name, second[name])
        assert not fits(folder, name, first[name])
