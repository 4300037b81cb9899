"""The accounts of this machine, in `accounts.json` of the access directory, which only its owner may read."""

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from metrics.authorisation.viewer import Role
from pages.accounts.errors import AccountsError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")
FILE = "accounts.json"

StatId = tuple[int, int, int]


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person, or with the role `television` a screen. What is empty does not limit.

    `proof` checks the person's password (argon2) or the screen's token (SHA-256 of 256 random bits).
    """

    name: str
    role: Role
    proof: str
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        """What a session remembers of its account: anything that changes about it ends the session."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The file."""

    accounts: list[Account]


class Accounts:
    """The accounts of one directory, read again when the file changes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._read: tuple[StatId | None, dict[str, Account]] = (None, {})

    def all(self) -> dict[str, Account]:
        """Return the accounts by name; raise AccountsError when the file cannot be trusted."""
        found = identify(self.path)
        if self._read[0] != found:
            self._read = (found, _load(self.path) if found else {})
        return self._read[1]

    def get(self, name: str) -> Account | None:
        return self.all().get(name)

    def change(self, edit: Callable[[dict[str, Account]], None]) -> None:
        """Let `edit` change the accounts, and write them: all of the change or nothing, one change at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.path.with_suffix(".new")  # is the lock, too: made anew, or somebody else is writing
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise AccountsError(
                f"Another command is changing {self.path}; try again, and if none is, remove {fresh}."
            ) from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                accounts = dict(self.all())
                edit(accounts)
                kept = _Kept([account for _, account in sorted(accounts.items())])
                file.write(msgspec.json.format(msgspec.json.encode(kept)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise


def identify(path: Path) -> StatId | None:
    """Return what tells one version of a file from the next; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(path: Path) -> dict[str, Account]:
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise AccountsError(f"{path} can be read by others than its owner; run `chmod 600 {path}`.")
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except OSError as error:
        raise AccountsError(f"{path} cannot be read ({error.strerror}); give the dashboard's user the file.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountsError(
            f"{path} is not a file of accounts ({error}); restore it, or remove it and add the accounts again."
        ) from error
    return {account.name: account for account in kept.accounts}
