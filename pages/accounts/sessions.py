"""Sessions, each in a signed cookie with an end. Signing out ends a session early.

A session is kept in the browser, because every link loads a new page and a television outlives the server. Its content
is not secret, and not trusted without its signature. access.py looks up at every request what the session may see.
"""

import contextlib
import hashlib
import logging
import os
import secrets
from pathlib import Path

import msgspec
from itsdangerous import BadSignature, URLSafeSerializer

from pages.accounts.errors import AccountsError
from pages.accounts.store import Account, StatId, identify

COOKIE = "vigie_session"
PERSON_S = 12 * 3600
"""A person has to sign in again after this time: a shift, not a month."""
TELEVISION_S = 400 * 86_400
"""The longest that browsers keep a cookie. Revoking its token ends a television's session earlier."""
SECRET = "secret"
SECRET_VARIABLE = "VIGIE_SIGN_IN_SECRET"
SHORTEST_SECRET = 32
ALL = "*"
ENDED = "ended"
"""File of the sessions that were signed out before their end. A line has that end [s since 1970] and the id."""

log = logging.getLogger("vigie.access")


class ProviderClaims(msgspec.Struct, frozen=True):
    """What an identity provider says about a person. `email` is empty unless verified; ALL in a limit is no limit."""

    subject: str
    email: str = ""
    roles: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


class Session(msgspec.Struct, frozen=True):
    """A session of an account, or of a person from the identity provider.

    `until` is its end [s since 1970]. `stamp` is that of the account when the session began; a person from the provider
    has `claims` instead.
    """

    id: str
    name: str
    until: int
    stamp: str = ""
    claims: ProviderClaims | None = None


class Sessions:
    """Signs and reads sessions, and remembers which have been ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._signer = URLSafeSerializer(
            secret_of(directory),
            salt=COOKIE,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )
        self._ended: tuple[StatId | None, frozenset[str]] = (None, frozenset())
        self._ended_here: set[str] = set()

    def begin(self, account: Account, now: float) -> Session:
        lasts_s = TELEVISION_S if account.role == "television" else PERSON_S
        return Session(secrets.token_urlsafe(16), account.name, int(now) + lasts_s, account.stamp)

    def cookie(self, session: Session) -> str:
        return str(self._signer.dumps(msgspec.to_builtins(session)))

    def read(self, cookie: str | None, now: float) -> Session | None:
        """Return the session of a cookie; None if the cookie is not ours, or the session is over or was ended."""
        if not cookie:
            return None
        try:
            session = msgspec.convert(self._signer.loads(cookie), Session)
        except (BadSignature, msgspec.ValidationError):
            return None
        return session if now < session.until and not self.is_ended(session.id) else None

    def end(self, session: Session, now: float) -> None:
        """End a session for good, wherever its cookie may be. Drop expired sessions from the file."""
        self._ended_here.add(session.id)
        path = self._directory / ENDED
        try:
            lines = path.read_text().splitlines() if path.exists() else []
            unexpired = [line for line in lines if float(line.split()[0]) > now]
            new_file = path.with_suffix(".new")
            _write_private(new_file, "".join(f"{line}\n" for line in (*unexpired, f"{session.until} {session.id}")))
            os.replace(new_file, path)
        except (OSError, ValueError) as error:
            log.error("%s cannot be written, so a session is ended only until this process restarts: %s", path, error)

    def is_ended(self, session_id: str) -> bool:
        path = self._directory / ENDED
        version = identify(path)
        if self._ended[0] != version:
            lines = path.read_text().splitlines() if version else []
            self._ended = (version, frozenset(line.split()[-1] for line in lines if line))
        return session_id in self._ended_here or session_id in self._ended[1]


def secret_of(directory: Path, name: str = SECRET, variable: str = SECRET_VARIABLE) -> str:
    """Return the secret that signs cookies: the environment variable, or else a file, which is made if missing.

    Other secrets have another file `name` and `variable`.
    """
    secret = os.environ.get(variable)
    if secret:
        if len(secret) < SHORTEST_SECRET:
            raise AccountsError(
                f"{variable} has {len(secret)} characters; give it at least {SHORTEST_SECRET} random ones."
            )
        return secret
    path = directory / name
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_text().strip()
    except OSError as error:
        raise AccountsError(
            f"{path} cannot be made or read ({error.strerror}); let the dashboard's user write to the directory, "
            f"or set {variable}."
        ) from error
    if len(secret) < SHORTEST_SECRET:
        raise AccountsError(f"The secret in {path} is too short; remove the file, and a new secret is made.")
    return secret


def _make_secret(path: Path) -> None:
    """Make the file atomically. If two processes start together, both use the secret of the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new_file = path.with_suffix(f".{os.getpid()}")
    _write_private(new_file, secrets.token_urlsafe(48))
    with contextlib.suppress(FileExistsError):
        os.link(new_file, path)
    new_file.unlink()


def _write_private(path: Path, content: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
