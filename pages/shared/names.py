"""Names of figures, counts, outcomes and formulas in the reader's language."""

from metrics.authorisation.suppression import SMALLEST
from metrics.composition.figures import KPIS, MEASURES
from metrics.kpis import kpi
from metrics.kpis.outcomes import PARTS
from metrics.readers import Figures, Kpis
from pages.shared.i18n import DASH, NBSP, Text

UNITS = {figure.name: figure.unit for figure in KPIS.values()} | {m.name: m.unit for m in MEASURES.values()}
SECONDS = frozenset(name for name, unit in UNITS.items() if unit == kpi.SECONDS)
RATIOS = frozenset(name for name, unit in UNITS.items() if unit == kpi.RATIO)
DECIMALS = frozenset(figure.name for figure in KPIS.values() if figure.denominator and not figure.is_equation) - (
    SECONDS | RATIOS
)


def figure(name: str, text: Text) -> str:
    """Name a figure, or a count or sum of seconds that it is made of."""
    _ = text.gettext
    names = {
        "service_level": _("Service level"),
        "service_level_worst": _("Worst, while calls wait"),
        "service_level_best": _("Best, while calls wait"),
        "conserved": _("Conserved"),
        "abandon_rate": _("Abandon rate"),
        "answer_rate": _("Answer rate"),
        "asa_s": _("Average wait (ASA)"),
        "longest_wait_s": _("Longest wait"),
        "aht_s": _("Average handling (AHT)"),
        "avg_talk_s": _("Average talk"),
        "avg_hold_s": _("Average hold"),
        "avg_wrap_s": _("Average wrap-up"),
        "occupancy": _("Occupancy"),
        "utilisation": _("Utilisation"),
        "transfer_rate": _("Transfer rate"),
        "conversion": _("Conversion"),
        "sales_per_hour": _("Sales per hour"),
        "avg_score": _("Average rating"),
        "satisfaction": _("Satisfaction (CSAT)"),
        "contact_rate": _("Contact rate"),
        "drop_rate": _("Drop rate"),
        "offered": _("Offered"),
        "answered": _("Answered"),
        "abandoned": _("Abandoned"),
        "short_abandoned": _("Short abandons"),
        "overflowed": _("Overflowed"),
        "callback": _("Call-back"),
        "voicemail": _("Voicemail"),
        "dropped": _("Dropped"),
        "open": _("Still waiting"),
        "refused": _("Refused"),
        "answered_in_threshold": _("Answered in time"),
        "abandoned_in_threshold": _("Abandoned in time"),
        "open_in_threshold": _("Waiting, still in time"),
        "service_level_hits": _("In time, each by its contract"),
        "service_level_base": _("Counted, each by its contract"),
        "answered_wait_s": _("Waits of answered calls"),
        "answered_waits": _("Answered, with a known wait"),
        "talk_s": _("Talk"),
        "hold_s": _("Hold"),
        "wrap_s": _("Wrap-up"),
        "handled": _("Handled"),
        "busy_s": _("Busy"),
        "wrap_up_s": _("Wrap-up"),
        "available_s": _("Available time"),
        "logged_in_s": _("Logged in"),
        "transferred": _("Transferred"),
        "sales": _("Sales"),
        "rated": _("Rated"),
        "satisfied": _("Rated 4 or 5"),
        "score_points": _("Sum of ratings"),
        "contacts": _("Reached a person"),
        "dialed": _("Dialled"),
        "drops": _("Drops"),
        "outbound_answered": _("Outbound answered"),
    }
    return names[name]


def brief(name: str, text: Text) -> str:
    """Name a figure in a short form, where there is little room."""
    _ = text.gettext
    names = {
        "waiting": _("Waiting"),
        "longest_wait_s": _("Longest wait"),
        "service_level": _("Service level"),
        "offered": _("Offered"),
        "answered": _("Answered"),
        "abandoned": _("Abandoned"),
        "other": _("Other"),
        "abandon_rate": _("Abandon rate"),
        "asa_s": _("ASA"),
        "aht_s": _("AHT"),
        "occupancy": _("Occupancy"),
        "utilisation": _("Utilisation"),
    }
    return names[name]


