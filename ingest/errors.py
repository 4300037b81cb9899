"""Everything that can stop a command.

VigieError              printed for the user as one sentence that says what to do; exit 1
├── UsageError          the command line or its environment is wrong; exit 2
├── BrokerUnavailable   Kafka cannot be reached
└── StoreError          the data directory cannot be used (read-only, in use, corrupt, full)

A bad record is none of these: it becomes a row in `dead_letters` and the feed goes on.
"""

from pathlib import Path

#: What to do about a store that cannot be used. Its file and the files beside it belong together.
RESTORE_OR_REBUILD = (
    "restore the whole data directory from a backup, or run `python -m ingest rebuild`,"
    " which rebuilds it from the events that are archived in it."
)


class VigieError(Exception):
    """A command cannot go on; the message is one sentence that says what was wrong, where, and what to do."""

    exit_code = 1


class UsageError(VigieError):
    """An option or an environment variable has a value that cannot be used."""

    exit_code = 2


class BrokerUnavailable(VigieError):
    """Kafka did not answer, or what answered is not Kafka."""


class StoreError(VigieError):
    """The data directory cannot be read or written."""


def is_full(error: Exception) -> bool:
    """Whether writing failed for lack of space."""
    return any(reason in str(error) for reason in ("No space left", "File too large", "Disk quota exceeded"))


def is_damaged(error: Exception) -> bool:
    """Whether stored data could not be read: a block of the store, or a file of a settled day."""
    text = str(error)
    is_refused = any(reason in text for reason in ("Permission denied", "Read-only", "Too many open files"))
    damage = ("Corrupt database file", "Corrupt WAL file", "not a valid DuckDB database", "Could not read enough bytes")
    return any(reason in text for reason in damage) or (".parquet" in text and not is_refused and not is_full(error))


def is_locked(error: Exception) -> bool:
    """Whether another process has the file open."""
    return "Conflicting lock" in str(error) or "Could not set lock" in str(error)


def is_forbidden(error: Exception) -> bool:
    """Whether this user lacks the permission to write."""
    return "Permission denied" in str(error) or "read-only" in str(error).lower()


def open_failure(path: Path, error: Exception) -> StoreError:
    """The error to raise when DuckDB could not open the store at `path`."""
    if is_full(error):
        return disk_trouble(str(path), error)
    if is_locked(error):
        return StoreError(f"{path} is in use by another consumer; stop that one, or give this one another --data-dir.")
    if is_forbidden(error):
        return StoreError(f"{path} cannot be written; give its folder to this user, or choose another --data-dir.")
    what = "it is not a DuckDB file" if "not a valid DuckDB" in str(error) else str(error).splitlines()[0]
    return StoreError(f"{path} cannot be opened ({what}); {RESTORE_OR_REBUILD}")


def disk_trouble(what: str, error: Exception) -> StoreError:
    """The error to raise when the disk refused `what`. Nothing that was committed is lost."""
    text = str(error).splitlines()[0]
    if is_full(error):
        return StoreError(f"{what} could not be written, the disk is full; free some space and start again.")
    if is_damaged(error):
        return StoreError(f"{what} could not be written: stored data is damaged ({text}); {RESTORE_OR_REBUILD}")
    return StoreError(f"{what} could not be written ({text}); check the disk and start again.")
