"""From a cookie to a Viewer. Everything is asked anew: who was removed a second ago sees nothing any more."""

import logging
import os
from collections.abc import Collection
from functools import cache
from pathlib import Path

from metrics.authorisation.viewer import ROLES, Role, Viewer
from metrics.configuration import campaigns
from metrics.configuration.campaigns import Configuration
from metrics.errors import ConfigurationError
from pages.accounts.errors import AccountsError
from pages.accounts.sessions import ALL, Session, Sessions, Told, secret_of
from pages.accounts.store import Account, Accounts, StatId, identify

log = logging.getLogger("vigie.access")


class Access:
    """The accounts and sessions of one directory, and the campaigns that their limits speak of."""

    def __init__(self, directory: Path, configuration: Path) -> None:
        self.accounts = Accounts(directory)
        self.sessions = Sessions(directory)
        self._path = configuration
        self._read: tuple[StatId | None, Configuration | None] = (None, None)
        self._said = ""

    def viewer(self, cookie: str | None, now: float) -> Viewer | None:
        """Return who holds this session cookie; None when nobody does, or not any more."""
        session = self.sessions.read(cookie, now)
        return None if session is None else self.viewer_in(session)

    def viewer_in(self, session: Session) -> Viewer | None:
        """Return what a session that holds shows now."""
        if session.told is not None:
            return self._viewer_told(session.name, session.told)
        try:
            account = self.accounts.get(session.name)
        except AccountsError as error:  # nobody is let in by a file that cannot be trusted
            self._say(str(error))
            return None
        return self.viewer_of(account) if account is not None and account.stamp == session.stamp else None

    def viewer_of(self, account: Account) -> Viewer:
        """Return what an account may see."""
        limits = (account.clients, account.campaigns)
        return self._viewer(account.role, account.name, limits if any(limits) else None, account.sites or None)

    def _viewer_told(self, name: str, told: Told) -> Viewer | None:
        """Return what a person may see whom a provider told of: as `[[people]]` says, else as the claims say."""
        configuration = self.configuration()
        if configuration is None:
            return None
        for person in configuration.people:
            if person.subject == told.subject if person.subject else person.email == told.email:
                limits = (person.clients, person.campaigns)
                return self._viewer(person.role, name, limits if any(limits) else None, person.sites or None)
        claims = configuration.claims
        roles = [role for role in ROLES if claims.role and role in told.roles]
        if len(roles) != 1:
            return None
        # a claim that is asked for limits, also when the provider forgets it
        is_limited = (claims.clients or claims.campaigns) and ALL not in (*told.clients, *told.campaigns)
        asked = (told.clients, told.campaigns) if is_limited else None
        return self._viewer(roles[0], name, asked, told.sites if claims.sites and ALL not in told.sites else None)

    def _viewer(
        self,
        role: Role,
        name: str,
        limits: tuple[Collection[str], Collection[str]] | None,
        sites: Collection[str] | None,
    ) -> Viewer:
        """Return a Viewer of the campaigns of these clients, and these campaigns; None does not limit.

        A client sees somebody's campaigns: without a limit, none.
        """
        seen = None
        if limits is not None or role == "client":
            clients, campaigns = limits or ((), ())
            configuration = self.configuration()
            seen = configuration.campaigns_of(clients, campaigns) if configuration else frozenset(campaigns)
        return Viewer(role, seen, name, None if sites is None else frozenset(sites))

    def configuration(self) -> Configuration | None:
        """Return the newest configuration that could be read; None when there is none.

        A slip of the pen in the file must not turn every wall dark, so until it is mended the last good one holds.
        """
        found = identify(self._path)
        if found != self._read[0]:
            try:
                self._read = (found, campaigns.load(self._path) if found else None)
            except ConfigurationError as error:
                self._say(f"{error} What was read before still says who sees which campaigns.")
                self._read = (found, self._read[1])
        return self._read[1]

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.error(words)


def access() -> Access:
    """Return the access of this process: VIGIE_ACCESS_DIR, else `access` in the data directory."""
    return _access(access_dir(), configuration_path())


def pseudonym_key() -> bytes:
    """Return what agents' pseudonyms are made with: apart from the sessions' secret, which may change any day."""
    return secret_of(access_dir(), "pseudonyms", "VIGIE_PSEUDONYM_SECRET").encode()


def access_dir() -> Path:
    data_dir = Path(os.environ.get("VIGIE_DATA_DIR") or "data")
    return Path(os.environ.get("VIGIE_ACCESS_DIR") or data_dir / "access").resolve()


def configuration_path() -> Path:
    return Path(os.environ.get("VIGIE_CAMPAIGNS") or "campaigns.toml").resolve()


@cache
def _access(directory: Path, configuration: Path) -> Access:
    return Access(directory, configuration)
