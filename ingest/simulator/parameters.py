"""The simulated floor: its campaigns, queues, demand and people. Change numbers here.

Rates are calls a minute at the default size of 160 agents and scale with the size; durations are seconds; shares
are 0–1. The demand of a campaign is `night + (peak - night) × curve[local hour] × week[weekday]`.
"""

from dataclasses import dataclass
from typing import Literal

DEFAULT_AGENTS = 160
DEFAULT_SEED = 1
EDITION = 2  # raise it when the same numbers give other events: days of two editions cannot be mixed
FLOOR_DAY_STARTS = -2  # hours from midnight UTC: 22:00 UTC of the day before, when the night shift comes in
HOURLY_COST_MAD = (32.0, 58.0)

RING_S = 3.5  # mean time until an agent picks up
MISSED_SHARE, MISSED_AFTER_S, MISSED_PAUSE_S = 0.012, 18.0, 90.0
SHORT_ABANDON_SHARE, SHORT_ABANDON_S = 0.015, 4.8
TIMEOUT_S = 1200.0  # nobody waits longer in any queue
RATED_SHARE, RATED_AFTER_S = 0.09, (20.0, 400.0)
HOLD_S = 38.0
SHIFT_H, SHORTEST_SHIFT_H = 8, 4
PAUSED_SHARE = 0.15  # of a shift, for planning
BREAK_WINDOWS, LUNCH_WINDOW = ((0.05, 0.23), (0.77, 0.95)), (0.24, 0.74)  # shares of the shift
NOTHING_SOLD = {"complaint", "panne", "reclamacion", "remboursement", "resiliation", "retour", "return"}  # dispositions
MOST_PAUSED = 0.2  # of a team at a time
BREAK_S, LUNCH_S, LUNCH_FROM_SHIFT_H = (600.0, 900.0), (1800.0, 2700.0), 6
MEETINGS = (("training", 0.10, 1800.0), ("coaching", 0.14, 1200.0), ("meeting", 0.20, 900.0))
TEAM_SIZE = 12
QUARTER_NOISE, RUSH_SHARE, RUSH_FACTOR, RUSH_S = 0.08, 0.30, 1.30, 2400.0  # unplanned demand

Kind = Literal["spike", "sick", "left", "silence"]
INCIDENTS_EVERY_S = (240.0, 600.0)  # on the whole floor
INCIDENTS: tuple[Kind, ...] = ("spike", "sick", "left", "left", "silence")  # the kinds, as often as here
INCIDENT_S = {"spike": (240.0, 420.0), "sick": (600.0, 1200.0), "left": (600.0, 1200.0), "silence": (420.0, 660.0)}
QUIET_AFTER_S = 1200.0  # a campaign recovers from one incident before the next
SPIKE_FACTOR = 2.0
SICK_SHARE, SICK_WITHIN_S = 0.25, 240.0  # of the agents logged in

# Shape of a local day, hour by hour, 0 = the night's level, 1 = the peak
OFFICE = (
    0,
    0,
    0,
    0,
    0,
    0.02,
    0.10,
    0.30,
    0.70,
    0.95,
    1,
    0.97,
    0.80,
    0.72,
    0.82,
    0.88,
    0.90,
    0.92,
    0.85,
    0.60,
    0.40,
    0.25,
    0.12,
    0.04,
)
EVENING = (
    0.08,
    0.02,
    0,
    0,
    0,
    0,
    0.05,
    0.18,
    0.45,
    0.65,
    0.78,
    0.85,
    0.88,
    0.85,
    0.78,
    0.76,
    0.80,
    0.90,
    1,
    1,
    0.92,
    0.75,
    0.45,
    0.20,
)
SPANISH = (
    0.05,
    0,
    0,
    0,
    0,
    0,
    0.05,
    0.18,
    0.50,
    0.85,
    0.98,
    1,
    0.98,
    0.85,
    0.60,
    0.58,
    0.75,
    0.90,
    0.95,
    0.92,
    0.75,
    0.50,
    0.28,
    0.12,
)

WEEKDAYS = (1.08, 1.02, 1.0, 0.98, 0.97, 0.62, 0.38)
EVERY_DAY = (1.05, 1.0, 0.98, 0.97, 1.0, 0.92, 0.84)
WORK_WEEK = (1.12, 1.04, 1.0, 0.98, 0.95, 0.45, 0.25)


@dataclass(frozen=True)
class Queue:
    """A queue of callers. `share`: of the campaign's arrivals; `priority` 1 goes before 0."""

    id: str
    share: float
    priority: int = 0
    opens: int = 0
    closes: int = 24  # local hours; outside them callers are refused


