"""The story of a phone call: a bar for each of its visits to a queue, and all their steps on one line of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.readers import Step, Story, Visit
from pages.figure.call_list import MARKS
from pages.shared import names, table
from pages.shared.i18n import DASH, Text, short
from pages.shared.marks import state_mark

ICONS = {"missed": "missed", "abandoned": "missed", "left": "near", "answered": "met", "held": "near"}
"""Step → shape and colour of its mark, beside its words. The other steps have a plain dot."""


@dataclass(frozen=True)
class Span:
    """A part of a visit: `kind` is wait, talk, hold or wrap."""

    kind: str
    start: datetime
    end: datetime


def draw(story: Story, viewer: Viewer, text: Text) -> str:
    """Draw the visits as bars on one axis, and below them every step in order of time."""
    times = [step.at for visit in story.visits for step in visit.steps if step.at]
    spans = {visit.call_id: tuple(_spans(visit, viewer, story.freshness.as_of)) for visit in story.visits}
    ends = [span.end for of_visit in spans.values() for span in of_visit]
    if not times:
        return table.note(text.gettext("No times are known for this call."))
    start, end = min(times), max((*times, *ends))
    bars = "".join(_bar(n, visit, spans[visit.call_id], start, end, text) for n, visit in enumerate(story.visits, 1))
    return f'<div class="vigie-story">{bars}{_legend(spans, text)}{_steps(story, start, text)}</div>'


def back(text: Text) -> str:
    """Return the words of the link to the day's calls."""
    return escape(text.gettext("The calls of this day"))


def _spans(visit: Visit, viewer: Viewer, as_of: datetime) -> Iterator[Span]:
    at = {step.kind: step.at for step in reversed(visit.steps) if step.at}  # of each kind, the first
    begin, answered = at.get("queued") or at.get("connected") or at.get("dialed"), at.get("answered")
    waited = answered or at.get("abandoned") or at.get("left") or (as_of if visit.outcome == "open" else None)
    if begin and waited and waited > begin:
        yield Span("wait", begin, waited)
    if answered is None or not viewer.sees_work:
        return
    ended = at.get("transferred") or at.get("ended") or as_of
    if ended > answered:
        yield Span("talk", answered, ended)
    since: datetime | None = None
    for step in (*visit.steps, Step("resumed", ended)):
        if step.kind == "held" and step.at and answered <= step.at < ended:
            since = since or step.at
        elif step.kind == "resumed" and step.at and since:
            yield Span("hold", since, min(step.at, ended))
            since = None
    wrapped = at.get("wrapped")
    if wrapped and wrapped > ended:
        yield Span("wrap", ended, wrapped)


def _bar(n: int, visit: Visit, spans: tuple[Span, ...], start: datetime, end: datetime, text: Text) -> str:
    """Draw a visit: its name and outcome, its times in words, and its parts on the axis from `start` to `end`."""
    _ = text.gettext
    full = max((end - start).total_seconds(), 1.0)
    labels = _labels(text)
    parts = "".join(
        f'<i class="{span.kind}" style="left:{(span.start - start).total_seconds() / full:.2%};'
        f'width:{(span.end - span.start).total_seconds() / full:.2%}"'
        f' title="{escape(labels[span.kind])} {escape(text.duration((span.end - span.start).total_seconds()))}"></i>'
        for span in spans
    )
    missed = "".join(
        f'<b style="left:{(step.at - start).total_seconds() / full:.2%}"'
        f' title="{escape(_words(step, visit, text))}"></b>'
        for step in visit.steps
        if step.kind == "missed" and step.at
    )
    times = (("wait", visit.wait_s), ("talk", visit.talk_s), ("hold", visit.hold_s or None), ("wrap", visit.wrap_s))
    words = " · ".join(f"{labels[kind]} {text.duration(seconds)}" for kind, seconds in times if seconds is not None)
    where = " · ".join((visit.campaign_name, short(visit.queue or DASH)))
    mark = state_mark(MARKS.get(visit.outcome, "none"), names.outcome(visit.outcome, text))
    recording = ""
    if visit.recording:
        label = escape(_("Listen to the recording"))
        recording = f'<a href="{escape(visit.recording)}" target="_blank" rel="noopener noreferrer">{label}</a>'
    notes = [_("end inferred")] if visit.inferred_end else []
    notes += [_("Result: {disposition}").format(disposition=short(visit.disposition))] if visit.disposition else []
    note = f"<span>{escape(' · '.join(notes))}</span>" if notes else ""
    return (
        f'<section class="visit"><header><b class="n">{n}</b><b>{escape(where)}</b>{mark}'
        f"<span>{escape(words)}</span>{note}{recording}</header>"
        f'<div class="track" aria-hidden="true">{parts}{missed}</div></section>'
    )


