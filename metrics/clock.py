"""The present: asked here and nowhere else, so that tests and demonstrations can give every process its own.

`VIGIE_CLOCK=2026-11-25T14:00Z` is what the clock shows when it is first asked, and from then on it runs as the
machine's does. The processes that this one starts show the same time: the instant in the environment is replaced by the
seconds that it lies ahead of the machine's clock. What waits goes by the monotonic clock, which nothing changes.
"""

import datetime as dt
import logging
import os
import time
from functools import cache

from metrics.errors import ConfigurationError

VARIABLE = "VIGIE_CLOCK"

log = logging.getLogger("vigie.clock")


def now() -> dt.datetime:
    """Return the present instant, in UTC."""
    return dt.datetime.fromtimestamp(now_s(), dt.UTC)


def now_s() -> float:
    """Return the present instant [s since 1970].

    Raises ConfigurationError when VIGIE_CLOCK is neither an instant nor a number of seconds.
    """
    return _ahead_s() + time.time()  # in this order: when first asked, it shows the instant itself


def shown_at(machine_s: float) -> float:
    """Return what the clock shows [s since 1970] when a machine's shows `machine_s`, as an identity provider's does."""
    return machine_s + _ahead_s()


@cache
def _ahead_s() -> float:
    """Return how far the clock is ahead of the machine's [s], and tell it to processes that are started later."""
    given = os.environ.get(VARIABLE)
    if not given:
        return 0.0
    ahead_s = seconds_ahead(given, time.time())
    if given[0] not in "+-":
        os.environ[VARIABLE] = f"{ahead_s:+}"
        log.warning("the clock shows %s and not the present: %s is for tests and demonstrations", given, VARIABLE)
    return ahead_s


def seconds_ahead(given: str, machine_s: float) -> float:
    """Return how far ahead [s] of a machine's clock at `machine_s` [s since 1970] a clock is that is set so."""
    if given[0] in "+-":
        try:
            return float(given)
        except ValueError as error:
            raise _unusable(given) from error
    try:
        instant = dt.datetime.fromisoformat(given)
    except ValueError as error:
        raise _unusable(given) from error
    if instant.tzinfo is None:
        raise _unusable(given)
    return instant.timestamp() - machine_s


def _unusable(given: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE}={given!r} is no instant; write it with its zone, as 2026-11-25T14:00Z, or leave it empty."
    )
