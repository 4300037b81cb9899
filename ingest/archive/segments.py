"""The Parquet files of settled rows: one folder a day. A file is written once, and deleted ten minutes after a merge.

inventory.py decides which files may be there and which may be deleted.
"""

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
from ingest.archive.inventory import EVENTS, OF_MONTHS, PUBLISHED, RELATIONS, folder_of, relation_of, sync
from ingest.errors import RESTORE_OR_REBUILD, StoreError
from metrics.composition.sums import (
    QUARTERS,
    SUMS,
    VIEWS,
    WORK_SUMS,
    Sums,
    final_work,
    kept_work,
    with_month,
    work_days,
    work_of_day,
)
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
    **dict.fromkeys((*VIEWS, *OF_MONTHS.values()), ""),
    EVENTS: "ANTI JOIN recalled_events x ON x.file = parse_filename(filename) AND x.place = file_row_number",
}
#: The days with rows that do not count.
RECALLED_DAYS = {
    "calls": "SELECT DISTINCT day FROM recalled_calls",
    "agent_states": (
        "SELECT DISTINCT s.day FROM segments s JOIN recalled_states r"
        " ON s.day >= make_timestamp(epoch_us(r.from_at))::DATE"
        " AND (r.until_at IS NULL OR s.day <= make_timestamp(epoch_us(r.until_at))::DATE)"
        " WHERE relation = 'agent_states'"
    ),
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
STILL_CHANGE = dt.timedelta(days=2)  # the last two days still get rows: nothing is made of them as a whole
WORK_CALLS = 400_000  # when rows settle, work is made of so many calls: a quarter of a second, and the writer waits
DIGEST = 32  # so many digits in the name of a file say which files it was made of
FINAL = "final"  # begins the name of a file with work on calls that are deleted
KEEP_REPLACED_S = 600.0  # a file that was replaced stays for those who hold an older snapshot open


@dataclass(frozen=True)
class Segment:
    """A Parquet file that counts, its name in the store's tables, and its number of rows."""

    day: dt.date
    file: Path
    name: str
    rows: int


@dataclass(frozen=True)
class Month:
    """The files with the sums of a month's days, and the file with all of them; None if there is none as they are now.

    The name of that file begins with the `digest` of their names. A damaged one is as good as none.
    """

    first: dt.date
    made_of: list[Segment]
    digest: str
    file: Segment | None


@dataclass(frozen=True)
class Work:
    """The work of a UTC date, made of the `calls` of some local `days`, in pieces of some hours each.

    Their names begin with a `digest` of the names of the files of calls. `files` are the pieces that are there, by
    number, and `outdated` those of other files of calls.
    """

    day: dt.date
    days: set[dt.date]
    digest: str
    calls: int
    files: dict[int, Segment]
    outdated: list[Segment]

    @property
    def pieces(self) -> int:
        return min(1 + self.calls // WORK_CALLS, QUARTERS)

    @property
    def calls_a_piece(self) -> int:
        return -(-self.calls // self.pieces)

    @property
    def missing(self) -> list[int]:
        return [piece for piece in range(self.pieces) if piece not in self.files]


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
        self._sizes: dict[str, dict[Path, int]] = {relation: {} for relation in (EVENTS, *PUBLISHED)}
        for file in files.there - files.unfinished:
            self._sizes[relation_of(file)][file] = file.stat().st_size
        self._replaced = [(time.monotonic(), file) for file in sorted(files.replaced)]
        self._changed: set[tuple[str, dt.date]] = set()  # relations and days that were written since `keep_sums`
        self.checksums.check_damaged()

    def _root(self, relation: str) -> Path:
        return folder_of(self._data_dir, relation)

    def bytes(self, *relations: str) -> int:
        """The disk space of the files of `relations` [bytes], with replaced files that are still there."""
        return sum(sum(self._sizes[relation].values()) for relation in relations)

    def reload(self) -> None:
        """Read from the store which files count, and the days before which rows stay as they are."""
        self.frozen_before = inventory.frozen_before(self._connection)
        self._segments: dict[str, list[Segment]] = {}
        for relation, day, name, rows in self._sql("FROM segments ORDER BY ALL").fetchall():
            self._segments.setdefault(relation, []).append(Segment(day, self._root(relation) / name, name, rows))

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
        with_sums, without = self._by_sums(name, sums)
        rows = [sums.up_to_now(f"recent_{sums.of}")]
        if without:
            rows.append(f"SELECT *, 1 AS sign FROM ({self._read(sums.of, without)})")
        recalled_days = {day for (day,) in self._sql(RECALLED_DAYS[sums.of]).fetchall()}
        if taken_off := [segment for segment in with_sums if segment.day in recalled_days]:
            rows.append(f"SELECT *, -1 AS sign FROM ({self._read(sums.of, taken_off, UNCOUNTED[sums.of])})")
        of_months = [month for month in self._months(name) if month.file]
        in_months = {segment.file for month in of_months for segment in month.made_of}
        added_up = sums.of_rows(*rows)
        if of_days := [segment for segment in self._segments.get(name, ()) if segment.file not in in_months]:
            added_up += f"\nUNION ALL BY NAME {self._read(name, of_days)}"
        added_up = with_month(added_up)
        if of_months:
            files = [month.file for month in of_months if month.file]
            added_up += f"\nUNION ALL BY NAME {self._read(OF_MONTHS[name], files)}"
        return added_up

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
                self._changed.add((name, segment.day))

    def _months(self, name: str) -> list[Month]:
        """The months of a relation of sums, the latest first; without the last two days, which still get files."""
        own = self._segments.get(name, [])
        last = max((segment.day for segment in own), default=dt.date.max) - STILL_CHANGE
        made_of: dict[dt.date, list[Segment]] = {}
        for segment in own:
            if segment.day <= last:
                made_of.setdefault(segment.day.replace(day=1), []).append(segment)
        damaged = self.checksums.marked()
        kept = {s.file.name[:DIGEST]: s for s in self._segments.get(OF_MONTHS[name], ()) if s.name not in damaged}
        months = []
        for first, segments in sorted(made_of.items(), reverse=True):
            digest = _digest(sorted(segment.file.name for segment in segments))
            months.append(Month(first, segments, digest, kept.get(digest)))
        return months

    def keep_months(self) -> None:
        """Write the sums of the latest month that is not in one file as it is now. As `keep_sums`.

        Not of a month of whose days one has just changed: while a past is read, others change next. Nor of a month with
        a damaged file.
        """
        for name in SUMS:
            outdated = [
                month
                for month in self._months(name)
                if not month.file and not any((name, segment.day) in self._changed for segment in month.made_of)
            ]
            for month in outdated:
                if not self.checksums.damaged(name, _names(month.made_of)):
                    self._write_month(name, month)
                    break

    def _write_month(self, name: str, month: Month) -> None:
        relation = OF_MONTHS[name]
        file = f"{relation}/month={month.first}/{month.digest}-{uuid.uuid4().hex}.parquet"
        self._note_unfinished([file])
        outdated = [segment for segment in self._segments.get(relation, ()) if segment.day == month.first]
        rows = self._write_file(relation, file, with_month(self._read(name, month.made_of)), [])
        self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [relation, month.first, file, rows])
        self._replace(relation, outdated)

    def _work_sums(self) -> str:
        """The SELECT of the kept work of those days whose calls are still in the files that it was made of."""
        kept = self._segments.get(WORK_SUMS, ())
        hold = [file for work in self.works() if not work.missing for file in work.files.values()]
        parts = [kept_work(self._read(WORK_SUMS, hold))] if hold else []
        if final := [s for s in kept if _is_final(s)]:
            parts.append(final_work(self._read(WORK_SUMS, final)))
        return "\nUNION ALL BY NAME\n".join(parts) or VIEWS[WORK_SUMS].select

    def works(self) -> list[Work]:
        """The days that can have kept work, the latest first: not the last ones, to which calls are still added."""
        calls_of: dict[dt.date, list[Segment]] = {}
        for segment in self._segments.get("calls", ()):
            calls_of.setdefault(segment.day, []).append(segment)
        kept: dict[dt.date, list[Segment]] = {}
        for segment in self._segments.get(WORK_SUMS, ()):
            kept.setdefault(segment.day, []).append(segment)
        last = max(calls_of, default=dt.date.max) - STILL_CHANGE
        ((limit_s,),) = self._sql("SELECT getvariable('max_state_s')").fetchall()
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        works = []
        for day in sorted((day for day in calls_of if day <= last), reverse=True):
            if any(map(_is_final, kept.get(day, ()))):
                continue
            days = work_days(day, late_answers)
            made_of = [segment for own in days for segment in calls_of.get(own, ())]
            calls = sum(segment.rows for segment in made_of)
            digest = _digest(limit_s, WORK_CALLS, sorted(segment.file.name for segment in made_of))
            files = {_piece(s): s for s in kept.get(day, ()) if s.file.name.startswith(digest)}
            outdated = [segment for segment in kept.get(day, ()) if segment not in files.values()]
            works.append(Work(day, days, digest, calls, files, outdated))
        return works

    def keep_work(self) -> None:
        """Write work of days that have none, or whose calls changed: at least a piece, of WORK_CALLS in all.

        Not of days whose calls have just changed: while a past is read, the days beside them change next. Call it last
        of what is kept; otherwise as `keep_sums`.
        """
        changed = {day for relation, day in self._changed if relation == "calls"}
        self._changed.clear()
        left = WORK_CALLS
        for work in self.works():
            if changed & work.days:
                continue
            for piece in work.missing:
                if left < min(work.calls_a_piece, WORK_CALLS):
                    return
                left -= work.calls_a_piece
                self._write_work(work.day, f"{work.digest}-{piece}", work.days, piece=piece, pieces=work.pieces)
            self._replace(WORK_SUMS, work.outdated)

    def finish_work(self, day: dt.date) -> None:
        """Write the work on the calls of a day for good, on each day on which there was some: calls will leave it.

        What was just judged and has not settled is part of it: a call may stay open for weeks, because one of its
        agent's calls has no end. Call it of days in order, before any call of the day leaves. As `keep_sums`.
        """
        late_answers = self._sql("SELECT day, answered_on FROM late_answers").fetchall()
        for spent in sorted(self._unfinished_work(day, late_answers)):
            if spent < self.frozen_before - dt.timedelta(days=1):  # else made of calls that may still change
                outdated = [segment for segment in self._segments.get(WORK_SUMS, ()) if segment.day == spent]
                self._write_work(spent, FINAL, work_days(spent, late_answers), " UNION ALL BY NAME FROM judged_calls")
                self._replace(WORK_SUMS, outdated)

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

    def _write_work(
        self, day: dt.date, name: str, days: set[dt.date], more: str = "", piece: int = 0, pieces: int = 1
    ) -> None:
        """Write the work of a day, or a piece of it, to a file whose name begins with `name`.

        It is made of the settled calls of `days`, and of those that `more` adds to their SELECT.
        """
        file = f"{WORK_SUMS}/day={day}/{name}-{uuid.uuid4().hex}.parquet"
        self._note_unfinished([file])
        calls = self.rows("calls", days)
        assert calls is not None
        rows = self._write_file(WORK_SUMS, file, work_of_day(day, calls + more, piece, pieces), [])
        self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [WORK_SUMS, day, file, rows])

    def _read(self, relation: str, segments: list[Segment], which: str | None = None) -> str:
        """The SELECT of the rows of `segments` that count, or of those `which`; for events, with file and place.

        Paths are absolute, because DuckDB resolves relative paths from the working directory of each process. A reader
        that has the published folder elsewhere sets the variable FOLDER.
        """
        root = self._root(relation)
        names = ", ".join(quoted(segment.name) for segment in segments)
        placed = "filename = true, file_row_number = true, " if relation == EVENTS else ""
        folder = quoted(root) if relation == EVENTS else f"coalesce(getvariable('{FOLDER}'), {quoted(root)})"
        return (
            f"SELECT * FROM read_parquet(list_transform([{names}], lambda name: {folder} || '/' || name),"
            f" {placed}hive_partitioning = true, hive_types = {{{_folder_key(relation)}: DATE}})"
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
            self._changed.add((relation, day))
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
        self.checksums.require(relation, _names([segment]))
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
                    self.checksums.require(kept, _names([own]))
                    self.checksums.note(again, own.file.with_name(file.name))
                    self._sizes[kept][own.file.with_name(file.name)] = self._sizes[kept][own.file]
                    self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [kept, own.day, again, own.rows])
        self._replace(relation, [segment])

    def require_sound(self, relation: str, days: Collection[dt.date]) -> None:
        """Raise StoreError if a file of `days` is damaged; a file is read once for that."""
        own = [segment for segment in self._segments.get(relation, ()) if segment.day in days]
        self.checksums.require(relation, _names(own), again=False)

    def is_sound(self, relation: str, segment: Segment, again: bool = True) -> bool:
        """Whether a file and its sums are as they were written. Not `again`: or were when this process checked them."""
        files = [(relation, segment)]
        files += [
            (name, own)
            for name, sums in SUMS.items()
            for own in (self._segments.get(name, ()) if sums.of == relation else ())
            if own.file.name == segment.file.name
        ]
        return not any(self.checksums.damaged(of, _names([own]), again) for of, own in files)

    def _sound(self, relation: str, segments: list[Segment]) -> list[Segment]:
        """The `segments`, all of which have to be merged. Raises StoreError if one of them is damaged."""
        self.checksums.require(relation, _names(segments))
        return segments

    def _sound_alike(self, relation: str, segments: list[Segment], rows: int) -> list[Segment]:
        """The segments to merge with `rows` new ones. One that is damaged is left as it is."""
        while merged := _alike(segments, rows):
            damaged = self.checksums.damaged(relation, _names(merged))
            if not damaged:
                break
            segments = [s for s in segments if not damaged & set(_names([s]))]
        return merged

    def _write_file(self, relation: str, name: str, selected: str, merged: list[Segment]) -> int:
        """Write the rows of `selected`, and the rows of `merged` that count, to the file `name`; return how many."""
        if merged:
            unplaced = "EXCLUDE (filename, file_row_number)" if relation == EVENTS else ""
            selected += f" UNION ALL BY NAME SELECT * {unplaced} FROM ({self._read(relation, merged)})"
        file = self._root(relation) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        selected = f"SELECT * EXCLUDE ({_folder_key(relation)}) FROM ({selected})"
        ((rows,),) = self._sql(f"COPY ({selected}) TO {quoted(file)} {PACKED.get(relation, '')}").fetchall()
        for path in (file, file.parent, file.parent.parent):  # the store, synced when it commits, forgets these rows
            sync(path)
        self._sizes[relation][file] = file.stat().st_size
        self.checksums.note(name, file)
        return int(rows)

    def _replace(self, relation: str, merged: list[Segment]) -> None:
        """Stop counting the files `merged`, now that another file has their rows."""
        if not merged:
            return
        files = _names(merged)
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
            self._sizes[relation_of(file)].pop(file, None)
        self._sql(
            "DELETE FROM replaced_files WHERE parse_filename(file) IN (SELECT unnest(?))",
            [[file.name for file in leaving]],
        )
        self._replaced = [(since, file) for since, file in self._replaced if now - since <= least_s]


def _names(segments: Iterable[Segment]) -> list[str]:
    return [segment.name for segment in segments]


def _folder_key(relation: str) -> str:
    """The column that is in the names of a relation's folders, and in none of its files."""
    return "month" if relation in OF_MONTHS.values() else "day"


def _piece(segment: Segment) -> int:
    """The number of a piece of Work."""
    return int(segment.file.name.split("-")[1])


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:DIGEST]


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
