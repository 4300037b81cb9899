"""HTML tables as every page draws them. Words are escaped here; a parameter named `html` is HTML already."""

from collections.abc import Iterable
from html import escape


def table(
    heads: str,
    rows: Iterable[str],
    kind: str = "",
    *,
    foot: str = "",
    style: str = "",
    scrolls: bool = False,
    frame: str = "",
) -> str:
    """Draw a table.

    `heads` are the head's cells, or whole rows; `foot` are rows. `kind`: its CSS classes, after vigie-table. A table
    that `scrolls` is reached with the keyboard, in a `frame` of these CSS classes.
    """
    head = heads if heads.startswith("<tr") else f"<tr>{heads}</tr>"
    drawn = (
        f'<table class="{_classes("vigie-table", kind)}"{_attribute("style", style)}><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}</table>"
    )
    if not scrolls:
        return drawn
    return f'<div class="{_classes("vigie-scroll", frame)}" tabindex="0">{drawn}</div>'


def heads(words: Iterable[str]) -> str:
    """Draw the heads of columns."""
    return "".join(head(escape(word)) for word in words)


def head(html: str, kind: str = "") -> str:
    return f'<th{_attribute("class", kind)} scope="col">{html}</th>'


def row(html: str, cells: str, kind: str = "") -> str:
    """Draw a row; `html` is its name, `cells` are the HTML of what follows."""
    return f'<tr{_attribute("class", kind)}><th scope="row">{html}</th>{cells}</tr>'


def cells(words: Iterable[str]) -> str:
    return "".join(cell(escape(word)) for word in words)


def cell(html: str, kind: str = "") -> str:
    return f"<td{_attribute('class', kind)}>{html}</td>"


def note(words: str) -> str:
    """Draw a quiet sentence: below a table, or in its place when it has no rows."""
    return f'<p class="vigie-quiet">{escape(words)}</p>'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


def _classes(*names: str) -> str:
    return " ".join(filter(None, names))
