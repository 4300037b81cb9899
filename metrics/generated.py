"""`python -m metrics.generated` writes metrics/generated.sql: the SQL of every macro and view, as it is published.

Nothing reads the file. It is for people: a change of a figure shows in its diff.
"""

import sys
from pathlib import Path

from metrics.objects import DAILY, macros

FILE = Path(__file__).with_name("generated.sql")

INTRODUCTION = """\
-- The macros and the view of the published file. Written by `make generated` from metrics/compose.py and the modules of
-- the figures: change those, then write it again.
"""


def text() -> str:
    """Return all statements as one script."""
    return INTRODUCTION + "".join(f"\n{statement};\n" for statement in (*macros().values(), DAILY))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {FILE}\n")
