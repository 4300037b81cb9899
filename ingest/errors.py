"""Everything that can stop a command.

VigieError              said to the user in one sentence that says what to do; exit 1
├── UsageError          the command line or its environment is wrong; exit 2
├── BrokerUnavailable   Kafka cannot be reached
└── StoreError          the data directory cannot be used (read-only, in use, corrupt, full)

A bad record is none of these: it becomes a row in `dead_letters` and the feed goes on.
"""


class VigieError(Exception):
    """A command cannot go on; the message is one sentence that names what was wrong, where, and what to do."""

    exit_code = 1


class UsageError(VigieError):
    """An option or a variable of the environment has a value that cannot be used."""

    exit_code = 2


class BrokerUnavailable(VigieError):
    """Kafka did not answer, or not as Kafka does."""


class StoreError(VigieError):
    """The data directory cannot be read or written."""