def shown(name: str, value: float | None, text: Text, digits: int = 1) -> str:
    """Format a figure's value by its unit: a percentage with this many digits, a decimal, a duration or a count."""
    if name in RATIOS:
        return text.percent(value, digits)
    if name in DECIMALS:
        return text.decimal(value)
    return text.duration(value) if name in SECONDS else text.number(value)


def outcome(name: str, text: Text) -> str:
    """Name the outcome of a call."""
    _ = text.gettext
    names = {
        "answered": _("answered"),
        "abandoned": _("abandoned"),
        "short_abandoned": _("short abandon"),
        "overflowed": _("overflowed"),
        "callback": _("call-back"),
        "voicemail": _("voicemail"),
        "dropped": _("dropped"),
        "open": _("waiting"),
        "other": _("neither answered nor abandoned"),
        "refused": _("refused"),
        "not_connected": _("not connected"),
    }
    return names.get(name, name or DASH)


def state(name: str, text: Text) -> str:
    """Name an agent's state. "elsewhere" is shown to viewers who may not see the agent's other campaign."""
    _ = text.gettext
    names = {
        "busy": _("On a call"),
        "wrap_up": _("In wrap-up"),
        "available": _("Available"),
        "paused": _("Paused"),
        "elsewhere": _("On another campaign"),
        "offline": _("Logged out"),
    }
    return names[name]


def agents_in(name: str, text: Text) -> str:
    """Name a mean number of agents, a column of `kpi_interval`."""
    _ = text.gettext
    names = {
        "agents_logged_in": text.ngettext("Logged in", "Logged in", 2),  # plural: other languages decline it
        "agents_available": text.ngettext("Available", "Available", 2),
        "agents_busy": _("Busy"),
        "agents_wrap_up": _("Wrap-up"),
        "agents_paused": _("Paused"),
    }
    return names[name]


def reason(name: str, text: Text) -> str:
    """Name the reason of a pause. A reason of the source's own stays as it is."""
    _ = text.gettext
    names = {
        "break": _("break"),
        "lunch": _("lunch"),
        "training": _("training"),
        "coaching": _("coaching"),
        "meeting": _("meeting"),
        "no_answer": _("did not pick up"),
    }
    return names.get(name, name)


def rule(kpi: str, text: Text) -> str:
    """Describe in a sentence what a figure counts and what it leaves out."""
    _ = text.gettext
    rules = {
        "service_level": _("Calls that reached an agent in time, of those that count by the contract in force."),
        "abandon_rate": _("Callers who gave up waiting. Short abandons are left out of both sides."),
        "answer_rate": _("Offered calls that an agent answered. Calls still waiting count as offered."),
        "asa_s": _("The mean wait of the calls that were answered."),
        "longest_wait_s": _("The longest wait among the calls that are still waiting."),
        "aht_s": _("Talk, hold and wrap-up share one denominator, so that the parts add up."),
        "avg_talk_s": _("Talk, hold and wrap-up share one denominator, so that the parts add up."),
        "avg_hold_s": _("Talk, hold and wrap-up share one denominator, so that the parts add up."),
        "avg_wrap_s": _("Talk, hold and wrap-up share one denominator, so that the parts add up."),
        "occupancy": _("Agents’ time, in the window in which it was spent. Pauses are left out."),
        "utilisation": _("Agents’ time, in the window in which it was spent. Pauses are logged-in time."),
        "transfer_rate": _("Handled calls whose talk ended by a transfer."),
        "conversion": _("Handled calls that ended in a sale."),
        "sales_per_hour": _("Sales for each hour that agents were logged in. Pauses are logged-in time."),
        "avg_score": _("The mean rating, from 1 to 5, of the calls that customers rated."),
        "satisfaction": _("Rated calls to which the customer gave 4 or 5."),
        "contact_rate": _("Outbound attempts that reached a person."),
        "drop_rate": _("People who picked up an outbound call and found no agent."),
        "offered": _("Every offered call has exactly one outcome, so the parts add up to the whole."),
    }
    return rules[kpi]


