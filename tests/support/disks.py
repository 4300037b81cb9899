"""A small in-memory disk that a test can shrink or make read-only while it is in use."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system in memory, mounted for a test."""

    MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2

    def __init__(self, place: Path) -> None:
        self.place = place
        self._libc = ctypes.CDLL(None, use_errno=True)

    def mount(self, size: str, flags: int = 0) -> bool:
        return self._libc.mount(b"tmpfs", str(self.place).encode(), b"tmpfs", flags, f"size={size}".encode()) == 0

    def resize(self, size: str, flags: int = 0) -> None:
        assert self.mount(size, flags | self.MS_REMOUNT)

    def unmount(self) -> None:
        self._libc.umount2(str(self.place).encode(), self.MNT_DETACH)

    def used_kib(self) -> int:
        """Return the space its files take, in pages of 4 KiB."""
        return sum(4 * -(-file.stat().st_size // 4096) for file in self.place.rglob("*") if file.is_file())


@contextmanager
def small_disk(place: Path) -> Iterator[Disk]:
    """Mount a disk of 64 MiB at `place`; skip the test where mounting is not allowed."""
    place.mkdir()
    disk = Disk(place)
    if not hasattr(disk._libc, "mount") or not disk.mount("64m"):
        pytest.skip("file systems cannot be mounted here")
    try:
        yield disk
    finally:
        disk.unmount()
