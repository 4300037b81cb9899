"""From a cookie to a Viewer. Nothing is cached for a session: a person who has been removed sees nothing at once."""

import hashlib
import logging
import os
from collections.abc import Collection
from functools import cache
from pathlib import Path

from metrics import clock
from metrics.audit import trail
from metrics.audit.trail import HERE, OTHERS, AuditError, access_dir
from metrics.authorisation.viewer import ROLES, Role, Viewer
from metrics.configuration import campaigns
from metrics.configuration.campaigns import Configuration
from metrics.errors import ConfigurationError
from pages.accounts import passwords
from pages.accounts.errors import AccountsError
from pages.accounts.sessions import ALL, ProviderClaims, Session, Sessions, secret_of
from pages.accounts.store import Account, Accounts, StatId, identify

log = logging.getLogger("vigie.access")


class Access:
    """The accounts and sessions of one directory, and the configuration that their limits refer to."""

    def __init__(self, directory: Path, configuration: Path) -> None:
        self.accounts = Accounts(directory)
        self.sessions = Sessions(directory)
        self.audit = trail.Trail(directory, trail.kept_days())
        self._path = configuration
        self._read: tuple[StatId | None, Configuration | None] = (None, None)
        self._last_error = ""

    def viewer(self, cookie: str | None, now: float) -> Viewer | None:
        """Return the viewer of this session cookie; None if the session is invalid or has ended."""
        session = self.sessions.read(cookie, now)
        return None if session is None else self.viewer_in(session)

    def viewer_in(self, session: Session) -> Viewer | None:
        """Return the viewer of a valid session, with the rights they have now; None if they may see nothing."""
        if session.claims is not None:
            return self._viewer_of_claims(session.name, session.claims)
        account = self.all_accounts().get(session.name)
        return self.viewer_of(account) if account is not None and account.stamp == session.stamp else None

    def screen(self, token: str) -> Account | None:
        """Return the television with this token."""
        screens = (account for account in self.all_accounts().values() if account.role == "television")
        return next((screen for screen in screens if passwords.is_token(screen.proof, token)), None)

    def viewer_of_token(self, token: str) -> Viewer | None:
        """Return the viewer of the television with this token."""
        screen = self.screen(token)
        return None if screen is None else self.viewer_of(screen)

    def all_accounts(self) -> dict[str, Account]:
        """Return the accounts by name. A file that cannot be trusted lets nobody in."""
        try:
            return self.accounts.all()
        except AccountsError as error:
            self._log_once(str(error))
            return {}

    def viewer_of(self, account: Account) -> Viewer:
        """Return the viewer of an account."""
        limits = (account.clients, account.campaigns)
        return self._viewer(account.role, account.name, limits if any(limits) else None, account.sites or None)

    def _viewer_of_claims(self, name: str, claims: ProviderClaims) -> Viewer | None:
        """Return the viewer of a person from the provider: by `[[people]]` if they are in it, else by their claims."""
        configuration = self.configuration()
        if configuration is None:
            return None
        for person in configuration.people:
            if person.subject == claims.subject if person.subject else person.email == claims.email:
                limits = (person.clients, person.campaigns)
                return self._viewer(person.role, name, limits if any(limits) else None, person.sites or None)
        claim_names = configuration.claims
        roles = [role for role in ROLES if claim_names.role and role in claims.roles]
        if len(roles) != 1:
            return None
        # a configured claim limits even if the provider does not send it
        is_limited = (claim_names.clients or claim_names.campaigns) and ALL not in (*claims.clients, *claims.campaigns)
        limits_of_claims = (claims.clients, claims.campaigns) if is_limited else None
        sites = claims.sites if claim_names.sites and ALL not in claims.sites else None
        return self._viewer(roles[0], name, limits_of_claims, sites)

    def _viewer(
        self,
        role: Role,
        name: str,
        limits: tuple[Collection[str], Collection[str]] | None,
        sites: Collection[str] | None,
    ) -> Viewer:
        """Return a Viewer of these clients' campaigns and these campaigns; None is no limit.

        A client without a limit sees no campaign.
        """
        visible = None
        if limits is not None or role == "client":
            clients, campaigns = limits or ((), ())
            configuration = self.configuration()
            visible = configuration.campaigns_of(clients, campaigns) if configuration else frozenset(campaigns)
        return Viewer(role, visible, name, None if sites is None else frozenset(sites))

    def configuration(self) -> Configuration | None:
        """Return the newest valid configuration; None if there is no file.

        If the file is invalid, keep the last valid configuration: a typing error must not turn every wall dark.
        """
        version = identify(self._path)
        if version != self._read[0]:
            try:
                self._read = (version, campaigns.load(self._path) if version else None)
                self._note_configuration()
            except ConfigurationError as error:
                self._log_once(f"{error} Until it is corrected, the last valid one decides who sees which campaigns.")
                self._read = (version, self._read[1])
        return self._read[1]

    def _note_configuration(self) -> None:
        """Note in the audit trail that the configuration is another one than the last time."""
        content = self._path.read_bytes() if self._path.exists() else b""
        what = f"{self._path.name} · sha256 {hashlib.sha256(content).hexdigest()}"
        try:
            before = self.audit.entries(kind="configuration", most=1)
            if before[0].what != what if before else content:
                self.audit.append("configuration", who=OTHERS, address=HERE, what=what, at=clock.now_s())
        except AuditError as error:
            self._log_once(str(error))

    def _log_once(self, message: str) -> None:
        if message != self._last_error:
            self._last_error = message
            log.error(message)


def access() -> Access:
    """Return this process's Access to VIGIE_ACCESS_DIR, by default `access` in the data directory."""
    return _access(access_dir(), configuration_path())


def pseudonym_key() -> bytes:
    """Return the key of the agents' pseudonyms. It is not the secret of sessions, which may be changed at any time."""
    return secret_of(access_dir(), "pseudonyms", "VIGIE_PSEUDONYM_SECRET").encode()


def configuration_path() -> Path:
    return Path(os.environ.get("VIGIE_CAMPAIGNS") or "campaigns.toml").resolve()


@cache
def _access(directory: Path, configuration: Path) -> Access:
    return Access(directory, configuration)
