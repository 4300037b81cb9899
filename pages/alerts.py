"""Alerts: what fires, to acknowledge or to silence; what rang how often; and who did what."""

from datetime import datetime, timedelta

import streamlit as st

from metrics import clock, readers
from metrics.audit.trail import OTHERS
from metrics.language import alert_words
from metrics.readers import Alert
from notify.desk import LONGEST_WHY, MOST_SILENT_S, STOPS, DeskError, may_silence
from pages.accounts import visitor
from pages.alerting import lines, tables
from pages.shared import choices, empty, ticks
from pages.shared.i18n import plain
from pages.shared.ringing import Ringing, desk, ringing

TICK_S = 2
SLOW_S = 15
SHOWN = 30
"""Show at most this many alerts with their buttons."""
PERIODS = (7, 30, 90)
"""Days to look back on."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def read() -> Ringing | None:
    return ringing(viewer, clock.now())


def open_dialog(action: str, *alerts: Alert) -> None:
    """Open the dialog of an action on these alerts, at the next run of the whole page, until `close_dialog`."""
    st.session_state["dialog"] = (action, alerts)
    st.session_state["dialog_opened"] = True


def close_dialog() -> None:
    st.session_state.pop("dialog", None)


@ticks.tick(TICK_S)
def firing() -> None:
    """Draw what fires, the gravest first, each with its buttons."""
    if st.session_state.pop("dialog_opened", False):
        st.rerun()  # a button reruns only this part of the page
    now = read()
    if now is None:
        return
    if now.trouble:
        st.error(plain(now.trouble), icon=":material/error:")
    if not now.firing:
        st.caption(_("No active alerts."))
        return
    waiting = tuple(alert for alert in now.firing if now.is_open(alert) and now.may_acknowledge(viewer, alert))
    if len(waiting) > 1:
        label = _("Acknowledge all {n}").format(n=text.number(len(waiting)))
        st.button(label, icon=":material/done_all:", on_click=open_dialog, args=("acknowledge", *waiting), key="all")
    for alert in now.firing[:SHOWN]:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.html(lines.line(alert, now, text), width="stretch")
            if now.may_acknowledge(viewer, alert):
                key = f"acknowledge-{alert.alert_id}"
                st.button(_("Acknowledge"), on_click=open_dialog, args=("acknowledge", alert), key=key, type="primary")
            if alert.alert_id not in now.silent and may_silence(viewer, alert.campaign):
                st.button(_("Silence"), on_click=open_dialog, args=("silence", alert), key=f"silence-{alert.alert_id}")
    if len(now.firing) > SHOWN:
        rest = len(now.firing) - SHOWN
        st.caption(text.ngettext("and {n} more", "and {n} more", rest).format(n=text.number(rest)))


@ticks.tick(TICK_S)
def silences() -> None:
    """Draw the silences in force about what the viewer sees, each with a button to end it for who may."""
    now = read()
    if now is None:
        return
    mine = [silence for silence in now.silences if silence.campaign is None or viewer.sees(silence.campaign)]
    if not mine:
        st.caption(_("Nothing is silenced."))
    for silence in mine:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.html(tables.silence(silence, now.places, text), width="stretch")
            if may_silence(viewer, silence.campaign):
                key = f"end-{silence.silence_id}"
                st.button(_("End"), on_click=end_silence, args=(silence.silence_id,), key=key)


def end_silence(silence_id: int) -> None:
    try:
        desk().end_silence(viewer, silence_id, clock.now())
        visitor.note(viewer, "end-silence", str(silence_id))
    except DeskError as error:
        st.session_state["alert_error"] = str(error)


@ticks.tick(SLOW_S)
def today() -> None:
    """Draw what fired today and is over."""
    now = read()
    if now is None:
        return
    over = [alert for alert in now.today if alert.ended_at is not None]
    if over:
        st.html("".join(lines.line(alert, now, text) for alert in over[:SHOWN]))
    else:
        st.caption(_("No other alerts today."))


@ticks.tick(SLOW_S)
def rules() -> None:
    """Draw how often each rule rang, so that useless ones are dropped."""
    periods = {str(n): text.ngettext("{n} day", "{n} days", n).format(n=text.number(n)) for n in PERIODS}
    days = int(choices.segments("period", _("Period"), periods, label_visibility="collapsed"))
    at = clock.now()
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)  # the key of a kept answer
    rang = readers.alerts(readers.published(), viewer, midnight - timedelta(days=days))
    if not rang:
        st.caption(_("No rule fired in this time."))
        return
    try:
        acknowledged = desk().acknowledgements(rang)
    except DeskError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.html(tables.rules(tables.rules_of(rang, acknowledged.keys(), at), text))
    st.caption(_("A rule that fires often and that nobody acknowledges is useless: change or remove it."))


@ticks.tick(SLOW_S)
def audit() -> None:
    """Draw who acknowledged and silenced what."""
    now = read()
    if now is None:
        return
    try:
        entries = desk().audit(viewer)
    except DeskError:
        return
    if not entries:
        st.caption(_("Nobody has acknowledged or silenced anything yet."))
        return
    st.html(tables.audit(entries, now.places, text))


def ask_acknowledge(alerts: tuple[Alert, ...]) -> None:
    """Ask for a word about what is being done, and acknowledge."""
    now = read()
    if now is not None:
        st.html("".join(lines.line(alert, now, text) for alert in alerts[:3]))
    if len(alerts) > 3:
        rest = len(alerts) - 3
        st.caption(text.ngettext("and {n} more", "and {n} more", rest).format(n=text.number(rest)))
    why = st.text_input(_("What is being done about it"), max_chars=LONGEST_WHY, key="why")
    st.caption(
        _("It is then neither repeated nor passed on to others.")
        if viewer.role == STOPS
        else _("The managers see it. Their own messages go on until one of them acknowledges.")
    )
    if st.button(_("Acknowledge"), type="primary", key="do"):
        try:
            desk().acknowledge(viewer, alerts, why, clock.now())
        except DeskError as error:
            st.error(plain(str(error)))
        else:
            for alert in alerts:
                visitor.note(viewer, "acknowledge", _about(alert.rule, alert.campaign))
            close_dialog()
            st.rerun()


def _about(rule: str | None, campaign: str | None) -> str:
    """Name what an entry of the audit trail is about; the desk's own trail has the reason."""
    return f"{rule or OTHERS} · {campaign or OTHERS}"


