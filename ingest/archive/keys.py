"""The days in which a key may be archived, among very many keys, without reading the disk."""

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Days = npt.NDArray[np.int32]


class KeyDays:
    """Days by hashed key. It may return a day that no longer has the key, but never misses one.

    It keeps sorted runs that double in size and merges runs of similar size: adding n keys costs n·log n in all, a
    search costs log n, and a key takes 12 bytes.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Keys, Days]] = []

    def add(self, keys: Keys, days: Days) -> None:
        """Add `keys` [n] with their `days` [n], in days since 1970."""
        if not keys.size:
            return
        order = np.argsort(keys, kind="stable")
        self._runs.append((keys[order], days[order]))
        while len(self._runs) > 1 and self._runs[-2][0].size < 2 * self._runs[-1][0].size:
            (older_keys, older_days), (newer_keys, newer_days) = self._runs[-2:]
            keys = np.concatenate([older_keys, newer_keys])
            days = np.concatenate([older_days, newer_days])
            order = np.lexsort((days, keys))
            keys, days = keys[order], days[order]
            is_new = np.ones(keys.size, dtype=bool)
            is_new[1:] = (keys[1:] != keys[:-1]) | (days[1:] != days[:-1])
            self._runs[-2:] = [(keys[is_new], days[is_new])]

    def days(self, keys: Keys) -> set[int]:
        """Every day with which any of `keys` was added."""
        days: set[int] = set()
        keys = np.sort(keys)  # searched in order, neighbours find their places in the processor's cache
        for run_keys, run_days in self._runs:
            places = np.searchsorted(run_keys, keys)
            is_there = run_keys[np.minimum(places, run_keys.size - 1)] == keys
            ends = np.searchsorted(run_keys, keys[is_there], side="right")
            for start, end in zip(places[is_there], ends, strict=True):
                days.update(run_days[start:end].tolist())
        return days
