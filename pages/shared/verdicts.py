"""How a campaign is now, and where its day stands against its contract: docs/kpis.md, Now, has the rules."""

from html import escape
from zoneinfo import ZoneInfo

from metrics.readers import CampaignNow
from pages.shared.i18n import Text
from pages.shared.marks import level_state, state_word

IN_WINDOW = ("service_level", "offered", "abandon_rate", "asa_s", "aht_s", "occupancy")
"""Figures of the last minutes that pages show beside those of the day: columns of Now."""
LONG = 5
"""A wait of more than this many thresholds is too long, whatever the level of the window."""


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


def is_late(campaign: CampaignNow) -> bool:
    """Return whether a caller has waited longer than the contract's threshold."""
    threshold_s = campaign.now.threshold_s
    return campaign.longest_wait_s is not None and threshold_s is not None and campaign.longest_wait_s > threshold_s


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
