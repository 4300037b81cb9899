"""How passwords and televisions' tokens are stored: as hashes, which can be checked but not reversed."""

import hashlib
import hmac
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from pages.accounts.errors import AccountsError

SHORTEST, LONGEST = 12, 256
"""Length of a password [characters]. A longer one is cut before hashing, because a stranger's attempt must be cheap."""

_hasher = PasswordHasher()  # the RFC 9106 parameters for a machine with little memory: 64 MiB, 3 passes


def proof_of(password: str) -> str:
    """Return the hash of a password. Raise AccountsError if the password is easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountsError(f"The password has {len(password)} characters; choose {SHORTEST} to {LONGEST}.")
    if len(set(password)) < SHORTEST // 3:
        raise AccountsError("The password repeats very few characters; choose another.")
    return _hasher.hash(password)


def is_right(proof: str | None, password: str) -> bool:
    """Whether the password is right. Without a proof (no such account) the answer is no and takes as long."""
    try:
        return _hasher.verify(proof or _unknown_proof(), password[: LONGEST + 1]) and proof is not None
    except VerificationError:
        return False


@cache
def _unknown_proof() -> str:
    """Return the hash of a password that nobody knows."""
    return _hasher.hash(secrets.token_urlsafe())


def new_token() -> str:
    """Return a new television's token: 256 random bits, so many that a plain SHA-256 of it is safe to store."""
    return secrets.token_urlsafe(32)


def token_proof(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def is_token(proof: str, token: str) -> bool:
    return hmac.compare_digest(proof, token_proof(token))
