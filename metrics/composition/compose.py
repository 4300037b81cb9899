"""Composes the measures and KPIs of `metrics.kpis` into the SQL of every macro and view, so each is defined once.

Each relation is built the same way. Calls and agents' time are added up separately by the keys of the relation, then
the sums are joined on those keys, and ratios are computed last.

    call_sums ─────────────────────────────────────┐
    calls ── tallies ── CALL_MEASURES ─────────────┤
    state_sums ────────────────────────────────────┼── keys ── KPIS, contract, settled
    agent_states ── cut at the edges ── STATE_… ───┤
    calls ── stretches of work ── cut ── WORK_… ───┘

Sums of the same measures are kept by quarter of an hour (`metrics.composition.sums`): they give the whole quarters of a
window. Calls and states are added up only for what is left at its two ends, which mostly is nothing.
"""

from collections.abc import Mapping, Sequence

from metrics.composition.figures import ANY_CALL, CALL_MEASURES, KPIS, MEASURES
from metrics.composition.grains import GRAINS, UTC0, UTC1, Grain
from metrics.composition.templates import (
    ADDED,
    CALL_SUMS,
    CLOCK,
    KEYS,
    OF_CALLS,
    ROWS,
    SPANS,
    SPENT,
    STATES_AT_EDGES,
    SUMS_AND_ROWS,
    TALLIED,
    TERMS,
    TIMED,
    WORK_DAYS,
    WORKED,
    filled,
    listed,
    measured,
)
from metrics.kpis import agent_time, now, service_level
from metrics.kpis.kpi import Measure

PARTS: dict[str, tuple[Measure, ...]] = {
    "calls_of": CALL_MEASURES,
    "states_of": agent_time.STATE_MEASURES,
    "work_of": agent_time.WORK_MEASURES,
}


def relation(name: str) -> str:
    """Return the SELECT of a macro or a view of GRAINS."""
    return select(GRAINS[name])


def select(grain: Grain) -> str:
    """Return a SELECT of the keys of a grain, then its columns."""
    needed = set(grain.columns) | {i for c in grain.columns if c in KPIS for i in KPIS[c].inputs} | {"open_any"}
    if grain.is_keyed_by_work:
        needed |= {*ANY_CALL}
    fragments = _fragments(grain)
    parts: list[str] = []
    joins: list[str] = []
    for name, measures in PARTS.items():
        if of_part := [measure for measure in measures if measure.name in needed]:
            parts.append(_part(name, of_part, grain, fragments))
            joins.append(f"LEFT JOIN {name} USING ({fragments['keys']})")
    # the keys come after work_of if they are taken from it, otherwise first, because a day's cut joins them
    parts.insert(len(parts) if grain.is_keyed_by_work else 0, filled(KEYS, fragments))
    if grain.has_queue:
        of_queue = {"name": "queue_of", "calls": now.QUEUED, "cohort": now.QUEUE}
        sums = f"{MEASURES['open'].sql} AS waiting,\n{MEASURES['open_wait_s'].sql} AS longest_wait_us"
        rows = filled(TALLIED, fragments | of_queue | {"measures": sums})
        parts += [filled(ROWS, of_queue | {"rows": rows}), now.HOURS]
    tables = ["FROM added AS k"]
    if grain.joins:
        tables.append(grain.joins)
    if "target" in grain.columns:
        parts.append(filled(TERMS, fragments))
        tables.append(f"LEFT JOIN terms_of USING ({fragments['keys']})")
    tables.append("CROSS JOIN clock AS w")
    added = listed(_added(m) for m in MEASURES.values() if m.name in needed)
    parts.append(filled(ADDED, fragments | {"measures": added, "left_joins": "\n".join(joins)}))
    shown = fragments["k_keys"] if grain.shown is None else grain.shown
    columns = listed(([shown] if shown else []) + [_column(column, grain) for column in grain.columns])
    parts = [filled(CLOCK, fragments), *parts]
    return "\n".join((f"WITH {', '.join(parts)}", filled("SELECT\n    $columns", {"columns": columns}), *tables))


def _part(name: str, measures: Sequence[Measure], grain: Grain, fragments: Mapping[str, str]) -> str:
    """Return one of PARTS as a CTE: its measures by the keys of a grain."""
    added_up = {"measures": measured(measures)}
    if name == "work_of":
        return _work(added_up, grain, fragments)
    template = TALLIED if name == "calls_of" else TIMED
    if grain.sums is None:
        return filled(ROWS, {"name": name, "rows": filled(template, {**fragments, **added_up})})
    at_edges = ""
    if grain.sums.has_edges:
        at_edges = "UNION ALL BY NAME\n" + filled(template, {**fragments, **_edges(grain, fragments), **added_up})
    of_sums = {
        "name": name,
        "combined": listed(f"{m.of}({m.name}) AS {m.name}" for m in measures),
        "summed": listed(m.name if m.is_count else f"{m.summed} AS {m.name}" for m in measures),
        "sum_keys": fragments["call_keys"] if name == "calls_of" else grain.sums.state_keys or fragments["keys"],
        "sums": filled(CALL_SUMS if name == "calls_of" else grain.sums.states, fragments),
        "rows": at_edges,
    }
    return filled(SUMS_AND_ROWS, {**fragments, **of_sums})


