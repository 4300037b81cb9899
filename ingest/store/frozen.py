"""The frozen days of a store that is rebuilt: their events are gone, so their rows and sums are taken over as they are.

They keep their files, under the same names. Of the events that are read, those before the end of the frozen days are
what the old store still had of open calls and of agents' present states.
"""

import datetime as dt
import os
import shutil
from pathlib import Path

from ingest import statements
from ingest.archive.inventory import EVENTS, folder_of, sync
from ingest.store.salvage import Salvage
from ingest.store.store import Store

FROZEN = statements.read_parts("store/frozen.sql")
#: For each table of the new store what it takes over of the old one.
TABLES = {
    "frozen": FROZEN["frozen"],
    "campaigns_before": FROZEN["campaigns_before"],
    "segments": FROZEN["segments"],
    "checksums": FROZEN["checksums"],
    "recalled_events": FROZEN["recalled_events"],
    "settled_checks": FROZEN["settled_checks"],
    "archived_names": FROZEN["archived_names"],
    "late_answers": FROZEN["late_answers"],
    "first_states": FROZEN["first_states"],
    "agent_marks": FROZEN["agent_marks"],
    "recalled_stretches": FROZEN["recalled_stretches"],
    "archived_until": FROZEN["archived_until"],
}


def take_over(home: Path, salvage: Salvage, data_dir: Path) -> frozenset[Path]:
    """Give the new store in `home` the frozen days of the old one; return their files, which stay in `data_dir`."""
    frozen_before = salvage.frozen_before
    if frozen_before == dt.date.min:
        return frozenset()
    store = Store(home / "store.duckdb")
    files = set()
    try:
        with store.transaction():
            for table, query in TABLES.items():
                with store.registered("old_rows", salvage.frozen(query)):
                    store.sql(FROZEN["take"].format(table=table))
            for relation, name in store.sql(FROZEN["files"]).fetchall():
                files.add(folder_of(data_dir.resolve(), relation) / name)
                _link(folder_of(data_dir.resolve(), relation) / name, folder_of(home.resolve(), relation) / name)
            store.segments.reload()
            events = store.segments.rows(EVENTS, store.segments.days(EVENTS, dt.date.min, frozen_before))
            if events is not None:
                store.sql(FROZEN["count_events"].format(events=events))
    finally:
        store.close()
    return frozenset(files)


def _link(file: Path, place: Path) -> None:
    """Let a file be in another place too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:  # it is on another disk
        shutil.copyfile(file, place)
        sync(place)
    sync(place.parent)
