"""`python -m ingest source genesys`: turn Genesys Cloud's conversation details and users' notifications into events."""

import argparse
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from ingest.cli import Parser
from ingest.sources import names, reading
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, event
from ingest.sources.genesys import calls
from ingest.sources.genesys.conversations import Conversation
from ingest.sources.genesys.users import TOPIC, Users
from ingest.sources.input.documents import LONGEST_ANSWER, Documents, Found
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver, Record, each_of, taken


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "genesys", "conversation detail records or notifications of users")


def main(options: argparse.Namespace) -> int:
    organisation = Organisation(options.source, names.load(options.map))
    return reading.run(options, organisation, partial(Documents, LONGEST_ANSWER))


class Organisation:
    """An organisation in Genesys Cloud, with what is known of its users."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._users = Users(source, names)
        self._profiles: dict[str, dict[str, str]] = {}
        self._passed_over = PassedOver()

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        return taken(each_of(documents, "conversations"), self._events)

    def passed_over(self) -> str:
        return str(self._passed_over)

    def memory(self) -> Record:
        return self._users.memory()

    def recall(self, memory: Record) -> None:
        self._users.recall(memory)

    def _events(self, document: Record) -> list[Event]:
        if isinstance(document.get("detail"), dict):  # as Amazon EventBridge passes it on
            document = document["detail"]
        if "topicName" in document:
            return self._notification(str(document["topicName"]), document.get("eventBody"))
        if "conversationId" in document and "participants" in document:
            conversation = msgspec.convert(document, Conversation)
            made = calls.events(conversation, self._source, self._names)
            if not made:
                return self._passed_over.count("conversations that entered no queue")
            return [*made, *self._people(conversation)]
        raise msgspec.ValidationError("Neither a conversation detail record nor a notification")

    def _notification(self, topic: str, body: object) -> list[Event]:
        of_user = TOPIC.fullmatch(topic)
        if not of_user:
            is_beat = topic == "channel.metadata"
            return self._passed_over.count("heart beats of the channel" if is_beat else "notifications of other topics")
        if not isinstance(body, dict):
            raise msgspec.ValidationError("The notification has no eventBody")
        return self._users.events(of_user[1], of_user[2], body) or self._passed_over.count(
            "notifications that give no state"
        )

    def _people(self, conversation: Conversation) -> list[Event]:
        """A profile of each agent about whom something is new."""
        made = []
        for participant in conversation.of_purpose("agent"):
            agent = self._names.agent(participant.user_id or "")
            name = (participant.participant_name or "").strip()
            profile = {**({"name": name} if name else {}), **self._names.profile(agent)}
            if agent and profile and profile != self._profiles.get(agent):
                self._profiles[agent] = profile
                identity = (self._source, "profile", agent, *profile.values())
                made.append(event("agent.profile", conversation.conversation_start, *identity, agent=agent, **profile))
        return made
