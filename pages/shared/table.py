"""The HTML tables of every page. Text is escaped here; a parameter named `html` is HTML already."""

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

    `heads` are the cells of the head, or whole rows; `foot` are rows. `kind` are CSS classes beside vigie-table.
    A table that `scrolls` is put into an element that the keyboard can focus, with the CSS classes of `frame`.
    """
    head = heads if heads.startswith("<tr") else f"<tr>{heads}</tr>"
    drawn = (
        f'<table class="{_classes("vigie-table", kind)}"{_attribute("style", style)}><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}</table>"
    )
    if not scrolls:
        return drawn
    return f'<div class="{_classes("vigie-scroll", frame)}" tabindex="0">{drawn}</div>'


def heads(labels: Iterable[str]) -> str:
    """Draw column headings."""
    return "".join(head(escape(label)) for label in labels)


def head(html: str, kind: str = "") -> str:
    return f'<th{_attribute("class", kind)} scope="col">{html}</th>'


def row(html: str, cells: str, kind: str = "") -> str:
    """Draw a row: its heading `html`, and its `cells`, HTML as well."""
    return f'<tr{_attribute("class", kind)}><th scope="row">{html}</th>{cells}</tr>'


def cells(texts: Iterable[str]) -> str:
    return "".join(cell(escape(text)) for text in texts)


def cell(html: str, kind: str = "") -> str:
    return f"<td{_attribute('class', kind)}>{html}</td>"


def note(text: str) -> str:
    """Draw a sentence in soft ink: below a table, or instead of one without rows."""
    return f'<p class="vigie-quiet">{escape(text)}</p>'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


def _classes(*names: str) -> str:
    return " ".join(filter(None, names))
