"""explain_kpi: how a figure was computed, and what five other systems would print for the same calls.

The other systems' formulas are in docs/kpis.md, Sources. If no public formula was found, the value is NULL and the text
says so. All formulas are applied to the calls queued in the window, so only the formula differs. In fact Amazon Connect
and Genesys Cloud would also move calls to the interval in which they end.
"""

from metrics.composition.figures import COLUMNS, KPIS, MEASURES
from metrics.kpis.outcomes import PARTS
from metrics.quoting import quoted

SYSTEMS = ("Amazon Connect", "Genesys Cloud", "Cisco", "Talkdesk", "Wazo")

# columns of kpi_term in the rows about the contract; `text` describes the same term in words
TERM = ("valid_from", "valid_to", "formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s")
_TERM_TEXT = """format('contract {}: {}, wait {} {:g} s, target {:g} %, short below {:g} s',
               coalesce('from ' || strftime(s.valid_from, '%Y-%m-%d %H:%M'), 'from the beginning'), s.formula,
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
            # an input without a column of its own, such as open_wait_s of longest_wait_s, is the figure itself
            figure = column if column in COLUMNS else kpi.name
            figures[figure] = figure
            lines.append((kpi.name, 20 + i, "count", column, figure, ""))
        for i, printed in enumerate(kpi.elsewhere):
            figures[f"{kpi.name} {i}"] = printed.sql
            lines.append((kpi.name, 50 + i, "elsewhere", printed.system, f"{kpi.name} {i}", printed.how))
        for i, system in enumerate(SYSTEMS):
            if not any(printed.system.startswith(system) for printed in kpi.elsewhere):
                lines.append((kpi.name, 70 + i, "elsewhere", system, "", "no public formula found"))
    for measure in MEASURES.values():
        if measure.name in COLUMNS:
            figures[measure.name] = measure.name
            lines.append((measure.name, 0, "figure", measure.name, measure.name, f"{measure.meaning} [{measure.unit}]"))
    lines += [("offered", 20 + i, "count", part, part, meaning) for i, (part, meaning) in enumerate(PARTS.items())]
    values = ",\n           ".join(
        f"{{'figure': {quoted(name)}, 'value': ({sql})::DOUBLE}}" for name, sql in figures.items()
    )
    by_contract = ", ".join(quoted(kpi.name) for kpi in KPIS.values() if kpi.by_contract)
    term = ", ".join(TERM)
    rows = ",\n        ".join(f"({quoted(k)}, {p}, {', '.join(map(quoted, rest))})" for k, p, *rest in lines)
    return f"""\
WITH chosen AS (  -- renamed: inside the macro that is called, `campaign` would be ambiguous
    SELECT campaign AS chosen_campaign, kpi AS chosen_kpi
), kpi_row AS (
    SELECT k.* FROM chosen, kpi_campaign(t0, t1) AS k WHERE k.campaign = chosen_campaign
), figures AS (
    SELECT unnest([
           {values}
           ], recursive := true)
    FROM kpi_row
), lines(about, position, step, name, figure, text) AS (
    VALUES
        {rows}
), contract AS (
    SELECT 10 AS position, 'contract' AS step, 'calls judged by it' AS name, s.service_level_base AS value,
           {_TERM_TEXT} AS text, {", ".join(f"s.{column}" for column in TERM)}
    FROM chosen, kpi_term(t0, t1) AS s
    WHERE s.campaign = chosen_campaign AND chosen_kpi IN ({by_contract})
)
SELECT step, name, value, text, {term}
FROM (
    SELECT position, step, name, value, text
    FROM lines JOIN chosen ON about = chosen_kpi LEFT JOIN figures USING (figure)
    WHERE EXISTS (FROM kpi_row)
    UNION ALL BY NAME
    FROM contract
)
ORDER BY position, valid_from NULLS FIRST"""
