"""explain_kpi: what a figure was made of, and what five other systems would print from the same calls.

The other systems' formulas are in docs/kpis.md, Sources; where none was found in public text, the value is NULL and
the text says so. All count the calls queued in the window, so that only the formula differs: Amazon Connect and
Genesys Cloud would also move calls to the interval in which they end.
"""

from metrics.compose import COLUMNS, KPIS, MEASURES
from metrics.kpi import ratio
from metrics.outcomes import PARTS

SYSTEMS = ("Amazon Connect", "Genesys Cloud", "Cisco", "Talkdesk", "Wazo")

_CLOSED = "offered - open"
_COUNTED = "offered - open_in_threshold"
_ALL_ABANDONED = "abandoned + short_abandoned"
_HANDLE = ratio("talk_s + hold_s + wrap_s", "handled")
_OCCUPANCY = ratio("busy_s + wrap_up_s", "busy_s + wrap_up_s + available_s")

# KPI: (system, SQL over columns of kpi_campaign, how it counts)
ELSEWHERE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "service_level": (
        (
            "Amazon Connect",
            ratio("answered_in_threshold + abandoned_in_threshold + callback_in_threshold", _CLOSED),
            "removed from the queue within T, also by hanging up or asking for a call back / queued; open calls absent",
        ),
        (
            "Genesys Cloud",
            ratio("answered_in_threshold", f"answered + {_ALL_ABANDONED}"),
            "answered<=T / (answered + abandoned), its switches off",
        ),
        (
            "Genesys Cloud, short abandons excluded",
            ratio("answered_in_threshold", "answered + abandoned"),
            "answered<=T / (answered + abandoned - short)",
        ),
        (
            "Cisco, ignore abandons",
            ratio("answered_in_threshold", f"{_COUNTED} - abandoned_in_threshold"),
            "answered<=T / (offered - abandoned<=T)",
        ),
        ("Cisco, abandons negative", ratio("answered_in_threshold", _COUNTED), "answered<=T / offered"),
        (
            "Cisco, abandons positive",
            ratio("answered_in_threshold + abandoned_in_threshold", _COUNTED),
            "(answered<=T + abandoned<=T) / offered",
        ),
        (
            "Talkdesk",
            ratio("answered_in_threshold", "answered + abandoned + voicemail + dropped"),
            "Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded",
        ),
        ("Wazo", ratio("answered_in_threshold", "answered"), "answered<=T / answered"),
    ),
    "abandon_rate": (
        ("Amazon Connect", ratio(_ALL_ABANDONED, _CLOSED), "abandoned, short ones too / queued; open calls absent"),
        ("Genesys Cloud", ratio(_ALL_ABANDONED, "offered"), "abandoned, short ones too / offered"),
        (
            "Cisco",
            ratio("abandoned", "offered - short_abandoned"),
            "abandons before the short-calls timer do not count",
        ),
    ),
    "asa_s": (("Amazon Connect", ratio("answered_wait_s", "answered"), "mean wait of answered calls, with whisper"),),
    "aht_s": (
        ("Amazon Connect", _HANDLE, "(talk + hold + after-call work) / handled, in the interval where a call ends"),
        (
            "Genesys Cloud",
            _HANDLE,
            "(talk + hold + ACW + dialling) / handled; its parts have denominators of their own",
        ),
    ),
    "occupancy": (
        ("Amazon Connect", _OCCUPANCY, "agent on contact / (on contact + idle), wall clock"),
        ("Genesys Cloud", _OCCUPANCY, "interacting / (interacting + communicating + idle)"),
    ),
}
for _bound in ("service_level_worst", "service_level_best"):
    ELSEWHERE[_bound] = ELSEWHERE["service_level"]

BY_CONTRACT = ("service_level", "service_level_worst", "service_level_best", "abandon_rate")
# columns of kpi_term that the contract's rows carry, beside the same said as text
TERM = ("valid_from", "valid_to", "formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s")
_TERM_SAID = """format('contract {}: {}, wait {} {:g} s, target {:g} %, short below {:g} s',
               coalesce('from ' || strftime(s.valid_from, '%Y-%m-%d %H:%M'), 'without beginning'), s.formula,
               CASE WHEN s.wait_at_threshold_counts THEN '<=' ELSE '<' END, s.threshold_s, s.target * 100,
               s.short_abandon_s)"""


def explain() -> str:
    """Return the SELECT of explain_kpi(campaign, t0, t1, kpi): step, name, value, text, and TERM for a contract."""
    figures: dict[str, str] = {}  # name of a figure: SQL over a row of kpi_campaign
    lines: list[tuple[str, int, str, str, str, str]] = []  # kpi, position, step, name, figure, text
    for kpi in KPIS.values():
        figures[kpi.name] = kpi.name
        text = f"{kpi.formula} [{kpi.unit}]; NULL: {kpi.undefined}; {kpi.source}"
        lines.append((kpi.name, 0, "figure", kpi.name, kpi.name, text))
        for i, column in enumerate(kpi.inputs):
            # the longest wait is its own only input
            figure = column if column != "open_wait_s" else "longest_wait_s"
            figures[figure] = figure
            lines.append((kpi.name, 20 + i, "count", column, figure, ""))
        known = ELSEWHERE.get(kpi.name, ())
        for i, (system, sql, text) in enumerate(known):
            figures[f"{kpi.name} {i}"] = sql
            lines.append((kpi.name, 50 + i, "elsewhere", system, f"{kpi.name} {i}", text))
        for i, system in enumerate(SYSTEMS):
            if not any(name.startswith(system) for name, _, _ in known):
                lines.append((kpi.name, 70 + i, "elsewhere", system, "", "no public formula found"))
    for measure in MEASURES.values():
        if measure.name in COLUMNS:
            figures[measure.name] = measure.name
            lines.append((measure.name, 0, "figure", measure.name, measure.name, f"{measure.meaning} [{measure.unit}]"))
    lines += [("offered", 20 + i, "count", part, part, meaning) for i, (part, meaning) in enumerate(PARTS.items())]
    values = ",\n           ".join(
        f"{{'figure': {_text(name)}, 'value': ({sql})::DOUBLE}}" for name, sql in figures.items()
    )
    term = ", ".join(TERM)
    rows = ",\n        ".join(f"({_text(k)}, {p}, {', '.join(map(_text, rest))})" for k, p, *rest in lines)
    return f"""\
WITH asked AS (  -- named apart: inside the macro that is called, `campaign` would be ambiguous
    SELECT campaign AS chosen, kpi AS figure_asked
), row_of AS (
    SELECT k.* FROM asked, kpi_campaign(t0, t1) AS k WHERE k.campaign = chosen
), figures AS (
    SELECT unnest([
           {values}
           ], recursive := true)
    FROM row_of
), lines(about, position, step, name, figure, text) AS (
    VALUES
        {rows}
), contract AS (
    SELECT 10 AS position, 'contract' AS step, 'calls judged by it' AS name, s.service_level_base AS value,
           {_TERM_SAID} AS text, {", ".join(f"s.{column}" for column in TERM)}
    FROM asked, kpi_term(t0, t1) AS s
    WHERE s.campaign = chosen AND figure_asked IN ({", ".join(map(_text, BY_CONTRACT))})
)
SELECT step, name, value, text, {term}
FROM (
    SELECT position, step, name, value, text
    FROM lines JOIN asked ON about = figure_asked LEFT JOIN figures USING (figure)
    WHERE EXISTS (FROM row_of)
    UNION ALL BY NAME
    FROM contract
)
ORDER BY position, valid_from NULLS FIRST"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
