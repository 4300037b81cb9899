"""How call lists in French, Spanish and English name their columns and outcomes: what a proposal is made with."""

import re
from collections.abc import Callable, Mapping, Sequence

from ingest.sources.input.clocks import unaccented

#: Names without accents and signs. `date` and `time` together are queued_at.
NAMES: dict[str, Sequence[str]] = {
    "call_id": (
        "call id", "callid", "id appel", "n appel", "no appel", "numero appel", "num appel", "identifiant appel",
        "identifiant", "id llamada", "id de llamada", "no llamada", "n llamada", "numero llamada", "uuid", "call uuid",
        "uniqueid", "unique id", "contact id", "interaction id", "conversation id", "history id", "historyid",
        "session id", "call sid", "call ref", "reference", "referencia", "id", "no", "n", "num", "appel", "llamada",
    ),
    "linked_id": ("linked id", "linkedid", "parent call id", "initial contact id", "id parent", "id padre"),
    "date": (
        "date", "fecha", "call date", "calldate", "date appel", "fecha llamada", "date de l appel", "jour", "dia",
    ),
    "time": (
        "time", "heure", "hora", "heure appel", "hora llamada", "call time", "heure de l appel", "hora de llamada",
    ),
    "queued_at": (
        "queued at", "queued", "date heure", "date et heure", "fecha hora", "fecha y hora", "datetime", "date time",
        "start time", "time start", "start", "started at", "start epoch", "start stamp", "start date", "debut",
        "date debut", "heure debut", "inicio", "hora inicio", "fecha inicio", "hora de inicio", "hora entrada",
        "arrival time", "enqueue timestamp", "created at", "timestamp", "horodatage", "when", "at", "created",
        "offered at", "received at", "received", "call start", "call start time", "initiated", "dialed at", "dialed",
        "date et heure d arrivee", "date d arrivee", "heure d arrivee", "heure arrivee", "arrivee", "date et heure",
        "fecha de entrada", "fecha entrada", "hora de entrada", "entrada", "llegada",
    ),
    "answered_at": (
        "answered at", "answer time", "time answered", "answer epoch", "answer stamp", "answer date", "answer",
        "heure decroche", "decroche a", "heure reponse", "heure de reponse", "date reponse", "date decroche",
        "hora respuesta", "hora de respuesta", "fecha respuesta", "hora contestada", "hora atencion", "answered",
        "debut conversation", "conversation debut", "debut traitement", "traitement debut", "talk start",
        "talk start time", "inicio conversacion", "conversacion inicio", "picked up", "pick up time", "connected at",
        "reponse", "respuesta", "date de reponse", "decroche", "repondu", "atendida", "contestada",
    ),
    "ended_at": (
        "ended at", "end time", "time end", "end epoch", "end stamp", "end date", "end", "hangup time", "fin",
        "heure fin", "heure de fin", "date fin", "heure raccroche", "hora fin", "hora de fin", "fecha fin",
        "fin conversation", "conversation fin", "fin traitement", "traitement fin", "talk end", "talk end time",
        "fin conversacion", "conversacion fin", "hora colgado", "ended", "finish", "hung up at", "disconnected at",
        "disconnect time", "raccroche", "colgado",
    ),
    "wait_s": (
        "attente", "temps attente", "temps d attente", "duree attente", "duree d attente", "delai", "espera",
        "tiempo espera", "tiempo de espera", "wait", "wait time", "waiting time", "wait s", "waitsec", "wait seconds",
        "queue time", "queue seconds", "speed of answer", "speed of answer in seconds", "time in queue", "en cola",
        "tiempo en cola", "ring time", "sonnerie", "hold time in queue",
    ),
    "talk_s": (
        "conversation", "duree conversation", "temps conversation", "temps de conversation", "duree", "communication",
        "duree communication", "duree appel", "conversacion", "tiempo conversacion", "tiempo de conversacion",
        "duracion", "duracion llamada", "hablado", "tiempo hablado", "talk", "talk time", "talktime", "talk duration",
        "avg talk duration", "talk s", "billsec", "bill sec", "duration", "call duration",
    ),
    "hold_s": (
        "attente en ligne", "mise en attente", "garde", "mise en garde", "duree garde", "hold", "hold time", "on hold",
        "retencion", "tiempo retenido", "en retencion",
    ),
    "wrap_s": (
        "post appel", "post travail", "wrap", "wrap up", "wrap time", "wrapup", "acw", "after call work",
        "post llamada", "postllamada", "trabajo posterior", "cierre", "post traitement", "posttraitement",
        "traitement post appel", "temps post appel", "acw time", "after call work time", "wrap up time",
        "wrapup time", "tiempo post llamada", "tiempo administrativo",
    ),
    "outcome": (
        "resultat", "resultat appel", "statut", "etat", "resultado", "estado", "outcome", "result", "status",
        "call status", "answered y n", "answered", "repondu", "decroche", "atendida", "contestada", "call outcome",
        "disposition", "estado llamada",
    ),
    "queue": (
        "file", "file attente", "file d attente", "queue", "queue name", "queuename", "cola", "nombre cola", "skill",
        "competence", "split", "groupe", "grupo", "group", "hunt group", "ring group", "service", "servicio",
        "departement", "departamento", "department", "topic", "tema", "sujet",
    ),
    "campaign": ("campagne", "campana", "campaign", "campaign name", "projet", "proyecto", "project"),
    "direction": (
        "sens", "sens appel", "direction", "sentido", "direccion", "call type", "type appel", "type d appel",
        "tipo llamada", "tipo de llamada",
    ),
    "agent": (
        "agent", "agente", "agent name", "nom agent", "nombre agente", "conseiller", "teleconseiller", "operateur",
        "operador", "teleoperador", "asesor", "operator", "user", "usuario", "utilisateur",
    ),
    "caller": (
        "appelant", "numero appelant", "caller", "caller id", "callerid", "caller number", "caller id number", "from",
        "from no", "origen", "numero origen", "llamante", "src", "ani", "cli", "telephone", "telefono", "phone",
        "phone number", "number", "numero",
    ),
    "ended_by": (
        "raccroche par", "hangup by", "disconnected by", "ended by", "hung up by", "colgado por", "termine par",
        "finalizado por",
    ),
    "to_queue": ("transfere vers", "transferido a", "transferred to", "transfert"),
    "disposition": (
        "qualification", "motif", "tipificacion", "calificacion", "wrap code", "code cloture", "motivo",
    ),
    "sale": ("vente", "venta", "sale", "sold"),
    "amount": ("montant", "importe", "monto", "amount"),
    "currency": ("devise", "moneda", "divisa", "currency"),
    "score": ("note", "satisfaction", "score", "rating", "satisfaction rating", "csat", "puntuacion", "encuesta"),
    "language": ("langue", "idioma", "language"),
}  # fmt: skip

