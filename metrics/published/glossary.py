"""`make generated` writes metrics/README.md from the SQL objects, so that it cannot say anything else."""

import sys
from pathlib import Path

from metrics.kpis import service_level, strain
from metrics.kpis.compose import GRAINS, KPIS, MEASURES
from metrics.published import relations
from metrics.published.objects import CONTRACT_COLUMNS, ROWS, bodies

README = Path(__file__).parent.parent / "README.md"

INTRODUCTION = """\
# The numbers and what they mean

Written by `python -m metrics.published.glossary` from the SQL objects of the published file; the same texts are their
`COMMENT`s (`SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal`). Every page, and every
analyst, evaluates these objects; nothing is computed a second time elsewhere.

A call belongs to the window in which it was queued (cohort); agents' time belongs to the window in which it was spent
(accrual). Windows are half-open, [t0, t1). Counts and seconds are added, ratios are taken last. NULL means undefined,
0 means measured zero.
"""

ATTACHED = """\
## From another database

A macro is bound where it is called. Opened alone (`duckdb -readonly vigie.duckdb`) everything works as written. When
the file is attached under another name, tables and views work as `name.calls`; for the macros make it the default
first:

```sql
ATTACH 'data/published/vigie.duckdb' AS vigie (READ_ONLY);
USE vigie;  -- or: SET search_path = 'memory,vigie';
FROM kpi_campaign('2026-11-23 00:00:00+01', '2026-11-24 00:00:00+01');
```

Times without an offset are read in the session's time zone. Days outside the window are not read, but for those whose
calls were answered in it.
"""


LOCAL = """\
## Local days and hours

Times are instants. `day` is the campaign's local date, and `local_days` says when each local day began, both by the
pinned zone rules; count from the beginning of the day:

```sql
SELECT call_id, queued_at - from_at AS since_local_midnight
FROM calls JOIN campaigns USING (campaign) JOIN local_days USING (timezone, day);
```

On the two days a year on which clocks turn, the hours after the turn are an hour further from midnight than they show.

`AT TIME ZONE`, `timezone()` and `SET TimeZone` ask DuckDB's calendar. In `make sql` and on the data page it has these
rules. A DuckDB 1.5 of your own has Africa/Casablanca at UTC+1 still, though Morocco is at UTC since 2026-09-20: put
`metrics/icu/zoneinfo64.res` into a folder of yours, and set the environment variable `ICU_TIMEZONE_FILES_DIR` to that
folder before DuckDB starts.
"""


def text() -> str:
    """Return the glossary as Markdown."""
    sections = [INTRODUCTION, "## Relations\n"]
    rows: list[tuple[str, ...]] = [(f"`{name}`", what) for name, what in relations.MEANING.items()]
    rows += [(f"`{name}({', '.join(parameters)})`", ROWS[name]) for name, (parameters, _) in bodies().items()]
    rows.append(("`kpi_daily`", ROWS["kpi_daily"]))
    sections += [_table(("relation", "rows"), rows), ATTACHED, LOCAL, "## KPIs\n"]
    sections.append(
        _table(
            ("KPI", "formula", "unit", "when NULL", "source"),
            [(f"`{k.name}`", k.formula, k.unit, k.undefined, k.source) for k in KPIS.values()],
        )
    )
    sections.append("## The five formulas of service level\n")
    sections.append(
        _table(
            ("formula", "numerator / denominator", "printed so by"),
            [(f"`{name}`", f.text, f.printed_by) for name, f in service_level.FORMULAS.items()],
        )
    )
    sections.append(
        '"offered" leaves out open calls still inside T in each. A call is judged by the formula, T, comparator and '
        "short\nlimit of the contract term in force, in its campaign's local time, when it was queued.\n"
    )
    sections.append("## Counts and seconds\n")
    shown = {c for grain in GRAINS.values() for c in grain.columns}
    sections.append(
        _table(
            ("column", "meaning", "unit"),
            [
                *((f"`{m.name}`", m.meaning, m.unit) for m in MEASURES.values() if m.name in shown),
                *((f"`{name}`", says, "") for name, says in CONTRACT_COLUMNS.items() if name in shown),
            ],
        )
    )
    sections.append("## Strain of agents, their pauses and missed offers\n")
    sections.append(
        _table(
            ("macro", "column", "meaning", "unit"),
            [
                (f"`{name}`", f"`{column}`", says, unit)
                for name, columns in strain.COLUMNS.items()
                for column, (unit, says) in columns.items()
            ],
        )
    )
    sections.append(
        "Work is `busy` and `wrap_up`. Rest is a pause for a reason in `agent_limits.breaks`, or without any, and\n"
        "being offline; training and meetings are neither. What is due, and when, is in `agent_limits`: `[agents]`\n"
        "of `campaigns.toml`, where the law that it rests on is named.\n"
    )
    sections.append("## Base relations\n")
    for name, columns in relations.COLUMNS.items():
        sections.append(f"### `{name}`\n\nOne row: {relations.MEANING[name]}.\n")
        sections.append(
            _table(("column", "type", "meaning"), [(f"`{c}`", kind, says) for c, (kind, says) in columns.items()])
        )
    return "\n".join(sections)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    README.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {README}\n")