def _work(added_up: Mapping[str, str], grain: Grain, fragments: Mapping[str, str]) -> str:
    """Return work_of: kept sums of whole days, and the union of the other days' calls."""
    if grain.sums is None or not grain.sums.has_work:
        return filled(ROWS, {"name": "work_of", "rows": filled(WORKED, {**fragments, **added_up})})
    other_days = f"{fragments['spent']}\nEXCEPT\nSELECT utc_day FROM work_days"
    of_sums = {
        "name": "work_of",
        "combined": "sum(workload_s) AS workload_s",
        "sum_keys": grain.sums.state_keys or fragments["keys"],
        "summed": "workload_us AS workload_s",
        "sums": "work_days\nWHERE true",
        "rows": "UNION ALL BY NAME\n" + filled(WORKED, {**fragments, **added_up, "spent": other_days}),
    }
    by_queue = "true" if "queue" in grain.keys else "false"
    work_days = filled(WORK_DAYS, {"is_summed": grain.sums.is_summed, "by_queue": by_queue})
    return f"{work_days}, {filled(SUMS_AND_ROWS, {**fragments, **of_sums})}"


def _edges(grain: Grain, fragments: Mapping[str, str]) -> dict[str, str]:
    """Return the fragments that limit calls and agents' states to the edges of the window."""
    assert grain.sums
    at_edges = filled(f"{grain.sums.edge_days} AND {grain.sums.has_edges}", fragments)
    is_whole = filled("cohort_at >= $whole0 AND cohort_at < $whole1", fragments)
    return {
        "cohort": f"{at_edges} AND {grain.cohort} AND NOT ({is_whole})",
        "spans": filled(
            SPANS,
            {
                **fragments,
                "agent_states": filled(STATES_AT_EDGES, fragments),
                "states": f"{at_edges} AND {grain.states}",
            },
        ),
    }


def formulas() -> str:
    """Return the SELECT of kpi_formulas: service level of each campaign under each of the five formulas."""
    grain = GRAINS["kpi_campaign"]
    measures = [measure for kpi in service_level.EACH for measure in map(MEASURES.get, kpi.inputs) if measure]
    measures = list(dict.fromkeys(measures))
    fragments = _fragments(grain)
    keys = filled(KEYS, fragments)
    calls = _part("calls_of", measures, grain, fragments)
    joins = "LEFT JOIN calls_of USING (campaign)"
    added = filled(ADDED, fragments | {"measures": listed(map(_added, measures)), "left_joins": joins})
    columns = listed(("campaign", *(f"{kpi.sql} AS {kpi.name}" for kpi in service_level.EACH)))
    return f"WITH {keys}, {calls}, {added}\n" + filled("SELECT\n    $columns\nFROM added", {"columns": columns})


def _fragments(grain: Grain) -> dict[str, str]:
    keys = ", ".join(grain.keys)
    fragments = {
        "keys": keys,
        "k_keys": ", ".join(f"k.{key}" for key in grain.keys),
        "call_keys": grain.call_keys or keys,
        "cut_keys": grain.cut_keys or keys,
        "union_by": grain.union_by or keys,
        "calls": grain.calls,
        "agent_states": grain.agent_states,
        "which": f" {grain.which}" if grain.which else "",
        "cohort": grain.cohort,
        "states": grain.states,
        "spent": filled(SPENT, {"utc0": UTC0, "utc1": UTC1}),
        "answered": agent_time.ANSWERED_FOR_SPENT,
        "worked": grain.worked,
        "t0_us": grain.t0_us,
        "t1_us": grain.t1_us,
        "starts": grain.starts,
        "reached": grain.reached,
        **OF_CALLS,
    }
    fragments |= {"spans": filled(SPANS, fragments)}
    fragments |= {"cut": filled(grain.cut, fragments), "every": filled(grain.every, fragments)}
    if grain.sums:
        fragments |= {"whole0": grain.sums.whole0}
        fragments |= {"whole1": filled(grain.sums.whole1, fragments)}
        fragments |= {"whole": filled(grain.sums.calls, fragments)}
    return fragments


def _column(name: str, grain: Grain) -> str:
    if name in KPIS:
        return f"{KPIS[name].sql} AS {name}"
    if name == "settled":
        return f"coalesce(open_any = 0 AND {grain.ends} + to_seconds(w.lateness_s) <= w.as_of, false) AS settled"
    if name == "terms_changed":
        return "coalesce(terms_changed, false) AS terms_changed"
    if name in agent_time.AGENTS:
        elapsed_us = f"epoch_us({grain.reached}) - epoch_us({grain.starts})"
        return f"{agent_time.AGENTS[name]} * 1e6 / nullif({elapsed_us}, 0) AS {name}"
    return name


def _added(measure: Measure) -> str:
    value = f"coalesce({measure.name}, 0)" if measure.zero else measure.name
    return f"{value}::BIGINT AS {measure.name}" if measure.is_count else f"{value} / 1e6 AS {measure.name}"
