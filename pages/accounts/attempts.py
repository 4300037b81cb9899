"""The limit on attempts to sign in, counted in this process's memory: per account from an address, and per address.

An account that is locked from an address refuses the right password from there, too, and one that does not exist is
locked in the same way. So an attacker learns nothing from trying, and locks nobody out who is elsewhere.
"""

from collections import deque

PER_ACCOUNT, PER_ADDRESS = 5, 50
"""At most this many failed attempts within WITHIN_S. A whole floor may share one address."""
WITHIN_S = 15 * 60.0
MOST_KEYS = 10_000
"""Remember at most this many keys, and forget those first whose last attempt is longest ago."""


class Attempts:
    """Attempts by key: the failed ones, and those that are still being checked. Instants are seconds of any clock."""

    def __init__(self, most: int, within_s: float = WITHIN_S) -> None:
        self._most, self._within_s = most, within_s
        self._tried_at: dict[str, deque[float]] = {}

    def wait_s(self, key: str, now: float) -> float:
        """Return how long this key has to wait before its next attempt [s]; 0 if it need not wait."""
        tried_at = self._tried_at.get(key, deque())
        while tried_at and tried_at[0] <= now - self._within_s:
            tried_at.popleft()
        return tried_at[-self._most] + self._within_s - now if len(tried_at) >= self._most else 0.0

    def add(self, key: str, now: float) -> None:
        """Count an attempt. Call this before checking it, so that attempts in parallel are limited as well."""
        self._tried_at[key] = self._tried_at.pop(key, deque(maxlen=self._most))
        self._tried_at[key].append(now)
        while len(self._tried_at) > MOST_KEYS:
            del self._tried_at[next(iter(self._tried_at))]

    def forgive(self, key: str, *, all: bool = False) -> None:
        """Uncount the last attempt, because it was right; or all attempts of this key."""
        if all:
            self._tried_at.pop(key, None)
        elif self._tried_at.get(key):
            self._tried_at[key].pop()
