"""The current time. Everything takes it from here, so that tests and demonstrations can set it for all processes.

With `VIGIE_CLOCK=2026-11-25T14:00Z` the clock shows that instant when it is first read, and then runs at normal speed.
Child processes show the same time: the instant in the environment is replaced by its lead over the machine's clock in
seconds. Waits use the monotonic clock, which is never changed.
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
    return _ahead_s() + time.time()  # in this order, so that the first call returns the instant itself


def shown_at(machine_s: float) -> float:
    """Return this clock's time [s since 1970] for a time by the machine's clock, such as an identity provider's."""
    return machine_s + _ahead_s()


@cache
def _ahead_s() -> float:
    """Return how far this clock is ahead of the machine's [s], and set it in the environment for child processes."""
    given = os.environ.get(VARIABLE)
    if not given:
        return 0.0
    ahead_s = seconds_ahead(given, time.time())
    if given[0] not in "+-":
        os.environ[VARIABLE] = f"{ahead_s:+}"
        log.warning("the clock was set to %s: %s is for tests and demonstrations only", given, VARIABLE)
    return ahead_s


def seconds_ahead(given: str, machine_s: float) -> float:
    """Return how far [s] a clock set to `given` is ahead of a machine's clock at `machine_s` [s since 1970]."""
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
        f"{VARIABLE}={given!r} is not an instant; write it with its zone, as 2026-11-25T14:00Z, or leave it empty."
    )