@dataclass(frozen=True)
class Dialer:
    """Outbound dialing of a blended campaign, in the legal hours (France: weekdays 10–13 h, 14–20 h)."""

    queue: str
    lists: tuple[str, ...]
    hours: tuple[int, ...]
    agents: float  # mean number of agents kept talking, at the default size
    lines: float = 1.7  # dialed per idle agent
    every_s: float = 3.0
    human: float = 0.34
    machine: float = 0.20
    idle_kept: int = 1  # idle agents left to inbound callers
    talk_s: float = 150.0


@dataclass(frozen=True)
class Campaign:
    """How a client's callers behave, and how the floor is staffed for them."""

    id: str
    name: str
    zone: str
    language: str
    site: str
    source: str
    queues: tuple[Queue, ...]
    night: float
    peak: float
    curve: tuple[float, ...]
    week: tuple[float, ...]
    talk_s: float
    wrap_s: float
    staffing: float  # b of seats = a + b √a, with a the offered load in erlangs
    dispositions: tuple[tuple[str, float], ...]
    talk_sigma: float = 0.65
    patience_s: float = 240.0
    hold_share: float = 0.18
    transfer_share: float = 0.06
    transfer_to: tuple[tuple[str, str], ...] = ()  # (campaign, queue)
    sale_share: float = 0.0
    sale_amount: float = 0.0
    currency: str = "EUR"
    offers_callback_after_s: float | None = None
    callback_share: float = 0.0
    overflows_after_s: float | None = None
    voicemail_after_s: float | None = None
    line_limit: int | None = None  # new callers are refused while this many wait, at the default size
    dialer: Dialer | None = None


CAMPAIGNS = (
    Campaign(
        "orea-sinistres", "Oréa Sinistres", "Europe/Paris", "fr", "Casablanca", "sim-casa-1",
        (Queue("sinistres-auto", 0.55), Queue("sinistres-habitation", 0.35), Queue("assistance", 0.10, priority=1)),
        night=1.5, peak=4.7, curve=OFFICE, week=WEEKDAYS, talk_s=232, wrap_s=38, staffing=1.25,
        dispositions=(("declaration", 0.4), ("suivi_dossier", 0.4), ("pieces_manquantes", 0.15), ("reclamation", 0.05)),
        transfer_to=(("orea-ventes", "souscription"), ("orea-sinistres", "assistance")),
        offers_callback_after_s=45, callback_share=0.25, overflows_after_s=120,
    ),
    Campaign(
        "orea-ventes", "Oréa Ventes", "Europe/Paris", "fr", "Rabat", "sim-rabat-1",
        (Queue("souscription", 0.88), Queue("resiliation", 0.12, opens=7, closes=22)),
        night=1.5, peak=2.6, curve=OFFICE, week=WORK_WEEK, talk_s=205, wrap_s=30, staffing=1.15,
        dispositions=(("vente", 0), ("a_rappeler", 0.35), ("refus", 0.45), ("hors_cible", 0.2)),
        transfer_to=(("orea-sinistres", "sinistres-auto"),), patience_s=200, sale_share=0.14, sale_amount=380,
        dialer=Dialer("ventes-sortant", ("prospects-oct", "contrats-echus"), (10, 11, 12, 14, 15, 16, 17, 18, 19), 5.0),
    ),
    Campaign(
        "vianova-mobile", "Vianova Mobile", "Europe/Paris", "fr", "Fès", "sim-fes-1",
        (Queue("facturation", 0.5), Queue("technique", 0.4), Queue("retention", 0.1, priority=1)),
        night=1.6, peak=5.6, curve=EVENING, week=EVERY_DAY, talk_s=222, wrap_s=26, staffing=0.67,
        dispositions=(("facture", 0.4), ("panne", 0.3), ("changement_offre", 0.2), ("resiliation", 0.1)),
        transfer_to=(("vianova-mobile", "technique"), ("vianova-mobile", "retention")), transfer_share=0.08,
        patience_s=270, offers_callback_after_s=75, callback_share=0.15, sale_share=0.03, sale_amount=120,
        line_limit=25,
    ),
    Campaign(
        "safrane-boutique", "Safrane Boutique", "Europe/Paris", "fr", "Casablanca", "sim-casa-1",
        (Queue("commandes", 0.6), Queue("retours", 0.4)),
        night=1.5, peak=4.2, curve=EVENING, week=EVERY_DAY, talk_s=148, wrap_s=20, staffing=1.4,
        dispositions=(("suivi_colis", 0.5), ("retour", 0.3), ("remboursement", 0.2)), talk_sigma=0.55,
        patience_s=180, sale_share=0.05, sale_amount=64,
    ),
    Campaign(
        "lucero-soporte", "Lucero Soporte", "Europe/Madrid", "es", "Tanger", "sim-tanger-1",
        (Queue("averias", 0.55), Queue("facturas", 0.45)),
        night=1.5, peak=4.5, curve=SPANISH, week=EVERY_DAY, talk_s=240, wrap_s=24, staffing=0.73,
        dispositions=(("averia", 0.5), ("factura", 0.3), ("baja", 0.08), ("consulta", 0.12)),
        transfer_to=(("lucero-soporte", "facturas"),), transfer_share=0.07, patience_s=260,
        overflows_after_s=100, hold_share=0.24,
    ),
    Campaign(
        "almena-seguros", "Almena Seguros", "Europe/Madrid", "es", "Tanger", "sim-tanger-1",
        (Queue("siniestros", 0.6), Queue("polizas", 0.4)),
        night=1.45, peak=2.9, curve=SPANISH, week=WORK_WEEK, talk_s=210, wrap_s=32, staffing=1.25,
        dispositions=(("parte", 0.45), ("consulta", 0.35), ("reclamacion", 0.2)),
        transfer_to=(("almena-seguros", "polizas"),), sale_share=0.02, sale_amount=260, voicemail_after_s=60,
    ),
    Campaign(
        "brightcart-orders", "Brightcart Orders", "Europe/London", "en", "Rabat", "sim-rabat-1",
        (Queue("orders", 0.65), Queue("returns", 0.35)),
        night=1.45, peak=3.7, curve=EVENING, week=EVERY_DAY, talk_s=165, wrap_s=22, staffing=1.05,
        dispositions=(("where_is_my_order", 0.55), ("return", 0.3), ("complaint", 0.15)), talk_sigma=0.55,
        patience_s=190, sale_share=0.08, sale_amount=48, currency="GBP", voicemail_after_s=75,
    ),
    Campaign(
        "harbourline-care", "Harbourline Care", "Europe/London", "en", "Casablanca", "sim-casa-2",
        (Queue("support", 0.86), Queue("billing", 0.14, opens=8, closes=23)),
        night=1.55, peak=2.9, curve=OFFICE, week=WEEKDAYS, talk_s=225, wrap_s=35, staffing=1.35,
        dispositions=(("resolved", 0.7), ("follow_up", 0.2), ("escalated", 0.1)), currency="GBP",
        transfer_to=(("harbourline-care", "billing"),), offers_callback_after_s=40, callback_share=0.30,
        hold_share=0.22,
    ),
)  # fmt: skip

