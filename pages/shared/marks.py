"""Marks for how good a figure is: a shape, a colour and a word, so that nobody has to tell colours apart."""

from html import escape
from zoneinfo import ZoneInfo

from metrics.readers import CampaignNow
from pages.shared.i18n import Text

STALE_S = 15
"""Data older than this is drawn grey, because the floor may have changed since [s]."""
SILENT_S = 300
"""After this long without an event, ask whether a switch has stopped sending or the floor is quiet [s]."""
NEAR = 0.05
"""A service level less than this below its target is "close to target" [ratio]."""
IN_WINDOW = ("service_level", "offered", "abandon_rate", "asa_s", "aht_s", "occupancy")
"""Figures of the last minutes that pages show beside those of the day: columns of Now."""
LONG = 5
"""A wait of more than this many thresholds is too long, whatever the level of the window."""


def level_state(level: float | None, target: float | None) -> str:
    """Judge a service level by its target: "met", "near" or "missed"; "none" when either is undefined."""
    if level is None or target is None:
        return "none"
    if level >= target:
        return "met"
    return "near" if level > target - NEAR else "missed"


def state_of(campaign: CampaignNow) -> str:
    """Judge a campaign as it is now: "met", "near", "missed", "none" without a verdict, "closed".

    The window gives the verdict, unless it has too few calls. The queue can only make it worse: a campaign on target is
    "near" if the callers who wait could bring the window below its target, or if one has waited LONG thresholds. With
    too few calls, a late caller makes it "near", and one who has waited LONG thresholds "missed".
    """
    now = campaign.now
    if is_closed(campaign):
        return "closed"
    state = "none" if now.too_few_calls else level_state(now.service_level, now.target)
    if state == "none" and is_late(campaign):
        return "missed" if _waits_long(campaign) else "near"
    if state == "met" and (_waits_long(campaign) or level_state(now.service_level_worst, now.target) != "met"):
        return "near"
    return state


def is_closed(campaign: CampaignNow) -> bool:
    """Return whether a campaign is outside its opening hours and nobody waits."""
    return not campaign.now.is_open and not campaign.waiting


def now_word(campaign: CampaignNow, text: Text) -> str:
    """Say in a word or two how a campaign is now."""
    _ = text.gettext
    now, state = campaign.now, state_of(campaign)
    if state == "closed":
        return _("Closed")
    if now.too_few_calls:
        if state != "none":
            return _("Waiting too long")
        if now.offered:
            return _("Too few calls")
        return _("No calls") if campaign.today and campaign.today.offered else _("No calls yet")
    if state == "near" and level_state(now.service_level, now.target) == "met" and _waits_long(campaign):
        return _("Waiting too long")
    return state_word(state, text)


def opens_words(campaign: CampaignNow, text: Text) -> str:
    """Say when a closed campaign opens; empty if it is open or never opens."""
    opens_at, zone = campaign.now.opens_at, campaign.campaign.timezone
    if opens_at is None:
        return ""
    _, time = text.gettext, text.clock(opens_at, zone)
    day = opens_at.astimezone(ZoneInfo(zone)).date()
    if day == campaign.campaign.day:
        return _("opens at {time}").format(time=time)
    return _("opens on {weekday} at {time}").format(weekday=text.weekday(day.weekday()), time=time)


def window_words(campaign: CampaignNow, text: Text) -> str:
    return text.gettext("Last {minutes} min").format(minutes=text.number(campaign.now.minutes))


def verdict_of(campaign: CampaignNow) -> str:
    """Judge a campaign's day: "kept", "lost", "safe" (open, on target so far), "save" (open, below), "none"."""
    if campaign.outlook is None:
        return "none"
    if campaign.outlook.verdict != "open":
        return campaign.outlook.verdict
    today = campaign.today
    return "save" if today and level_state(today.service_level, today.target) in ("near", "missed") else "safe"


def verdict_words(campaign: CampaignNow, text: Text, *, brief: bool) -> str:
    """Say where a campaign's day stands against its contract; `brief`: without counts. Empty without a verdict."""
    _, verdict, outlook = text.gettext, verdict_of(campaign), campaign.outlook
    words = {"kept": _("Kept"), "lost": _("Lost"), "safe": _("On course"), "save": _("To be saved"), "none": ""}
    if brief or outlook is None or outlook.may_be_late is None or verdict not in ("safe", "save"):
        return words[verdict]
    late = text.ngettext("{late} of {calls} may be late", "{late} of {calls} may be late", outlook.may_be_late).format(
        late=text.number(outlook.may_be_late), calls=text.number(outlook.calls)
    )
    return f"{words[verdict]} · {late}"


def verdict_mark(campaign: CampaignNow, text: Text, *, brief: bool = False) -> str:
    """Draw where a campaign's day stands; its marks are squares, unlike those of now."""
    words = verdict_words(campaign, text, brief=brief)
    if not words:
        return ""
    _ = text.gettext
    about = {
        "kept": _("The day meets its target even if all calls still expected are late."),
        "lost": _("The day misses its target even if all calls still expected are in time."),
    }.get(verdict_of(campaign), _("How many of the calls still expected today may be late."))
    return f'<span class="verdict {verdict_of(campaign)}" title="{escape(about)}"><i></i>{escape(words)}</span>'


def _waits_long(campaign: CampaignNow) -> bool:
    threshold_s, longest_s = campaign.now.threshold_s, campaign.longest_wait_s
    return longest_s is not None and threshold_s is not None and longest_s > LONG * threshold_s


def state_word(state: str, text: Text) -> str:
    _ = text.gettext
    words = {
        "met": _("On target"),
        "near": _("Close to target"),
        "missed": _("Below target"),
        "none": _("No level yet"),
    }
    return words[state]


def state_mark(kind: str, label: str) -> str:
    """Draw a label with a mark: that of "met", "near", "missed", "none" or "closed", or of another CSS class."""
    return f'<span class="state {kind}"><i></i>{escape(label)}</span>'


def marked_level(html: str, state: str, text: Text) -> str:
    """Draw a service level, given as HTML, with the mark of its state. "none" has no mark."""
    if state == "none":
        return html
    return f'<span class="state {state}" title="{escape(state_word(state, text))}"><i></i>{html}</span>'


def is_late(campaign: CampaignNow) -> bool:
    """Return whether a caller has waited longer than the contract's threshold."""
    threshold_s = campaign.now.threshold_s
    return campaign.longest_wait_s is not None and threshold_s is not None and campaign.longest_wait_s > threshold_s


def late_mark(label: str, tooltip: str) -> str:
    """Draw the mark of a wait past the contract's threshold.

    It is the mark of a missed target: the call is late even if it is answered now.
    """
    return f'<em class="state missed" title="{escape(tooltip)}"><i></i>{escape(label)}</em>'


def past_words(threshold_s: float | None, text: Text) -> str:
    return text.gettext("past {seconds} s").format(seconds=text.number(threshold_s))


def target_words(target: float | None, threshold_s: float | None, text: Text) -> str:
    _ = text.gettext
    if target is None or threshold_s is None:
        return _("No target")
    return _("target {target} in {seconds} s").format(target=text.percent(target, 0), seconds=text.number(threshold_s))
