"""The direction of a log: whether its instants run forwards, and how sure that is."""

import datetime as dt
from collections import Counter

DISORDER = dt.timedelta(seconds=5)  # lines may be out of order by this much
ENOUGH = 20  # steps


class Direction:
    """Takes the instants of a log in the order in which they stand there. A few seconds backwards are usual."""

    def __init__(self) -> None:
        self._last_at: dt.datetime | None = None
        self._steps: Counter[bool] = Counter()
        self.jumps = False  # some instant is much older than the one before

    def note(self, at: dt.datetime) -> None:
        if self._last_at and at != self._last_at:
            self._steps[at < self._last_at] += 1
            self.jumps = self.jumps or at + DISORDER < self._last_at
        self._last_at = at

    @property
    def is_newest_first(self) -> bool:
        """Whether most instants are older than the one before."""
        return self._steps[True] > self._steps[False]

    @property
    def is_sure(self) -> bool:
        """Whether there were enough instants to tell the direction of a log that is still being written."""
        return self._steps.total() > ENOUGH

    @property
    def is_backwards(self) -> bool:
        """Whether the newest comes first, and not only by a few lines that are a few seconds out of order."""
        return self.is_newest_first and (self.is_sure or self.jumps)
