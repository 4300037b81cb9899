"""The checksums of the Parquet files that count: they show damage that DuckDB reads without an error.

A file gets its checksum when it is written, one of an older Vigie when it is checked first. A file is checked before
its rows are written elsewhere, which is when it is merged or recalled from. After each publish a piece of the files is
read too, so that all are checked about once a day, at no cost at a start and little at a publish. What is damaged is
marked in the store, and an alarm rings until the file is as it was written, or no longer counts.
"""

import logging
import random
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import duckdb

from ingest import statements
from ingest.archive.inventory import EVENTS, OF_MONTHS, PUBLISHED, day_of, folder_of, frozen_before, relation_of
from ingest.errors import StoreError

ALL = (EVENTS, *PUBLISHED)
ORIGINALS = (EVENTS, "dead_letters")  # the other files can be made of events again, unless these are gone
CHECKSUMS = statements.read_parts("archive/checksums.sql")

log = logging.getLogger(__name__)

PIECE = 1 << 20  # [bytes] that are read at a time, and after each publish: a millisecond
FILE_COSTS = PIECE // 16  # opening a file and asking for its checksum take as long as reading this much
ROUND_EVERY_S = 86_400.0
#: What to do about a damaged file. Its name is its own for ever, so it can be restored alone.
RESTORE_FILE = (
    "stop the consumer, restore this one file from a backup and start again; without a backup see Damaged files in"
    " docs/operate.md."
)
REMAKE_FILE = "stop the consumer and run `python -m ingest rebuild`, which makes it again from the archived events."


class Checksums:
    """The checksums of the files in `data_dir`, in the store that `connection` has open."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
        self._connection = connection
        self._sql = connection.execute
        self._data_dir = data_dir
        self._sound: set[str] = set()  # files that this process wrote, or has checked to use their rows
        self._round: Iterator[None] | None = None
        self._round_from = -ROUND_EVERY_S

    def check_damaged(self) -> None:
        """Check again what is marked as damaged: it may have been restored."""
        for relation, name in self._sql(CHECKSUMS["damaged"]).fetchall():
            self._compare(name, crc32_of(self._file(relation, name)))

    def marked(self) -> set[str]:
        """The names of the files that are marked as damaged."""
        return {name for _, name in self._sql(CHECKSUMS["damaged"]).fetchall()}

    def note(self, name: str, file: Path) -> None:
        """Note the checksum of a file that was just written."""
        self._note(name, crc32_of(file), False)
        self._sound.add(name)

    def forget(self, names: list[str]) -> None:
        """Forget files that no longer count."""
        self._sql(CHECKSUMS["forget"], {"files": names})

    def damaged(self, relation: str, names: Iterable[str], again: bool = True) -> set[str]:
        """Check the files `names`, mark those that are damaged, and return these. `again` as in `require`."""
        damaged = set()
        for name in names:
            if not again and name in self._sound:
                continue
            if self._compare(name, crc32_of(self._file(relation, name))):
                self._sound.add(name)
            else:
                damaged.add(name)
        return damaged

    def require(self, relation: str, names: Iterable[str], again: bool = True) -> None:
        """Raise StoreError if one of the files `names` is damaged. Not `again`: not those that were found sound."""
        for name in sorted(self.damaged(relation, names, again)):
            raise StoreError("; ".join(damage(self._connection, self._file(relation, name))))

    def check_some(self) -> None:
        """Check the next piece of the files that count. A round of all files begins once a day."""
        if self._round is None and time.monotonic() - self._round_from >= ROUND_EVERY_S:
            self._round_from = time.monotonic()
            self._round = self._check_all()
        if self._round and next(self._round, self._round):
            self._round = None

    def _check_all(self) -> Iterator[None]:
        """Check all files that count; yield after each piece."""
        counted = self._sql(CHECKSUMS["counted"]).fetchall()
        random.shuffle(counted)  # a consumer that is often started again reads others each time
        read = 0
        for relation, name in counted:
            crc32: int | None = 0
            try:
                for piece in _read(self._file(relation, name)):
                    crc32 = zlib.crc32(piece, crc32 or 0)
                    read += len(piece)
                    if read >= PIECE:
                        read = 0
                        yield
            except OSError:
                crc32 = None
            self._compare(name, crc32)
            read += FILE_COSTS

    def _compare(self, name: str, crc32: int | None) -> bool:
        """Compare a file with its checksum, mark and log a change; return whether it is sound. None: it is unreadable.

        A file without a checksum gets this one. A file that no longer counts is sound.
        """
        row = self._sql(CHECKSUMS["known"], {"file": name}).fetchone()
        if row is None:
            return True
        relation, known, was_damaged = row
        is_damaged = _differs(crc32, known)
        if known is None or is_damaged != was_damaged:
            self._note(name, crc32 if known is None else known, is_damaged)
        if is_damaged != bool(was_damaged):
            file = self._file(relation, name)
            if is_damaged:
                log.error("%s; %s", *damage(self._connection, file))
            else:
                log.info("%s is as it was written again", file)
        return not is_damaged

    def _note(self, name: str, crc32: int | None, is_damaged: bool) -> None:
        self._sql(CHECKSUMS["note"], {"file": name, "crc32": crc32, "is_damaged": is_damaged})

    def _file(self, relation: str, name: str) -> Path:
        return folder_of(self._data_dir, relation) / name


def damaged_files(
    connection: duckdb.DuckDBPyConnection, data_dir: Path, again: bool, relations: Collection[str] = ALL
) -> set[Path]:
    """Which files of `relations` that count are damaged: as the consumer has marked them or, if `again`, as they are.

    The store is the connection's default catalog. If an older Vigie wrote it, it has no checksums.
    """
    if not connection.execute(CHECKSUMS["has_checksums"]).fetchone():
        return set()
    damaged = set()
    for relation, name, crc32, is_damaged in connection.execute(CHECKSUMS["of_counted"]).fetchall():
        file = folder_of(data_dir.resolve(), relation) / name
        if relation in relations and (_differs(crc32_of(file), crc32) if again else is_damaged):
            damaged.add(file)
    return damaged


def damage(connection: duckdb.DuckDBPyConnection, file: Path) -> tuple[str, str]:
    """What is wrong with a damaged file of the store in the connection's default catalog, and what to do."""
    relation = relation_of(file)
    is_of_month = relation in OF_MONTHS.values()  # made from the files of its days, which stay
    has_events = relation not in ORIGINALS and (is_of_month or day_of(file) >= frozen_before(connection))
    remedy = REMAKE_FILE if has_events else RESTORE_FILE
    return f"{file} is damaged: it differs from its checksum", remedy


def crc32_of(file: Path) -> int | None:
    """The checksum of a file; None if it cannot be read."""
    crc32 = 0
    try:
        for piece in _read(file):
            crc32 = zlib.crc32(piece, crc32)
    except OSError:
        return None
    return crc32


def _differs(crc32: int | None, known: int | None) -> bool:
    return crc32 is None or (known is not None and crc32 != known)


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as content:
        while piece := content.read(PIECE):
            yield piece
