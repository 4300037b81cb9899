"""The Parquet files of settled rows: one folder a day. A file is written once, and deleted ten minutes after a merge.

inventory.py decides which files may be there and which may be deleted.
"""

import collections
import datetime as dt
import hashlib
import os
import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest.archive import inventory
from ingest.archive.checksums import Checksums
from ingest.archive.inventory import EVENTS, RELATIONS, folder_of, sync
from ingest.errors import RESTORE_OR_REBUILD, StoreError
from metrics.composition.sums import SUMS, VIEWS, WORK_SUMS, Sums, final_work, kept_work, work_days, work_of_day
from metrics.published.relations import FOLDER
from metrics.quoting import quoted

RECALLED = """
CREATE TABLE IF NOT EXISTS recalled_calls (call_id VARCHAR NOT NULL, day DATE NOT NULL);
COMMENT ON TABLE recalled_calls IS 'Calls with a row in a Parquet file that no longer counts.';
CREATE TABLE IF NOT EXISTS recalled_states (
    agent VARCHAR NOT NULL, from_at TIMESTAMPTZ NOT NULL, until_at TIMESTAMPTZ
);
COMMENT ON TABLE recalled_states IS 'Rows in Parquet files, begun from from_at to before until_at, no longer count.';
COMMENT ON COLUMN recalled_states.until_at IS 'NULL: all later rows do not count either.';
"""
OUTDATED = {
    "calls": "ANTI JOIN recalled_calls USING (call_id)",
    # not NOT EXISTS: with that, DuckDB 1.5 reads the files of all days, whichever days a join asks for
    "agent_states": (
        "r ANTI JOIN recalled_states x ON x.agent = r.agent AND r.started_at >= x.from_at"
        " AND r.started_at < coalesce(x.until_at, 'infinity'::TIMESTAMPTZ)"
    ),
    "dead_letters": "",
    **dict.fromkeys(VIEWS, ""),
    EVENTS: "ANTI JOIN recalled_events x ON x.file = parse_filename(filename) AND x.place = file_row_number",
}
#: The rows that do not count: what OUTDATED leaves out. Joined with their days, so that DuckDB opens no other file.
UNCOUNTED = {
    "calls": "SEMI JOIN recalled_calls USING (call_id, day)",
    "agent_states": (
        "r SEMI JOIN (SELECT *, DATE '1970-01-01' + unnest(range("
        "greatest((from_at AT TIME ZONE 'UTC')::DATE, first_day - 1) - DATE '1970-01-01',"
        " least((until_at AT TIME ZONE 'UTC')::DATE, last_day + 1) - DATE '1970-01-01' + 1))::INTEGER AS day"
        " FROM recalled_states, ingest_status) x ON x.agent = r.agent AND x.day = r.day AND r.started_at >= x.from_at"
        " AND r.started_at < coalesce(x.until_at, 'infinity'::TIMESTAMPTZ)"
    ),
}
#: No two rows of a relation that count may agree in this.
IDENTITY = {"calls": "call_id", "agent_states": "(agent, started_at)", EVENTS: "event_id"}
#: Texts that rarely repeat and are rarely read: no dictionary is tried, and they are compressed well.
PACKED = {EVENTS: "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 4096)"}
MERGE_AT_FILES = 4  # so many of a day's files of one size are merged into one of the next
SUMMED_AT_ONCE = 40  # so many older files without sums get them when rows settle: those that an older Vigie wrote
WORK_DAYS_AT_ONCE = 3  # so many days get their kept work when rows settle: it reads all calls of four days …
WORK_CALLS = 400_000  # … and of more calls than these it is not kept, because the writer waits for it
FINAL = "final"  # begins the name of a file with work on calls that are deleted
KEEP_REPLACED_S = 600.0  # a file that was replaced stays for those who hold an older snapshot open


@dataclass(frozen=True)
class Segment:
    """A Parquet file that counts, and its number of rows."""

    day: dt.date
    file: Path
    rows: int


