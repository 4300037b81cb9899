"""How a password and a television's token are kept: as what they can be checked by, and not be got back from."""

import hashlib
import hmac
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from pages.accounts.errors import AccountsError

SHORTEST, LONGEST = 12, 256
"""Characters of a password. Longer ones are not read: hashing what a stranger sends must cost little."""

_hasher = PasswordHasher()  # the RFC 9106 parameters for a machine with little memory: 64 MiB, 3 passes


def proof_of(password: str) -> str:
    """Return what a password is checked by; refuse one that is easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountsError(f"The password has {len(password)} characters; choose {SHORTEST} to {LONGEST}.")
    if len(set(password)) < SHORTEST // 3:
        raise AccountsError("The password repeats very few characters; choose another.")
    return _hasher.hash(password)


def is_right(proof: str | None, password: str) -> bool:
    """Whether the password fits. Without a proof, as for an account that does not exist, it takes as long to say no."""
    try:
        return _hasher.verify(proof or _nobodys(), password[: LONGEST + 1]) and proof is not None
    except VerificationError:
        return False


@cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())


def new_token() -> str:
    """Return a television's token: 256 random bits, so that a plain hash of it tells nothing."""
    return secrets.token_urlsafe(32)


def token_proof(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def is_token(proof: str, token: str) -> bool:
    return hmac.compare_digest(proof, token_proof(token))
