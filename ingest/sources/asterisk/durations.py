"""What a line says of the wait and the talk that end with it, and so of lines before it that were lost.

The places of the fields are those of apps/app_queue.c, from Asterisk 1.4 to 22. Older versions leave fields out at the
end; docs/sources.md has the table.
"""

import datetime as dt

from ingest.sources.asterisk.queue_log import Entry

LONGEST_S = 24 * 3600.0  # a longer call is a mistake in the line

WAIT_AT = {
    "CONNECT": 1,
    "COMPLETEAGENT": 1,
    "COMPLETECALLER": 1,
    "TRANSFER": 3,
    "BLINDTRANSFER": 3,
    "ATTENDEDTRANSFER": 3,
    "ABANDON": 3,
    "EXITWITHTIMEOUT": 3,
    "EXITEMPTY": 3,
    "WITHDRAW": 3,
    "EXITWITHKEY": 4,
}
TALKS = ("COMPLETEAGENT", "COMPLETECALLER", "TRANSFER", "BLINDTRANSFER", "ATTENDEDTRANSFER")  # the talk comes next


def wait_s(entry: Entry) -> float | None:
    """How long the caller waited; None when the line does not say."""
    return entry.seconds(_wait_at(entry)) if entry.event in WAIT_AT else None


def talk_s(entry: Entry) -> float | None:
    """How long they talked before this line; None when the line does not say."""
    return entry.seconds(_wait_at(entry) + 1) if entry.event in TALKS else None


def began_at(entry: Entry) -> dt.datetime | None:
    """When the call entered the queue, counted back from this line; None when the line does not say."""
    wait, talk = wait_s(entry), talk_s(entry) if entry.event in TALKS else 0.0
    if wait is None or talk is None or wait + talk > LONGEST_S:
        return None
    return entry.at - dt.timedelta(seconds=wait + talk)


def _wait_at(entry: Entry) -> int:
    is_link = entry.event == "ATTENDEDTRANSFER" and entry.data_field(1) == "LINK"  # names two channels
    return WAIT_AT[entry.event] + is_link