class Segments:
    """The Parquet files, in `data_dir`, of the store that `connection` has open.

    Raises StoreError when there are files that the store does not name, or the store names files that are missing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
        self._connection = connection
        self._sql = connection.execute
        self._data_dir = data_dir.resolve()
        self._unfinished = self._data_dir / inventory.UNFINISHED
        self.checksums = Checksums(connection, self._data_dir)
        self.reload()
        files = inventory.take(connection, data_dir)
        if files.missing:
            raise StoreError(
                f"The store.duckdb in {data_dir} names {len(files.missing)} Parquet files that are not there,"
                f" {min(files.missing)} among them; {RESTORE_OR_REBUILD}"
            )
        inventory.refuse_unknown(data_dir, files.unknown)
        self._discard(files.unfinished)
        self._sizes = {file: file.stat().st_size for file in files.there - files.unfinished}
        self._replaced = [(time.monotonic(), file) for file in sorted(files.replaced)]
        self._changed: set[dt.date] = set()  # days of calls that were written since `keep_work`
        self.checksums.check_damaged()

    def _root(self, relation: str) -> Path:
        return folder_of(self._data_dir, relation)

    def bytes(self, *relations: str) -> int:
        """The disk space of the files of `relations` [bytes], with replaced files that are still there."""
        roots = [self._root(relation) / relation for relation in relations]
        return sum(size for file, size in self._sizes.items() if file.parent.parent in roots)

    def reload(self) -> None:
        """Read from the store which files count, and the days before which rows stay as they are."""
        self.frozen_before = inventory.frozen_before(self._connection)
        self._segments: dict[str, list[Segment]] = {}
        for relation, day, name, rows in self._sql("FROM segments ORDER BY ALL").fetchall():
            self._segments.setdefault(relation, []).append(Segment(day, self._root(relation) / name, rows))

    def days(self, relation: str, since: dt.date, until: dt.date = dt.date.max) -> set[dt.date]:
        """The days from `since` to `until` that have files of `relation`."""
        return {segment.day for segment in self._segments.get(relation, ()) if since <= segment.day <= until}

    def rows(self, relation: str, days: Collection[dt.date] | None = None) -> str | None:
        """The SELECT of the settled rows that count, of `days` or of all days; None when there are no files."""
        segments = self._segments.get(relation, [])
        if days is not None:
            segments = [segment for segment in segments if segment.day in days]
        return self._read(relation, segments) if segments else None

    def count_rows(self, relation: str, days: Collection[dt.date]) -> None:
        """Note in archived_counts, for each of `days`, how many rows count and how many IDENTITY values they have."""
        if rows := self.rows(relation, days):
            named = ", ".join(f"DATE '{day}'" for day in days)
            self._sql(f"DELETE FROM archived_counts WHERE relation = '{relation}' AND day IN ({named})")
            self._sql(
                f"INSERT INTO archived_counts SELECT '{relation}', day, count(*), count(DISTINCT {IDENTITY[relation]})"
                f" FROM ({rows}) GROUP BY day"
            )

    def past(self) -> dict[str, str]:
        """For each relation the SELECT of its settled rows that count; it reads the tables of RECALLED.

        A relation without files has a SELECT too, so that the published views stay the same when its first rows settle.
        """
        rows = {relation: self.rows(relation) or f"FROM recent_{relation} WHERE false" for relation in RELATIONS}
        sums = {name: self._sums(name, own) for name, own in SUMS.items()}
        return rows | sums | {WORK_SUMS: self._work_sums()}

    def _sums(self, name: str, sums: Sums) -> str:
        """The SELECT of all rows of a relation of sums: kept ones, and those of all that the kept ones lack."""
        kept = self._segments.get(name, [])
        with_sums, without = self._by_sums(name, sums)
        rows = [sums.up_to_now(f"recent_{sums.of}")]
        if without:
            rows.append(f"SELECT *, 1 AS sign FROM ({self._read(sums.of, without)})")
        if not kept:
            return sums.of_rows(*rows)
        rows.append(f"SELECT *, -1 AS sign FROM ({self._read(sums.of, with_sums, UNCOUNTED[sums.of])})")
        return f"{sums.of_rows(*rows)}\nUNION ALL BY NAME {self._read(name, kept)}"

    def _by_sums(self, name: str, sums: Sums) -> tuple[list[Segment], list[Segment]]:
        """The files that have sums, which are in a file of the same name, and those without."""
        have = {segment.file.name for segment in self._segments.get(name, ())}
        files = self._segments.get(sums.of, [])
        return [s for s in files if s.file.name in have], [s for s in files if s.file.name not in have]

    def keep_sums(self, of: Path | None = None) -> None:
        """Write the sums of the file `of`, or of all files, that have none.

        Call it in a transaction, after `reload`; then `reload` again.
        """
        for name, sums in SUMS.items():
            _, without = self._by_sums(name, sums)
            without = [segment for segment in without if of is None or segment.file == of]
            without = sorted(without, key=lambda segment: segment.file.stat().st_mtime)[-SUMMED_AT_ONCE:]
            named = [(f"{name}/day={segment.day}/{segment.file.name}", segment) for segment in without]
            self._note_unfinished([file for file, _ in named])
            for file, segment in named:
                rows = f"SELECT *, 1 AS sign FROM ({self._read(sums.of, [segment], '')})"
                written = self._write_file(name, file, sums.of_rows(rows), [])
                self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [name, segment.day, file, written])

    def _work_sums(self) -> str:
        """The SELECT of the kept work of those days whose calls are still in the files that it was made of."""
        names = self._work_names()
        kept = self._segments.get(WORK_SUMS, ())
        hold = [s for s in kept if s.file.name.startswith(names.get(s.day, " "))]
        parts = [kept_work(self._read(WORK_SUMS, hold))] if hold else []
        if final := [s for s in kept if _is_final(s)]:
            parts.append(final_work(self._read(WORK_SUMS, final)))
        return "\nUNION ALL BY NAME\n".join(parts) or VIEWS[WORK_SUMS].select

    def _work_names(self) -> dict[dt.date, str]:
        """For each day that can have kept work, how the name of its file begins: a digest of what it is made of.

        The last two days with calls have none, because calls are still added to them. Latest days first.
        """
        calls = self._segments.get("calls", [])
        if not calls:
            return {}
        last = max(segment.day for segment in calls) - dt.timedelta(days=2)
        ((limit_s,),) = self._sql("SELECT getvariable('max_state_s')").fetchall()
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        files: dict[dt.date, list[str]] = {}
        for segment in calls:
            files.setdefault(segment.day, []).append(segment.file.name)
        names = {}
        for day in sorted(files, reverse=True):
            if day <= last:
                made_of = sorted(file for own in work_days(day, late_answers) for file in files.get(own, ()))
                names[day] = hashlib.sha256(repr((limit_s, made_of)).encode()).hexdigest()[:32]
        return names

    def keep_work(self) -> None:
        """Write the work of some days that have none, or whose calls changed. As `keep_sums`.

        Not of days whose calls have just changed: while a past is read, the days beside them change next. Nor of days
        with very many: their work is made of calls when somebody asks.
        """
        kept: dict[dt.date, list[Segment]] = {}
        for segment in self._segments.get(WORK_SUMS, ()):
            kept.setdefault(segment.day, []).append(segment)
        names = self._work_names()
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        outdated = [
            day
            for day, name in names.items()
            if not any(s.file.name.startswith(name) or _is_final(s) for s in kept.get(day, ()))
        ]
        changed, self._changed = self._changed, set()
        outdated = [day for day in outdated if not changed & work_days(day, late_answers)]
        calls_of: collections.Counter[dt.date] = collections.Counter()
        for segment in self._segments.get("calls", ()):
            calls_of[segment.day] += segment.rows
        outdated = [d for d in outdated if sum(calls_of[own] for own in work_days(d, late_answers)) <= WORK_CALLS]
        for day in outdated[:WORK_DAYS_AT_ONCE]:
            self._write_work(day, names[day], late_answers)

    def finish_work(self, day: dt.date) -> None:
        """Write the work on the calls of a day for good, on each day on which there was some: calls will leave it.

        What was just judged and has not settled is part of it: a call may stay open for weeks, because one of its
        agent's calls has no end. Call it of days in order, before any call of the day leaves. As `keep_sums`.
        """
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        for spent in sorted(self._unfinished_work(day, late_answers)):
            if spent < self.frozen_before - dt.timedelta(days=1):  # else made of calls that may still change
                self._write_work(spent, FINAL, late_answers, " UNION ALL BY NAME FROM judged_calls")

    def is_work_sound(self, day: dt.date) -> bool:
        """Whether the calls are sound that `finish_work` reads, or were when this process checked them."""
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        spent = self._unfinished_work(day, late_answers)
        days = {own for worked_on in spent for own in work_days(worked_on, late_answers)}
        return all(
            self.is_sound("calls", segment, again=False)
            for segment in self._segments.get("calls", ())
            if segment.day in days
        )

    def _unfinished_work(self, day: dt.date, late_answers: list[tuple[dt.date, dt.date]]) -> set[dt.date]:
        """The days on which calls of a day were worked on, and whose work is not written for good."""
        worked_on = {day + dt.timedelta(days=n) for n in range(-1, 3)}
        worked_on |= {on + dt.timedelta(days=n) for own, on in late_answers if own == day for n in (0, 1)}
        return worked_on - {segment.day for segment in self._segments.get(WORK_SUMS, ()) if _is_final(segment)}

    def _write_work(self, day: dt.date, name: str, late_answers: list[tuple[dt.date, dt.date]], more: str = "") -> None:
        """Write the work of a day to a file whose name begins with `name`, in the place of what is kept of it.

        It is made of settled calls, and of those that `more` adds to their SELECT.
        """
        file = f"{WORK_SUMS}/day={day}/{name}-{uuid.uuid4().hex}.parquet"
        self._note_unfinished([file])
        calls = self.rows("calls", work_days(day, late_answers))
        assert calls is not None
        rows = self._write_file(WORK_SUMS, file, work_of_day(day, calls + more), [])
        self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [WORK_SUMS, day, file, rows])
        self._replace(WORK_SUMS, [segment for segment in self._segments.get(WORK_SUMS, ()) if segment.day == day])

    def _read(self, relation: str, segments: list[Segment], which: str | None = None) -> str:
        """The SELECT of the rows of `segments` that count, or of those `which`; for events, with file and place.

        Paths are absolute, because DuckDB resolves relative paths from the working directory of each process. A reader
        that has the published folder elsewhere sets the variable FOLDER.
        """
        root = self._root(relation)
        names = ", ".join(quoted(segment.file.relative_to(root)) for segment in segments)
        placed = "filename = true, file_row_number = true, " if relation == EVENTS else ""
        folder = quoted(root) if relation == EVENTS else f"coalesce(getvariable('{FOLDER}'), {quoted(root)})"
        return (
            f"SELECT * FROM read_parquet(list_transform([{names}], lambda name: {folder} || '/' || name),"
            f" {placed}hive_partitioning = true, hive_types = {{day: DATE}})"
            f" {OUTDATED[relation] if which is None else which}"
        )

    def write(self, relation: str, fresh: str, outdated: str = "SELECT NULL::DATE LIMIT 0") -> set[dt.date]:
        """Write the rows of `fresh` to a new file for each of their days; return the days with merged older files.

        For a day that `outdated` selects, all rows are written again. A frozen day's files are left alone: their sums
        may have more than their rows. Call it in a transaction, then `forget_unfinished`.
        """
        days = self._sql(
            f"SELECT day, count(fresh)::BIGINT, day IN ({outdated})"
            f" FROM (SELECT day, true AS fresh FROM {fresh} UNION ALL SELECT *, NULL FROM ({outdated}))"
            " GROUP BY day ORDER BY day"
        ).fetchall()
        names = [f"{relation}/day={day}/{uuid.uuid4().hex}.parquet" for day, _, _ in days]
        merged_days = set()
        self._note_unfinished(names)
        for name, (day, count, is_outdated) in zip(names, days, strict=True):
            older = [s for s in self._segments.get(relation, ()) if s.day == day and day >= self.frozen_before]
            merged = self._sound(relation, older) if is_outdated else self._sound_alike(relation, older, count)
            rows = self._write_file(relation, name, f"SELECT * FROM {fresh} WHERE day = DATE '{day}'", merged)
            self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [relation, day, name, rows])
            self._replace(relation, merged)
            if relation == "calls":
                self._changed.add(day)
            if merged:
                merged_days.add(day)
        return merged_days

    def files(self, relation: str) -> dict[Path, Segment]:
        """The files of `relation` that count."""
        return {segment.file: segment for segment in self._segments.get(relation, ())}

    def rewrite(self, relation: str, segment: Segment, selected: str) -> None:
        """Put a file with the rows of `selected`, in the same order, in the place of a file whose sums they share.

        Call it in a transaction, and `reload` when all are written. Raises StoreError if the file is damaged.
        """
        self.checksums.require(relation, self._names(relation, [segment]))
        name = f"{relation}/day={segment.day}/{uuid.uuid4().hex}.parquet"
        file = self._root(relation) / name
        self._note_unfinished([name])
        rows = self._write_file(relation, name, selected, [])
        self._sql("UPDATE recalled_events SET file = ? WHERE file = ?", [file.name, segment.file.name])
        self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [relation, segment.day, name, rows])
        for kept, sums in SUMS.items():
            for own in self._segments.get(kept, ()) if sums.of == relation else ():
                if own.file.name == segment.file.name:
                    again = f"{kept}/day={own.day}/{file.name}"
                    self._note_unfinished([again])
                    os.link(own.file, own.file.with_name(file.name))
                    sync(own.file.parent)
                    self.checksums.require(kept, self._names(kept, [own]))
                    self.checksums.note(again, own.file.with_name(file.name))
                    self._sizes[own.file.with_name(file.name)] = self._sizes[own.file]
                    self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [kept, own.day, again, own.rows])
        self._replace(relation, [segment])

    def require_sound(self, relation: str, days: Collection[dt.date]) -> None:
        """Raise StoreError if a file of `days` is damaged; a file is read once for that."""
        own = [segment for segment in self._segments.get(relation, ()) if segment.day in days]
        self.checksums.require(relation, self._names(relation, own), again=False)

    def is_sound(self, relation: str, segment: Segment, again: bool = True) -> bool:
        """Whether a file and its sums are as they were written. Not `again`: or were when this process checked them."""
        files = [(relation, segment)]
        files += [
            (name, own)
            for name, sums in SUMS.items()
            for own in (self._segments.get(name, ()) if sums.of == relation else ())
            if own.file.name == segment.file.name
        ]
        return not any(self.checksums.damaged(of, self._names(of, [own]), again) for of, own in files)

    def _sound(self, relation: str, segments: list[Segment]) -> list[Segment]:
        """The `segments`, all of which have to be merged. Raises StoreError if one of them is damaged."""
        self.checksums.require(relation, self._names(relation, segments))
        return segments

    def _sound_alike(self, relation: str, segments: list[Segment], rows: int) -> list[Segment]:
        """The segments to merge with `rows` new ones. One that is damaged is left as it is."""
        while merged := _alike(segments, rows):
            damaged = self.checksums.damaged(relation, self._names(relation, merged))
            if not damaged:
                break
            segments = [s for s in segments if not damaged & set(self._names(relation, [s]))]
        return merged

    def _names(self, relation: str, segments: Iterable[Segment]) -> list[str]:
        root = self._root(relation)
        return [str(segment.file.relative_to(root)) for segment in segments]

    def _write_file(self, relation: str, name: str, selected: str, merged: list[Segment]) -> int:
        """Write the rows of `selected`, and the rows of `merged` that count, to the file `name`; return how many."""
        if merged:
            unplaced = "EXCLUDE (filename, file_row_number)" if relation == EVENTS else ""
            selected += f" UNION ALL BY NAME SELECT * {unplaced} FROM ({self._read(relation, merged)})"
        file = self._root(relation) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        copy = f"COPY (SELECT * EXCLUDE (day) FROM ({selected})) TO {quoted(file)} {PACKED.get(relation, '')}"
        ((rows,),) = self._sql(copy).fetchall()
        for path in (file, file.parent, file.parent.parent):  # the store, synced when it commits, forgets these rows
            sync(path)
        self._sizes[file] = file.stat().st_size
        self.checksums.note(name, file)
        return int(rows)

    def _replace(self, relation: str, merged: list[Segment]) -> None:
        """Stop counting the files `merged`, now that another file has their rows."""
        if not merged:
            return
        files = self._names(relation, merged)
        for name, sums in SUMS.items():
            if sums.of == relation:
                merged_names = {segment.file.name for segment in merged}
                self._replace(name, [s for s in self._segments.get(name, ()) if s.file.name in merged_names])
        # only now: rows whose marks are deleted earlier would be written to the new file again
        self._sql(
            "DELETE FROM recalled_events WHERE file IN (SELECT unnest(?))", [[segment.file.name for segment in merged]]
        )
        self._sql("DELETE FROM segments WHERE file IN (SELECT unnest(?))", [files])
        self.checksums.forget(files)
        self._sql("INSERT INTO replaced_files SELECT ?, unnest(?)", [relation, files])
        self._replaced.extend((time.monotonic(), segment.file) for segment in merged)

    def forget(self, relation: str, before: dt.date) -> None:
        """Stop counting the files of a relation of days before `before`. As `write`, call it in a transaction."""
        if old := [segment for segment in self._segments.get(relation, ()) if segment.day < before]:
            self._replace(relation, old)
            self.reload()

    def mark_replaced(self, data_dir: Path, files: Iterable[Path]) -> None:
        """Note that `files`, in `data_dir`, are replaced by the files of this store, which will be moved there."""
        for file in sorted(files):
            named = [inventory.relation_of(file), inventory.name_of(data_dir, file)]
            self._sql("INSERT INTO replaced_files VALUES (?, ?)", named)

    def _note_unfinished(self, names: list[str]) -> None:
        """List on disk the files that a transaction will write: if it does not commit, they can be deleted."""
        if not names:
            return
        is_new = not self._unfinished.exists()
        with self._unfinished.open("a") as notes:
            if is_new:
                begun_from = inventory.state_of(one.file for own in self._segments.values() for one in own)
                notes.write(f"{begun_from}\n")
            notes.writelines(f"{name}\n" for name in names)
            notes.flush()
            os.fsync(notes.fileno())
        sync(self._data_dir)

    def forget_unfinished(self) -> None:
        """The store has committed, so it names all files that were written since its last commit: delete the list."""
        self._unfinished.unlink(missing_ok=True)

    def _discard(self, unfinished: Collection[Path]) -> None:
        """Delete the files of a transaction that did not commit."""
        for file in unfinished:
            file.unlink(missing_ok=True)
        self._unfinished.unlink(missing_ok=True)

    def sweep(self, keep_s: float | None = None) -> None:
        """Delete the files that were replaced long enough ago: `keep_s`, or else KEEP_REPLACED_S."""
        now = time.monotonic()
        least_s = KEEP_REPLACED_S if keep_s is None else keep_s
        leaving = [file for since, file in self._replaced if now - since > least_s]
        if not leaving:
            return
        for file in leaving:
            file.unlink(missing_ok=True)
            self._sizes.pop(file, None)
        self._sql(
            "DELETE FROM replaced_files WHERE parse_filename(file) IN (SELECT unnest(?))",
            [[file.name for file in leaving]],
        )
        self._replaced = [(since, file) for since, file in self._replaced if now - since <= least_s]


def _is_final(work: Segment) -> bool:
    """Whether work of a day holds whatever calls there are."""
    return work.file.name.startswith(FINAL)


def _alike(segments: list[Segment], rows: int) -> list[Segment]:
    """The segments to merge with this many new `rows`: `MERGE_AT_FILES` files of similar size become one larger file.

    So a row is rewritten only O(log n) times, and a day has O(log n) files.
    """
    merged: list[Segment] = []
    while True:
        size = (rows + sum(segment.rows for segment in merged)).bit_length() // 2
        alike = [segment for segment in segments if segment.rows.bit_length() // 2 <= size]
        if len(alike) - len(merged) + 1 < MERGE_AT_FILES:
            return merged
        merged = alike
