"""AMI's events as the lines of queue_log that Asterisk writes for the same things, and what only AMI says: rings that
last.

Calls and states so have the ids that `python -m ingest source asterisk` gives them. Where both sources have an event
under one id, the content of the log counts, because MARK sorts before any other field (docs/kpis.md).
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator

from ingest.sources.ami.connection import Message
from ingest.sources.asterisk import Switch
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, Rejected, event
from ingest.sources.names import Names
from ingest.sources.ringing import Ring, Ringing

log = logging.getLogger(__name__)

MARK = "_via"
KEY_AFTER = dt.timedelta(seconds=5)  # a caller who left a queue is answered or hung up within this, or pressed a key
REASONS = {"caller": "COMPLETECALLER", "agent": "COMPLETEAGENT", "transfer": "TRANSFER"}
Call = tuple[str, str]  # Uniqueid, Queue


class Floor:
    """Takes the messages in order and yields events. `at` is when a message came, if it does not say when it is of."""

    def __init__(self, source: str, names: Names) -> None:
        self._names = names
        self._switch = Switch(source, names, None)
        self._ringing = Ringing(source)
        self._waiting: dict[Call, str] = {}  # with the call_id
        self._talking: dict[Call, str] = {}  # with the agent's name at the switch
        self._left: dict[Call, dt.datetime] = {}  # callers of whom we only know that they left the queue
        self._hung_up: set[str] = set()
        self._members: dict[tuple[str, str], str] = {}  # queue and name: Paused
        self._listed: set[tuple[str, str]] = set()  # calls and members of the list that is coming in
        self._sees_hangups = False
        self._handlers: dict[str, Callable[[Message, dt.datetime], Iterator[Produced]]] = {
            "QueueCallerJoin": self._join,
            "QueueCallerAbandon": self._give_up,
            "QueueCallerLeave": self._leave,
            "AgentCalled": self._call_agent,
            "AgentConnect": self._connect,
            "AgentRingNoAnswer": self._miss,
            "AgentDump": self._dump,
            "AgentComplete": self._complete,
            "QueueMemberAdded": self._add_member,
            "QueueMemberRemoved": self._remove_member,
            "QueueMemberPause": self._pause_member,
            "QueueMemberStatus": self._see_member,
            "QueueMember": self._list_member,
            "QueueEntry": self._list_caller,
            "QueueStatusComplete": self._compare,
            "HangupRequest": self._ask_for_hangup,
            "SoftHangupRequest": self._ask_for_hangup,
            "Hangup": self._hang_up,
        }

    def take(self, messages: Iterable[Message], at: dt.datetime) -> Iterator[Produced]:
        """Yield the events of messages."""
        for message in messages:
            self._sees_hangups |= "call" in message.get("Privilege", "").split(",")
            handler = self._handlers.get(message.get("Event", ""))
            if handler:
                yield from _marked(handler(message, _instant(message) or at.replace(microsecond=0)))

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]:
        """Yield the events that happen until `now` without a message."""
        for call in [call for call, since in self._left.items() if since + KEY_AFTER <= now]:
            since = self._left.pop(call)
            yield from _marked(self._out(call, since, "EXITWITHKEY"))
        yield from _marked(self._noted(self._switch.pass_time(now)))

    def start_again(self, at: dt.datetime) -> Iterator[Produced]:
        """Asterisk was started at `at`: no call from before goes on."""
        self._waiting.clear()
        self._talking.clear()
        self._left.clear()
        self._ringing.stop()
        yield from _marked(self._line(at, "NONE", "NONE", "NONE", "QUEUESTART"))

    # Callers

    def _join(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call = _call(message)
        self._left.pop(call, None)
        data = ("", message.get("CallerIDNum", ""), message.get("Position", ""))
        for produced, origin in self._line(at, *call, "NONE", "ENTERQUEUE", *data):
            if isinstance(produced, dict) and produced["type"] == "call.queued":
                self._waiting[call] = produced["call_id"]
            yield produced, origin

    def _give_up(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        """Asterisk says QueueCallerAbandon of everybody who left without an agent, also after a timeout.

        It reports a hang-up before that. Without one we only say that the caller left; the log knows why.
        """
        call = _call(message)
        if not self._sees_hangups:
            self._sees_hangups = True
            log.warning("no hang-up was seen yet; abandoned calls are only told apart with read = agent,call,system")
        name = "ABANDON" if call[0] in self._hung_up else "EXITWITHTIMEOUT"
        positions = (message.get("Position", ""), message.get("OriginalPosition", ""), message.get("HoldTime", ""))
        yield from self._out(call, at, name, *positions)

    def _leave(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call = _call(message)
        if call in self._waiting:
            self._left[call] = at
        yield from ()

    def _ask_for_hangup(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        self._hung_up.add(message.get("Uniqueid", ""))
        yield from ()

    def _hang_up(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        channel = message.get("Uniqueid", "")
        for call in [call for call in self._left if call[0] == channel]:
            yield from self._out(call, at, "ABANDON" if channel in self._hung_up else "EXITWITHKEY")
        self._hung_up.discard(channel)

    def _out(self, call: Call, at: dt.datetime, name: str, *data: str) -> Iterator[Produced]:
        """The caller leaves the queue without an agent, and telephones that ring for them stop."""
        call_id = self._waiting.pop(call, None)
        self._left.pop(call, None)
        if call_id:
            yield from self._cancel(call, at, self._ringing.stop(call_id))
        yield from self._line(at, *call, "NONE", name, *data)

    # Agents and their calls

    def _call_agent(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call, agent = _call(message), self._names.agent(_member(message))
        call_id = self._waiting.get(call)
        if call_id is None:  # it waited before we were connected, and the list of callers has not come yet
            return
        fields = {"call_id": call_id, "agent": agent}
        yield event("call.rang", at, call_id, "call.rang", agent, at.isoformat(), **fields), ""
        for state in self._ringing.start(Ring(agent, call_id, self._names.campaign(call[1]), at)):
            yield state, ""

    def _connect(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call, member = _call(message), _member(message)
        call_id = self._waiting.pop(call, None)
        self._left.pop(call, None)
        if call_id:
            self._ringing.stop(call_id, self._names.agent(member))
            yield from self._cancel(call, at, self._ringing.stop(call_id))
        self._talking[call] = member
        data = (message.get("HoldTime", ""), message.get("DestUniqueid", ""), message.get("RingTime", ""))
        yield from self._line(at, *call, member, "CONNECT", *data)

    def _miss(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        yield from self._fail(message, at, "RINGNOANSWER", message.get("RingTime", ""))

    def _dump(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        yield from self._fail(message, at, "AGENTDUMP")

    def _fail(self, message: Message, at: dt.datetime, name: str, *data: str) -> Iterator[Produced]:
        call, member = _call(message), _member(message)
        rings = self._ringing.stop(self._waiting.get(call, ""), self._names.agent(member))
        yield from self._line(at, *call, member, name, *data)
        yield from self._end_at_once(rings, at)

    def _cancel(self, call: Call, at: dt.datetime, rings: list[Ring]) -> Iterator[Produced]:
        for ring in rings:
            ms = round((at - ring.since).total_seconds() * 1000)
            yield from self._line(at, *call, ring.agent, "RINGCANCELED", str(ms))
        yield from self._end_at_once(rings, at)

    def _end_at_once(self, rings: list[Ring], at: dt.datetime) -> Iterator[Produced]:
        for ring in rings:
            for state in self._ringing.end_at_once(ring) if ring.since >= at else []:
                yield state, ""

    def _complete(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call, name = _call(message), REASONS.get(message.get("Reason", "").lower(), "COMPLETEAGENT")
        self._talking.pop(call, None)
        durations = (message.get("HoldTime", ""), message.get("TalkTime", ""), "")
        data = ("", "", *durations) if name == "TRANSFER" else durations
        yield from self._line(at, *call, _member(message), name, *data)

    # Members of queues

    def _add_member(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        queue, member, paused = message.get("Queue", ""), _member(message), message.get("Paused", "0")
        self._members[queue, member] = paused
        yield from self._line(at, "NONE", queue, member, "ADDMEMBER", "PAUSED" if paused == "1" else "")
        if paused == "1":
            yield from self._line(at, "NONE", queue, member, "PAUSE", _reason(message))

    def _remove_member(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        queue, member = message.get("Queue", ""), _member(message)
        self._members.pop((queue, member), None)
        yield from self._line(at, "NONE", queue, member, "REMOVEMEMBER")

    def _pause_member(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        queue, member, paused = message.get("Queue", ""), _member(message), message.get("Paused", "0")
        if message.get("Membership") != "static":
            self._members[queue, member] = paused
        yield from self._line(
            at,
            "NONE",
            queue,
            member,
            "PAUSE" if paused == "1" else "UNPAUSE",
            _reason(message) if paused == "1" else "",
        )

    def _see_member(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        """A member as Asterisk has it now. A static member is not known to be there, as in queue_log."""
        key, paused = (message.get("Queue", ""), _member(message)), message.get("Paused", "0")
        if message.get("Membership") == "static" or self._members.get(key) == paused:
            return
        yield from self._pause_member(message, at) if key in self._members else self._add_member(message, at)

    # The list after a login

    def _list_member(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        self._listed.add((message.get("Queue", ""), _member(message)))
        yield from self._see_member(message, at)
        for call, member in list(self._talking.items()):
            if message.get("InCall") == "0" and (call[1], member) == (message.get("Queue"), _member(message)):
                del self._talking[call]
                for produced, origin in self._line(at, *call, member, "COMPLETEAGENT"):
                    if isinstance(produced, dict):
                        produced.pop("ended_by", None)  # it ended while we were not connected
                    yield produced, origin

    def _list_caller(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        call, wait = _call(message), message.get("Wait", "")
        self._listed.add(call)
        if call not in self._waiting:
            yield from self._join(
                message, at - dt.timedelta(seconds=int(wait) if wait.isdecimal() and len(wait) < 7 else 0)
            )

    def _compare(self, message: Message, at: dt.datetime) -> Iterator[Produced]:
        """Who is not on the list left while we were not connected; only the log knows how."""
        gone = [call for call in self._waiting if call not in self._listed]
        removed = [key for key in self._members if key not in self._listed]
        self._listed = set()
        for call in gone:
            yield from self._out(call, at, "SYSCOMPAT")
        for queue, member in removed:
            del self._members[queue, member]
            yield from self._line(at, "NONE", queue, member, "REMOVEMEMBER")

    # As queue_log

    def _line(self, at: dt.datetime, callid: str, queue: str, agent: str, name: str, *data: str) -> Iterator[Produced]:
        fields = [str(int(at.timestamp())), callid, queue, agent, name, *(data or ("",))]
        line = "|".join(field.replace("|", " ") for field in fields)
        yield from self._noted(self._switch.take([line.encode()]))

    def _noted(self, produced: Iterable[Produced]) -> Iterator[Produced]:
        for sent, origin in produced:
            self._ringing.note([sent])
            yield sent, origin


def _marked(produced: Iterable[Produced]) -> Iterator[Produced]:
    for sent, origin in produced:
        marked: Event | Rejected = {MARK: "ami", **sent} if isinstance(sent, dict) else sent
        yield marked, origin


def _instant(message: Message) -> dt.datetime | None:
    """When Asterisk sent the message, in whole seconds as queue_log has them (timestampevents in manager.conf)."""
    seconds = message.get("Timestamp", "").partition(".")[0]
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC) if seconds.isdecimal() and len(seconds) < 11 else None


def _call(message: Message) -> Call:
    return message.get("Uniqueid", ""), message.get("Queue", "")


def _member(message: Message) -> str:
    """The member's name, as queue_log has it; QueueStatus has other words for the same fields."""
    names = (message.get(name) for name in ("MemberName", "Name", "Interface", "Location"))
    return next(filter(None, names), "")


def _reason(message: Message) -> str:
    return message.get("PausedReason", "")