def ask_silence(alerts: tuple[Alert, ...]) -> None:
    """Ask for scope, time and reason, and silence."""
    (alert,) = alerts
    now = read()
    where = alert_words.where(alert, now.places if now else {}, text)
    scopes: dict[tuple[str | None, str | None], str] = {
        (alert.rule, alert.campaign): _("Rule {rule}, {campaign} only").format(rule=alert.rule, campaign=where)
    }
    if alert.campaign is not None:
        scopes[None, alert.campaign] = _("All rules, {campaign} only").format(campaign=where)
        if may_silence(viewer, None):
            scopes[alert.rule, None] = _("Rule {rule}, all campaigns").format(rule=alert.rule)
    rule, campaign = st.radio(_("What"), list(scopes), format_func=scopes.__getitem__, key="scope")
    hours = {0.5: _("30 minutes"), 1.0: _("1 hour"), 4.0: _("4 hours"), 12.0: _("12 hours"), 24.0: _("1 day")}
    hours[MOST_SILENT_S / 3_600] = _("7 days")
    chosen = st.selectbox(_("For how long"), list(hours), format_func=hours.__getitem__, index=1, key="hours")
    why = st.text_input(_("Why"), max_chars=LONGEST_WHY, key="why")
    st.caption(_("Nobody is notified during this time. The pages still show the alert."))
    if st.button(_("Silence"), type="primary", disabled=not why.strip(), key="do"):
        at: datetime = clock.now()
        try:
            desk().silence(viewer, rule, campaign, why, at, at + timedelta(hours=chosen))
        except DeskError as error:
            st.error(plain(str(error)))
        else:
            visitor.note(viewer, "silence", f"{_about(rule, campaign)} · {chosen:g} h")
            close_dialog()
            st.rerun()


def page() -> None:
    if read() is None:
        empty.nothing_published(text)
        return
    if error := st.session_state.pop("alert_error", None):
        st.error(plain(error), icon=":material/error:")
    dialog = st.session_state.get("dialog")
    st.session_state.pop("dialog_opened", None)
    if dialog:
        action, alerts = dialog
        if action == "acknowledge":
            st.dialog(_("Acknowledge"), on_dismiss=close_dialog)(ask_acknowledge)(alerts)
        else:
            st.dialog(_("Silence"), on_dismiss=close_dialog)(ask_silence)(alerts)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        st.subheader(_("Active now"), anchor=False)
        firing()
        st.subheader(_("Ended today"), anchor=False)
        today()
    with right:
        if viewer.sees_work:  # the reasons may be about how agents work
            st.subheader(_("Silences"), anchor=False)
            silences()
        st.subheader(_("Rules"), anchor=False)
        rules()
    if viewer.sees_work:
        st.subheader(_("Who did what"), anchor=False)
        audit()


page()
