"""One agent of a queue_log: what the lines so far say of them, and the one state that follows from it."""

import datetime as dt

import msgspec


class WrapUp(msgspec.Struct):
    """After-call work on a call until an instant."""

    until: dt.datetime
    call_id: str
    campaign: str


class Saying(msgspec.Struct, frozen=True):
    """A reported state. Equal states in a row are reported once."""

    state: str
    reason: str | None = None
    campaign: str | None = None
    queues: tuple[str, ...] = ()


class Report(msgspec.Struct):
    """A report of a state: when, which one, and its revision."""

    at: dt.datetime
    saying: Saying
    revision: int


class Agent(msgspec.Struct):
    """An agent as the lines so far describe them. `is_in` is None until a line says whether they are logged in."""

    id: str
    is_in: bool | None = None
    has_login: bool = False
    has_joined: bool = False  # the log says which queues they are a member of
    queues: dict[str, bool] = {}  # the queues they are a member of: whether they are paused there
    is_paused: bool = False  # in all queues
    reason: str | None = None
    talks: dict[str, str] = {}  # call_id: campaign
    last_call: tuple[str, str] | None = None  # the call_id and campaign of the last talk that ended
    result: str | None = None  # what they called the result of that call
    wrap_up: WrapUp | None = None
    unnamed_reason: tuple[dt.datetime, str] | None = None  # a reason that came before its pause, and when
    is_unreachable: bool = False  # their telephone could not be rung when they were last offered a call
    said: Saying | None = None  # the state that was reported last
    said_at: dt.datetime | None = None
    said_times: int = 0  # how many states before it were reported at the same instant
    rest: list[Report] = []  # what was reported of the pause that lasts
    profile: dict[str, str] = {}

    def is_available(self) -> bool:
        return bool(self.is_in and not self.talks and not self.wrap_up and not self.is_resting())

    def is_resting(self) -> bool:
        """Whether no queue offers them calls, because they are paused in all of them."""
        return self.is_paused or (bool(self.queues) and all(self.queues.values()))

    def saying(self, campaigns: list[str]) -> Saying:
        """Their state now; `campaigns` are those of their queues, in the order they joined them."""
        queues = tuple(sorted(self.queues))
        if self.talks:
            return Saying("busy", None, next(reversed(self.talks.values())), queues)
        if self.wrap_up:
            return Saying("wrap_up", None, self.wrap_up.campaign, queues)
        if not self.is_in:
            return Saying("offline")
        campaign = campaigns[0] if campaigns else None
        if self.last_call and self.last_call[1] in campaigns:  # of several campaigns, the one they worked for last
            campaign = self.last_call[1]
        if self.is_resting():
            return Saying("paused", self.reason, campaign, queues)
        return Saying("available", None, campaign, queues)
