"""The data directory: only the consumer's user may write to it and only its group read it. Foreign logs are removed."""

import contextlib
import logging
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ingest.archive.inventory import EVENTS
from ingest.errors import StoreError
from metrics.published.opening import foreign_logs

log = logging.getLogger(__name__)

OF_OTHERS = stat.S_IWGRP | stat.S_IRWXO
TO_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def close(data_dir: Path, published: Path) -> None:
    """Take from the group the right to write to the data directory and what the consumer has in it; from others all."""
    still_open = []
    for path in _own(data_dir.resolve(), published.resolve()):  # it may be a link to another disk
        if not path.exists():
            continue
        mode = path.lstat().st_mode
        if mode & OF_OTHERS and not stat.S_ISLNK(mode):
            try:
                path.chmod(stat.S_IMODE(mode) & ~OF_OTHERS)
            except OSError as error:
                still_open.append(f"{path} ({error.strerror})")
    if still_open:
        log.warning("others may read or write %s, and this user cannot change that", ", ".join(still_open[:3]))


def _own(data_dir: Path, published: Path) -> Iterator[Path]:
    """What is the consumer's: not the folders of sources, the desk and accounts, which may have other owners."""
    yield data_dir
    yield from (path for path in data_dir.iterdir() if path.is_file())
    for folder in (data_dir / EVENTS, published):
        yield folder
        yield from folder.rglob("*")


def forbid_writing(file: Path) -> None:
    """Take from everybody, also from the owner, the right to write to a file. It can still be replaced."""
    with contextlib.suppress(OSError):  # not every file system has such rights, and `close` has said so
        file.chmod(stat.S_IMODE(file.stat().st_mode) & ~TO_WRITE)


def remove_logs(database: Path) -> list[str]:
    """Remove what DuckDB would take for the log of `database`; return the names. Raises StoreError if it stays."""
    names = []
    for left in foreign_logs(database):
        try:
            remove(left)
        except OSError as error:
            raise StoreError(
                f"{left} cannot be removed ({error.strerror}), and DuckDB would change the published figures by it;"
                " remove it and start again."
            ) from error
        names.append(left.name)
    return names


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it. Nothing happens if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