# fmt: off
FIRST_NAMES = [
    "Amina", "Youssef", "Salma", "Mehdi", "Khadija", "Omar", "Fatima-Zahra", "Anas", "Imane", "Hamza",
    "Nadia", "Karim", "Hajar", "Reda", "Zineb", "Ayoub", "Meryem", "Soufiane", "Sanaa", "Bilal", "Loubna",
    "Tarik", "Ghita", "Ismail", "Asmae", "Nabil", "Houda", "Adil", "Ikram", "Rachid", "Siham", "Othmane",
    "Wiam", "Jalal", "Samira", "Driss", "Najat", "Hicham", "Kawtar", "Mounir", "Rim", "Yassine", "Btissam",
    "Amine", "Naima", "Walid", "Chaimae",
]
LAST_NAMES = [
    "Alaoui", "Bennani", "Berrada", "Tazi", "Idrissi", "Fassi", "Cherkaoui", "Lahlou", "Benjelloun",
    "Kettani", "Sebti", "Amrani", "Ouazzani", "Chraibi", "Filali", "Mansouri", "Naciri", "Belhaj", "Ziani",
    "Rami", "Saidi", "Haddad", "Bouzid", "Jabri", "Lamrani", "Tahiri", "Slaoui", "Benkirane", "Skalli",
    "Guessous", "Hajji", "Marrakchi", "Rifai", "Zniber", "Kadiri", "Bekkali", "Moutaouakil", "Raissouni",
    "Temsamani", "Doukkali", "Laaroussi", "Mernissi", "Sabri", "Benchekroun", "Squalli", "Torres-Alami",
    "Azzouzi", "Boutaleb", "Chaoui", "Daoudi", "El-Harti", "Fathi", "Ghazi", "Hilali", "Jebbour",
    "Khattabi", "Loukili", "Mekouar", "Nejjar", "Oudghiri", "Senhaji",
]
# fmt: on
