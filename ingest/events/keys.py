"""The keys by which persons are known again without their numbers, and the list of persons who were erased.

Both are in one folder, outside the data directory: whoever has a copy of the data alone can try no number against it,
and an erased person stays erased when a backup of the data is restored.
"""

import contextlib
import datetime as dt
import functools
import hashlib
import hmac
import os
import secrets
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ingest.errors import UsageError

VARIABLE = "VIGIE_CALLER_KEY"
KEY_FILE = "caller.keys"
ERASED_FILE = "erased"
SHORTEST_KEY = 32
KEY_LENGTH = 20  # hexadecimal digits: two of a billion callers share a key once in a million such floors
FIRST_DAY = dt.date(1970, 1, 1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Kind = Literal["caller", "agent"]


class Keys:
    """Keys, each in force from a UTC day on; the first one also before it.

    An event is read by the key of its own time, so that reading it again gives the same, also after a later key came.
    """

    def __init__(self, keys: Iterable[tuple[dt.date, str]]) -> None:
        ordered = sorted(keys)
        self._keys = [key.encode() for _, key in ordered]
        self._begins_us = [(day - FIRST_DAY).days * 86_400_000_000 for day, _ in ordered]

    def period(self, at_us: int) -> int:
        """Which of the keys, from 0, is in force at an instant [µs since 1970]."""
        return max(0, bisect_right(self._begins_us, at_us) - 1)

    def hashed(self, kind: Kind, person: str, period: int) -> str:
        """The keyed hash of a person: for a caller the normalised number, for an agent the id."""
        message = f"{kind}\0{person}".encode(errors="surrogatepass")
        return hmac.digest(self._keys[period], message, hashlib.sha256).hex()[:KEY_LENGTH]

    def all_hashes(self, kind: Kind, person: str) -> list[str]:
        """The keyed hashes of a person by each key."""
        return [self.hashed(kind, person, period) for period in range(len(self._keys))]


@dataclass(frozen=True)
class Erased:
    """Who was erased, by hash, and until when [µs since 1970]: what they did later is kept. Agents have a pseudonym."""

    callers: Mapping[str, int]
    agents: Mapping[str, tuple[int, str]]

    @functools.cached_property
    def before_us(self) -> int:
        """The latest of these instants: no later event is of an erased person."""
        return max((*self.callers.values(), *(until for until, _ in self.agents.values())), default=0)

    @property
    def hashes(self) -> frozenset[str]:
        return frozenset({*self.callers, *self.agents})


NOBODY = Erased({}, {})


def normalised(number: str) -> str:
    """The digits of a phone number, with + before an international one; empty if there are fewer than three.

    Spaces, dots, brackets, `tel:`, `sip:` and what follows the number in such an address make no difference, and 00 is
    +. A national number stays apart from the international form of the same line: its country is not known.
    """
    text = number.strip()
    for scheme in ("tel:", "sips:", "sip:"):
        if text[: len(scheme)].casefold() == scheme:
            text = text[len(scheme) :]
    text = text.split("@")[0].split(";")[0]
    digits = "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())
    if len(digits) < 3:
        return ""
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if text.lstrip(" (").startswith("+") else digits


def folder_of(data_dir: Path, chosen: Path | None) -> Path:
    """The folder of the keys: the chosen one, or one beside the data directory. Raises UsageError if it is inside."""
    place = data_dir.resolve()
    folder = (chosen or place.with_name(f"{place.name}-keys")).resolve()
    if folder.is_relative_to(place):
        raise UsageError(f"The keys in {folder} would be copied with the data in {place}; choose another --keys-dir.")
    return folder


def load(folder: Path) -> Keys:
    """The key of the variable, or those in the folder; the first start makes one. Raises UsageError."""
    if key := os.environ.get(VARIABLE):
        if len(key) < SHORTEST_KEY:
            raise UsageError(f"{VARIABLE} has {len(key)} characters; give it at least {SHORTEST_KEY} random ones.")
        return Keys([(FIRST_DAY, key)])
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be made or read ({error.strerror}); let this user write to its folder, choose another"
            f" --keys-dir, or set {VARIABLE}."
        ) from error
    return Keys(_key(path, number, line) for number, line in enumerate(lines, 1) if line.strip())


def erased(folder: Path) -> Erased:
    """Who is in the folder's list. A line: caller or agent, the hash, the instant, and for an agent the pseudonym."""
    path = folder / ERASED_FILE
    if not path.exists():
        return NOBODY
    callers: dict[str, int] = {}
    agents: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            kind, person, at, *pseudonym = line.split()
            at_us = (dt.datetime.fromisoformat(at) - EPOCH) // dt.timedelta(microseconds=1)
            if kind == "caller" and not pseudonym:
                callers[person] = max(at_us, callers.get(person, 0))
            elif kind == "agent":
                (agents[person],) = ((at_us, name) for name in pseudonym)
            else:
                raise ValueError
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}, line {number}, cannot be read; restore the file from a backup.") from error
    return Erased(callers, agents)


def note_erased(folder: Path, kind: Kind, hashes: Iterable[str], at: dt.datetime, pseudonym: str = "") -> None:
    """Add a person to the folder's list, by each key. Raises UsageError when the folder cannot be written."""
    path = folder / ERASED_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.writelines(f"{kind} {person} {at.isoformat()} {pseudonym}".rstrip() + "\n" for person in hashes)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); nothing was erased.") from error


def _key(path: Path, number: int, line: str) -> tuple[dt.date, str]:
    day, _, key = line.strip().partition(" ")
    try:
        from_day = dt.date.fromisoformat(day)
    except ValueError:
        from_day = None
    if from_day is None or len(key) < SHORTEST_KEY:
        allowed = f"the day from which a key is in force, a space, and at least {SHORTEST_KEY} random characters"
        raise UsageError(f"{path}, line {number}: allowed is {allowed}.")
    return from_day, key


def _make(path: Path) -> None:
    """Make the file atomically. If two processes start together, both use the key of the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new_file = path.with_suffix(f".{os.getpid()}")
    handle = os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{FIRST_DAY} {secrets.token_hex(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(new_file, path)
    new_file.unlink()
