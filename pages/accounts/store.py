"""The accounts of this machine, kept in `accounts.json` in the access directory. Only its owner may read it."""

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
    """A person, or a screen if the role is `television`. An empty limit does not limit.

    `proof` is the hash of the person's password (argon2) or of the screen's token (SHA-256 of 256 random bits).
    """

    name: str
    role: Role
    proof: str
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        """A digest that sessions remember. Any change of the account changes it, and so ends the account's sessions."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The content of `accounts.json`."""

    accounts: list[Account]


class Accounts:
    """The accounts of one directory. The file is read again when it changes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._read: tuple[StatId | None, dict[str, Account]] = (None, {})

    def all(self) -> dict[str, Account]:
        """Return the accounts by name. Raise AccountsError if the file cannot be trusted."""
        version = identify(self.path)
        if self._read[0] != version:
            self._read = (version, _load(self.path) if version else {})
        return self._read[1]

    def get(self, name: str) -> Account | None:
        return self.all().get(name)

    def change(self, edit: Callable[[dict[str, Account]], None]) -> None:
        """Let `edit` change the accounts, and write them. The write is atomic, and there is one change at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new_file = self.path.with_suffix(".new")  # also the lock: if it exists, another process is writing
        try:
            descriptor = os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise AccountsError(
                f"Another command is changing {self.path}; try again, or remove {new_file} if there is none."
            ) from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                accounts = dict(self.all())
                edit(accounts)
                content = _File([account for _, account in sorted(accounts.items())])
                file.write(msgspec.json.format(msgspec.json.encode(content)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new_file, self.path)
        except BaseException:
            new_file.unlink(missing_ok=True)
            raise


def identify(path: Path) -> StatId | None:
    """Return an identifier that changes when the file changes; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _load(path: Path) -> dict[str, Account]:
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise AccountsError(f"Users other than its owner can read {path}; run `chmod 600 {path}`.")
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise AccountsError(
            f"{path} cannot be read ({error.strerror}); make the dashboard's user its owner."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountsError(
            f"{path} is not a valid accounts file ({error}); restore it, or remove it and add the accounts again."
        ) from error
    return {account.name: account for account in content.accounts}
