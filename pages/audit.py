"""Who did what, for managers of everything: sign-ins, refusals, downloads, SQL, changes; and whether it is complete."""

import streamlit as st

from metrics import clock
from metrics.audit.trail import DAY_S, AuditError
from pages.accounts import visitor
from pages.accounts.access import access
from pages.operations import audit_table
from pages.shared import choices
from pages.shared.i18n import plain

PERIODS = (1, 7, 30)
SHOWN = 200

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def check() -> None:
    """Draw whether the chain of entries is whole."""
    chain = access().audit.verify()
    if chain.broken is not None:
        broken = _("Entry {n}, or one before it, was changed or removed by something else than Vigie.")
        st.error(broken.format(n=chain.broken), icon=":material/link_off:")
        return
    whole = text.ngettext(
        "{n} entry, complete and unchanged.", "{n} entries, complete and unchanged.", chain.entries
    ).format(n=text.number(chain.entries))
    newest = _("Note the newest elsewhere, to notice if the whole trail is replaced:")
    st.success(f"{whole} {newest} `{chain.newest}:{chain.hash}`", icon=":material/link:")


def page() -> None:
    trail = access().audit
    kinds = {"": _("everything")} | audit_table.kinds(text)
    people = {"": _("everybody")} | {who: who for who in trail.people()}
    periods = {str(n): text.ngettext("{n} day", "{n} days", n).format(n=text.number(n)) for n in PERIODS}
    with st.container(horizontal=True, vertical_alignment="bottom", key="bar"):
        kind = choices.menu("kind", _("Show"), kinds, width=240)
        who = choices.menu("person", _("Who"), people, width=240)
        period = choices.menu("period", _("Period"), periods | {"all": _("everything kept")}, width=180)
        is_asked = st.button(_("Check the trail"), icon=":material/link:")
    if is_asked:
        check()
    since = None if period == "all" else clock.now_s() - int(period) * DAY_S
    entries = trail.entries(kind=kind or None, who=who or None, since=since, most=SHOWN)
    if not entries:
        st.caption(_("No entry."))
        return
    st.html(audit_table.entries(entries, text))
    if len(entries) == SHOWN:
        more = _("These are the newest {n}. The command {command} prints more.")
        st.caption(more.format(n=text.number(SHOWN), command="`python -m pages.accounts audit`"))


try:
    page()
except AuditError as error:
    st.error(plain(str(error)), icon=":material/error:")
