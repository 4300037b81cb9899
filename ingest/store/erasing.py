"""Persons who were erased leave what is at rest: the store's tables, the archived events, and the published rows.

The events are kept again as the reader would keep them now, so the topic may be read again. Of a caller the numbers and
hashes of their calls go; an agent gets a pseudonym everywhere. No time and no count changes, so all sums stay.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest import statements
from ingest.archive.inventory import read_files
from ingest.errors import disk_trouble
from ingest.events.keys import Kind
from ingest.events.persons import Persons
from ingest.store.keeping import PLACED, keep_again, of_agent
from ingest.store.store import Store
from metrics import clock
from metrics.quoting import quoted

ERASING = statements.read_parts("store/erasing.sql")
#: Of a published call what it becomes; {person} is an SQL text.
OF_CALLER = {
    name: f"CASE WHEN {key} = {{person}} THEN NULL ELSE {name} END"
    for key, names in {"caller_key": ("caller", "caller_key"), "callee_key": ("callee", "callee_key")}.items()
    for name in names
}


@dataclass(frozen=True)
class Erasure:
    """A person who was erased, by hash: how many calls named them, and how many files were written again."""

    kind: Kind
    person: str
    calls: int
    files: int


def erase(store: Store, persons: Persons) -> list[Erasure]:
    """Erase from a store who is in the list of the erased, and was not erased from it before.

    It changes what is judged: make the publisher after it. `Store.compact` removes what is left in free space of the
    file. Raises StoreError.
    """
    known = {person for (person,) in store.sql(ERASING["known"]).fetchall()}
    done: list[Erasure] = []
    with store.refolding():
        done += [_erase_caller(store, persons, person) for person in sorted(persons.erased.callers.keys() - known)]
        if agents := persons.erased.agents.keys() - known:
            done += _erase_agents(store, persons, agents)
    return done


def note_done(path: Path, done: Iterable[Erasure]) -> None:
    """Note in a closed store who was erased from it. Raises StoreError."""
    try:
        with duckdb.connect(str(path)) as connection:
            for erasure in done:
                connection.execute(
                    ERASING["note"], [erasure.kind, erasure.person, clock.now(), erasure.calls, erasure.files]
                )
    except duckdb.Error as error:
        raise disk_trouble(str(path), error) from error


def _erase_caller(store: Store, persons: Persons, person: str) -> Erasure:
    texts = quoted(person)
    calls = keep_again(store.connection, store.segments, persons, f"contains(raw, {texts})")
    files = _rewrite(store, "calls", {name: sql.format(person=texts) for name, sql in OF_CALLER.items()})
    store.sql(ERASING["fold_calls_of_caller"].format(person=texts))
    return Erasure("caller", person, len(calls), files)


def _erase_agents(store: Store, persons: Persons, hashes: Iterable[str]) -> list[Erasure]:
    """Erase each agent that the store knows; its id is found by trying all."""
    wanted = set(hashes)
    done: dict[str, Erasure] = {}
    for (agent,) in store.sql(ERASING["agents"]).fetchall():
        for person in wanted.intersection(persons.keys.all_hashes("agent", agent)):
            _, name = persons.erased.agents[person]
            if person not in done:
                calls, files = _rename(store, persons, agent, name)
                done |= {p: Erasure("agent", p, calls, files) for p in persons.keys.all_hashes("agent", agent)}
    return [done.get(person, Erasure("agent", person, 0, 0)) for person in sorted(wanted)]


def _rename(store: Store, persons: Persons, agent: str, name: str) -> tuple[int, int]:
    texts = {"old": quoted(agent), "new": quoted(name)}

    def renamed(what: str) -> str:
        return f"CASE WHEN {what} = {texts['old']} THEN {texts['new']} ELSE {what} END"

    written = " OR ".join(f"contains(raw, {quoted(json.dumps(agent, ensure_ascii=way))})" for way in (True, False))
    calls = keep_again(store.connection, store.segments, persons, f"agent = {texts['old']} OR {written}")
    files = 0
    for relation, columns in of_agent(renamed).items():
        files += _rewrite(store, relation, columns)
    store.sql(ERASING["fold_calls_of_agent"].format(**texts))
    store.sql(ERASING["rename"].format(**texts))
    return len(calls), files


def _rewrite(store: Store, relation: str, columns: Mapping[str, str]) -> int:
    """Write those files of a relation again in which one of `columns` becomes something else; return how many."""
    files = store.segments.files(relation)
    if not files:
        return 0
    changes = " OR ".join(f"{column} IS DISTINCT FROM {becomes}" for column, becomes in columns.items())
    found = store.sql(f"SELECT DISTINCT filename FROM {read_files(files, PLACED)} WHERE {changes}").fetchall()
    replaced = ", ".join(f"{becomes} AS {column}" for column, becomes in columns.items())
    for (file,) in found:
        source = read_files([Path(file)], PLACED)
        columns_again = f"* EXCLUDE (filename, file_row_number) REPLACE ({replaced})"
        selected = f"SELECT {columns_again} FROM {source} ORDER BY file_row_number"
        store.segments.rewrite(relation, files[Path(file)], selected)
    store.segments.reload()
    return len(found)
