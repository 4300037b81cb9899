"""`python -m ingest source twilio`: turn the events of Twilio TaskRouter into events."""

import argparse
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from ingest.cli import Parser
from ingest.sources import names, reading
from ingest.sources.delivery import Produced
from ingest.sources.events import Event
from ingest.sources.input.documents import LONGEST_ANSWER, Documents, Found
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver, Record, each_of, taken
from ingest.sources.twilio.events import form, read
from ingest.sources.twilio.tasks import TYPES, Tasks
from ingest.sources.twilio.workers import Workers

OF_WORKERS = ("worker.created", "worker.activity.update", "worker.attributes.update", "worker.deleted")
OF_NOTHING = (  # documented, and nothing that the contract has a word for
    "task.created", "task.updated", "task.deleted", "task.system-deleted", "task.transfer-attempt-failed",
    "task-queue.created", "task-queue.deleted", "task-queue.moved", "task-queue.expression.updated",
    "workflow.created", "workflow.updated", "workflow.deleted", "workflow.entered", "workflow.timeout",
    "workflow.target-matched", "workflow.skipped",
    "worker.capacity.update", "worker.channel.availability.update",
    "activity.created", "activity.updated", "activity.deleted", "workspace.created", "workspace.updated",
    "workspace.deleted",
)  # fmt: skip


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "twilio", "TaskRouter events")


def main(options: argparse.Namespace) -> int:
    workspace = Workspace(options.source, names.load(options.map))
    return reading.run(options, workspace, partial(Documents, LONGEST_ANSWER, form))


class Workspace:
    """A workspace of TaskRouter, with what is known of its tasks and workers."""

    def __init__(self, source: str, names: Names) -> None:
        self._tasks = Tasks(source, names)
        self._workers = Workers(source, names)
        self._passed_over = PassedOver()

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        return taken(each_of(documents, "events"), self._events)

    def passed_over(self) -> str:
        return str(self._passed_over)

    def memory(self) -> Record:
        return {"tasks": self._tasks.memory(), "workers": self._workers.memory()}

    def recall(self, memory: Record) -> None:
        if not isinstance(memory.get("tasks"), dict) or not isinstance(memory.get("workers"), dict):
            raise msgspec.ValidationError("Neither tasks nor workers")
        self._tasks.recall(memory["tasks"])
        self._workers.recall(memory["workers"])

    def _events(self, document: Record) -> list[Event]:
        told = read(document)
        if told.event_type in OF_NOTHING:
            return self._passed_over.count("events that say nothing of calls or agents")
        if told.event_type in OF_WORKERS:
            return self._workers.events(told)
        if told.event_type not in TYPES:
            return self._passed_over.count("events of an unknown type")
        of_task = self._tasks.events(told)
        if of_task is None:
            self._passed_over.count("events of tasks of which no queue or no answer was told")
        is_of_worker = told.event_type.startswith("reservation.")
        return [*(of_task or []), *(self._workers.events(told) if is_of_worker else [])]
