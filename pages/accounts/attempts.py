"""How often somebody may try: counted an account and an address, in this process's memory.

An account that is locked answers the same to the right password, and one that does not exist is locked the same, so
that trying tells nothing.
"""

from collections import deque

AN_ACCOUNT, AN_ADDRESS = 5, 50
"""So many wrong attempts within WITHIN_S. A whole floor may share one address."""
WITHIN_S = 15 * 60.0
KEPT = 10_000
"""So many keys are remembered at most; those nobody tried for longest are forgotten first."""


class Attempts:
    """Attempts that failed, or are being looked at, by key. Instants are seconds of any one clock."""

    def __init__(self, most: int, within_s: float = WITHIN_S) -> None:
        self._most, self._within_s = most, within_s
        self._at: dict[str, deque[float]] = {}

    def wait_s(self, key: str, now: float) -> float:
        """Return how long this key has to wait before its next attempt; 0: it need not."""
        tried = self._at.get(key, deque())
        while tried and tried[0] <= now - self._within_s:
            tried.popleft()
        return tried[-self._most] + self._within_s - now if len(tried) >= self._most else 0.0

    def add(self, key: str, now: float) -> None:
        """Count an attempt, before it is looked at: many at once are as many as one after the other."""
        self._at[key] = self._at.pop(key, deque(maxlen=self._most))
        self._at[key].append(now)
        while len(self._at) > KEPT:
            del self._at[next(iter(self._at))]

    def forgive(self, key: str, *, all: bool = False) -> None:
        """Take back the last attempt, which was right, or all of them."""
        if all:
            self._at.pop(key, None)
        elif self._at.get(key):
            self._at[key].pop()
