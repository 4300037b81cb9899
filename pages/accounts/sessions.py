"""Who signed in, as a cookie: signed so that nobody can make one, with an end, and ended early by signing out.

The page is loaded anew by every link, and a television outlives the server, so a session lives in the browser. What it
holds is no secret and not trusted without its signature; what it may see is asked anew every time (access.py).
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
"""A person signs in again after this: a shift, not a month."""
TELEVISION_S = 400 * 86_400
"""As long as browsers keep a cookie at all; a screen's session ends when its token is revoked."""
SECRET = "secret"
SECRET_VARIABLE = "VIGIE_SIGN_IN_SECRET"
SHORTEST_SECRET = 32
ALL = "*"
ENDED = "ended"
"""Sessions that were signed out of before their end, a line each: when they would have ended [s since 1970], id."""

log = logging.getLogger("vigie.access")


class Told(msgspec.Struct, frozen=True):
    """What an identity provider told of a person: `email` only if verified, and of limits ALL means none."""

    subject: str
    email: str = ""
    roles: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


class Session(msgspec.Struct, frozen=True):
    """A session of the account `name` as it was when it began, or of a person whom a provider told of.

    `until` [s since 1970] is its end.
    """

    id: str
    name: str
    until: int
    stamp: str = ""
    told: Told | None = None


class Sessions:
    """Signs sessions, reads them, and remembers which were ended."""

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
        """Return the session of a cookie; None when it is none of ours, over, or ended."""
        if not cookie:
            return None
        try:
            session = msgspec.convert(self._signer.loads(cookie), Session)
        except (BadSignature, msgspec.ValidationError):
            return None
        return session if now < session.until and not self.is_ended(session.id) else None

    def end(self, session: Session, now: float) -> None:
        """End a session for good, wherever its cookie is, and forget those that are over by themselves."""
        self._ended_here.add(session.id)
        path = self._directory / ENDED
        try:
            lines = path.read_text().splitlines() if path.exists() else []
            kept = [line for line in lines if float(line.split()[0]) > now]
            fresh = path.with_suffix(".new")
            _write_private(fresh, "".join(f"{line}\n" for line in (*kept, f"{session.until} {session.id}")))
            os.replace(fresh, path)
        except (OSError, ValueError) as error:
            log.error("a session was ended until this process ends, for %s cannot be written: %s", path, error)

    def is_ended(self, session_id: str) -> bool:
        path = self._directory / ENDED
        found = identify(path)
        if self._ended[0] != found:
            lines = path.read_text().splitlines() if found else []
            self._ended = (found, frozenset(line.split()[-1] for line in lines if line))
        return session_id in self._ended_here or session_id in self._ended[1]


def secret_of(directory: Path, name: str = SECRET, variable: str = SECRET_VARIABLE) -> str:
    """Return what cookies are signed with: of the environment, or of a file that is made when there is none yet.

    Other secrets have a name and a variable of their own.
    """
    given = os.environ.get(variable)
    if given:
        if len(given) < SHORTEST_SECRET:
            raise AccountsError(
                f"{variable} has {len(given)} characters; give it at least {SHORTEST_SECRET} random ones."
            )
        return given
    path = directory / name
    try:
        if not path.exists():
            _make_secret(path)
        known = path.read_text().strip()
    except OSError as error:
        raise AccountsError(
            f"{path} cannot be made or read ({error.strerror}); give the dashboard's user the directory, "
            f"or set {variable}."
        ) from error
    if len(known) < SHORTEST_SECRET:
        raise AccountsError(f"{path} is shorter than a secret; remove it, and a new one is made.")
    return known


def _make_secret(path: Path) -> None:
    """Make the file, whole at once: of two processes that start together both go on with the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    _write_private(fresh, secrets.token_urlsafe(48))
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _write_private(path: Path, words: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(words)