#: The units of durations, as names of columns end in them.
UNITS: dict[str, Sequence[str]] = {
    "milliseconds": ("ms", "msec", "msecs", "millis", "milliseconds", "millisecondes", "milisegundos"),
    "minutes": ("min", "mins", "mn", "minutes", "minutos"),
    "seconds": ("s", "sec", "secs", "seg", "seconds", "secondes", "segundos"),
}
#: Words in the name of a column of durations, which may have the form of times of day.
OF_DURATIONS = frozenset(
    ("duree", "duracion", "duration", "temps", "tiempo", "attente", "espera", "wait", "handle", "talk", "hold", "ring")
)

MEANINGS: dict[str, Mapping[str | bool, Sequence[str]]] = {
    "outcome": {
        "answered": (
            "answered", "answer", "yes", "y", "1", "true", "oui", "o", "si", "s", "repondu", "decroche", "traite",
            "pris", "servi", "atendida", "atendido", "contestada", "contestado", "respondida", "completed", "complete",
            "completada", "connected", "handled", "normal clearing",
        ),
        "abandoned": (
            "abandoned", "abandon", "abandonne", "abandonada", "abandonado", "no", "n", "0", "false", "non",
            "non repondu", "sans reponse", "non decroche", "perdu", "manque", "missed", "lost", "unanswered",
            "no atendida", "no atendido", "no contestada", "perdida", "no answer", "noanswer", "canceled", "cancelled",
            "originator cancel", "hangup", "colgada",
        ),
        "transferred": ("transferred", "transfere", "transferida", "transferido"),
        "overflow": ("overflow", "debordement", "deborde", "desbordamiento", "desbordada", "desborde"),
        "voicemail": ("voicemail", "voice mail", "messagerie", "repondeur", "buzon", "buzon de voz"),
        "callback": ("callback", "call back", "rappel", "rappel demande", "devolucion", "devolucion de llamada"),
        "closed": ("closed", "ferme", "hors horaires", "cerrado", "fuera de horario", "out of hours"),
        "timeout": ("timeout", "delai depasse", "tiempo agotado"),
        "full": ("full", "sature", "saturada", "llena"),
        "busy": ("busy", "occupe", "ocupado", "ocupada"),
        "machine": ("machine", "answering machine", "amd", "contestador"),
    },
    "direction": {
        "inbound": ("inbound", "in", "incoming", "entrant", "entrante"),
        "outbound": ("outbound", "out", "outgoing", "sortant", "saliente"),
        "callback": ("callback", "rappel"),
    },
    "ended_by": {
        "customer": ("customer", "caller", "client", "cliente", "appelant", "llamante"),
        "agent": ("agent", "agente", "conseiller", "operador"),
        "system": ("system", "systeme", "sistema"),
    },
    "sale": {True: ("oui", "si", "yes", "y", "1", "vente", "venta"), False: ("non", "no", "n", "0")},
}  # fmt: skip