def _labels(text: Text) -> dict[str, str]:
    _ = text.gettext
    return {"wait": _("Wait"), "talk": _("Talk"), "hold": _("Hold"), "wrap": _("Wrap-up")}


def _legend(spans: dict[str, tuple[Span, ...]], text: Text) -> str:
    there = {span.kind for of_visit in spans.values() for span in of_visit}
    keys = "".join(
        f'<span><i class="{kind}"></i>{escape(label)}</span>' for kind, label in _labels(text).items() if kind in there
    )
    return f'<p class="legend" aria-hidden="true">{keys}</p>'


def _steps(story: Story, start: datetime, text: Text) -> str:
    """Draw every step of all visits in order, with its time and the time since the first one."""
    _ = text.gettext
    zone = story.campaign.timezone
    several = len(story.visits) > 1
    rows = []
    for n, step in _in_order(story):
        clock = text.clock(step.at, zone, seconds=True) if step.at else DASH
        since = f"+{text.duration((step.at - start).total_seconds())}" if step.at else ""
        visit = escape(_("Visit {n}").format(n=n))
        which = f'<b class="n" title="{visit}">{n}</b>' if several else ""
        words = state_mark(ICONS.get(step.kind, "none"), _words(step, story.visits[n - 1], text))
        rows.append(f"<li><time>{escape(clock)}</time><span>{escape(since)}</span>{which}{words}</li>")
    return f"<ol>{''.join(rows)}</ol>"


def _in_order(story: Story) -> list[tuple[int, Step]]:
    """Return all steps in order of time, each with the number of its visit. One without a time keeps its place."""
    placed: list[tuple[datetime, int, int, Step]] = []
    for n, visit in enumerate(story.visits, 1):
        last = datetime.min.replace(tzinfo=UTC)
        for place, step in enumerate(visit.steps):
            last = step.at or last
            placed.append((last, n, place, step))
    return [(n, step) for _at, n, _place, step in sorted(placed, key=lambda of: of[:3])]


def _words(step: Step, visit: Visit, text: Text) -> str:
    _ = text.gettext
    agent = short(step.agent or _("an agent"))
    by = {"customer": _("Hung up by the customer"), "agent": _("Hung up by the agent")}
    return {
        "dialed": _("Dialled"),
        "connected": _("The customer picked up"),
        "queued": _("Entered the queue {queue}").format(queue=short(visit.queue or DASH)),
        "asked_for_human": _("Asked for a person"),
        "rang": _("Rang for {agent}").format(agent=agent),
        "missed": _("{agent} did not pick up").format(agent=agent),
        "answered": _("Answered by {agent}").format(agent=agent),
        "held": _("Put on hold"),
        "resumed": _("Back from hold"),
        "abandoned": _("The caller hung up while waiting"),
        "left": _("Left the queue: {reason}").format(reason=_reason(visit.left_reason, text)),
        "transferred": _("Transferred by {agent}").format(agent=agent),
        "ended": by.get(visit.ended_by or "", _("Call ended")),
        "wrapped": _("Wrap-up done"),
    }[step.kind]


def _reason(reason: str | None, text: Text) -> str:
    _ = text.gettext
    reasons = {
        "overflow": _("overflowed"),
        "callback": _("call-back"),
        "voicemail": _("voicemail"),
        "timeout": _("longest wait reached"),
        "closed": _("outside opening hours"),
        "full": _("the queue was full"),
        "no_agents": _("no agent logged in"),
        "system": _("fault of the system"),
    }
    return reasons.get(reason or "", reason or DASH)