def formula(name: str, text: Text) -> str:
    """Describe a contract's formula for the service level in words."""
    _ = text.gettext
    formulas = {
        "exclude_short": _("answered in time / (offered − short abandons)"),
        "all_offered": _("answered in time / offered"),
        "ignore_abandons_in_threshold": _("answered in time / (offered − abandoned in time)"),
        "abandon_counts_as_success": _("(answered + abandoned in time) / offered"),
        "answered_only": _("answered in time / answered"),
    }
    return formulas.get(name, name)


def system(name: str, text: Text) -> str:
    """Name another system, with the setting that its formula depends on."""
    _ = text.gettext
    maker, comma, setting = name.partition(", ")
    settings = {
        "short abandons excluded": _("short abandons excluded"),
        "ignore abandons": _("abandons ignored"),
        "abandons negative": _("abandons negative"),
        "abandons positive": _("abandons positive"),
    }
    return maker + comma + settings.get(setting, setting)


def other_formula(formula: str, text: Text) -> str:
    """Translate the formula of another system, as explain_kpi returns it."""
    _ = text.gettext
    translated = (
        _("removed from the queue within T, also by hanging up or asking for a call back / queued; open calls absent"),
        _("answered<=T / (answered + abandoned), its switches off"),
        _("answered<=T / (answered + abandoned - short)"),
        _("answered<=T / (offered - abandoned<=T)"),
        _("answered<=T / offered"),
        _("(answered<=T + abandoned<=T) / offered"),
        _("Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded"),
        _("answered<=T / answered"),
        _("abandoned, short ones too / queued; open calls absent"),
        _("abandoned, short ones too / offered"),
        _("abandons before the short-calls timer do not count"),
        _("mean wait of answered calls, with whisper"),
        _("(talk + hold + after-call work) / handled, in the interval where a call ends"),
        _("(talk + hold + ACW + dialling) / handled; its parts have denominators of their own"),
        _("agent on contact / (on contact + idle), wall clock"),
        _("interacting / (interacting + communicating + idle)"),
        _("no public formula found"),
    )
    translation = _(formula) if formula else ""
    shown = translation if translation in translated else formula
    return shown.replace("<=T", f"{NBSP}≤{NBSP}T").replace(" - ", " − ")


def privacy(text: Text) -> str:
    """Tell a client why agents' handling times and occupancy are not shown here."""
    return text.gettext(
        "How long agents take, and how busy they are, is shown for whole months only, on the contract page: here "
        "it would show one person’s work."
    )


def role(name: str, text: Text) -> str:
    _ = text.gettext
    names = {
        "manager": _("Manager"),
        "client": _("Client"),
        "analyst": _("Analyst"),
        "television": _("Television"),
    }
    return names[name]


def too_few(text: Text) -> str:
    return text.gettext("Not shown: it would describe fewer than {n} people.").format(n=text.number(SMALLEST))


def identity(total: Kpis | Figures, text: Text) -> str:
    """Write the identity with its numbers: every offered call has exactly one outcome, so they add up."""
    parts = " + ".join(
        f"{figure(name, text)} {text.number(getattr(total, name))}"
        for name in PARTS
        if getattr(total, name) or name in ("answered", "abandoned")
    )
    sum_of_parts = f"{figure('offered', text)} {text.number(total.offered)} = {parts}"
    if total.refused:
        n = total.refused
        refused = text.ngettext("{n} refused call is counted apart", "{n} refused calls are counted apart", n)
        sum_of_parts += f" ({refused.format(n=text.number(n))})"
    if total.conserved:
        return sum_of_parts
    return f"{sum_of_parts}. " + text.gettext("This does not add up: the figures are wrong.")
