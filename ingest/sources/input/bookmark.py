"""Where a source has read to, kept in the data directory: written atomically, by one process at a time."""

import fcntl
import os
import re
from pathlib import Path
from typing import IO, Any

import msgspec

from ingest.errors import StoreError, disk_trouble


class Bookmark:
    """The file `DATA_DIR/sources/NAME.json`, locked for as long as it is open.

    Raises StoreError when it cannot be used, or another process has locked it.
    """

    def __init__(self, data_dir: Path, name: str) -> None:
        self._path = data_dir / "sources" / (re.sub(r"[^\w.-]", "_", name) + ".json")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = self._path.with_suffix(".lock").open("w")
        except OSError as error:
            raise StoreError(
                f"{self._path.parent} cannot be written ({error.strerror}); choose another --data-dir."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"The source {name} is being followed by another process; stop that one, or name this one by --source."
            ) from error

    def read(self) -> dict[str, Any] | None:
        """The content that was written last; None when there is none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise self.unusable() from error

    def unusable(self) -> StoreError:
        """The error to raise when the content cannot be understood."""
        return StoreError(
            f"{self._path} cannot be understood; remove it to read from the beginning again, an event counts once."
        )

    def write(self, content: dict[str, Any]) -> None:
        """Replace the content."""
        new = self._path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(msgspec.json.encode(content))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise disk_trouble(str(self._path), error) from error

    def close(self) -> None:
        self._lock.close()