def simple(name: str) -> str:
    """A name in lower case, without accents and signs, `callId` as `call id`."""
    apart = re.sub(r"(?<=[^\W\d_])(?<![A-Z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[a-z0-9]+", unaccented(apart)))


def columns(names: Sequence[str], may_be: Callable[[str, str], bool]) -> dict[str, str]:
    """Which of these columns is which field, `date` and `time` included; each column is one field at most.

    `may_be` says whether a column's cells allow it to be a field.
    """
    fits = sorted(
        (-fit, rank, place, field, name)
        for field, synonyms in NAMES.items()
        for place, name in enumerate(names)
        for rank, synonym in enumerate(synonyms)
        if (fit := max(_fit(simple(part), synonym, field) for part in (name.rpartition(".")[2], name)))
    )
    chosen: dict[str, str] = {}
    for *_, field, name in fits:
        if field not in chosen and name not in chosen.values() and may_be(field, name):
            chosen[field] = name
    return chosen


def unit_of(name: str) -> str | None:
    """The unit of durations in which the name of a column ends; None if it names none."""
    last = simple(name).rpartition(" ")[2]
    return next((unit for unit, words in UNITS.items() if last in words), None)


def _fit(name: str, synonym: str, field: str) -> int:
    """How well a column's name fits: 1000 for the same, the length of a synonym within it, 0 if it does not."""
    bare = name.rpartition(" ")[0] if field.endswith("_s") and unit_of(name) else name
    if synonym in (name, bare):
        return 1000
    if field == "time" and not OF_DURATIONS.isdisjoint(name.split()):
        return 0
    return len(synonym) if len(synonym) > 3 and f" {synonym} " in f" {name} " else 0


def meaning(field: str, word: str) -> str | bool | None:
    """Our word for a word of the list; None if it is in no dictionary."""
    return next((ours for ours, words in MEANINGS[field].items() if simple(word) in words), None)
