"""A period against its contract as a PDF that two parties can sign: figures, contract, definitions, conservation.

Charts are vectors and the font is embedded, so it prints the same everywhere. The same figures in the same language
give the same file, byte by byte.
"""

import io
from collections.abc import Callable, Container, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer, Table

from metrics.kpis.service_level import FORMULAS
from metrics.readers import Sla
from pages.contract import first_contact, month_chart, month_tables, standing
from pages.shared import names
from pages.shared.i18n import DASH, Text, short
from pages.shared.marks import level_state

REGULAR, BOLD, ITALIC = "Vigie", "Vigie-Bold", "Vigie-Italic"
FACES = {REGULAR: "SourceSansPro-Regular", BOLD: "SourceSansPro-Semibold", ITALIC: "SourceSansPro-It"}
INK, SOFT, LINE, PAPER = HexColor("#14191f"), HexColor("#56606d"), HexColor("#c9cfd6"), HexColor("#f3f5f7")
GOOD, BAD, OTHER = HexColor("#a9bac5"), HexColor("#c0262d"), HexColor("#dfe4e8")
STATES = {"met": HexColor("#0b7a4b"), "near": HexColor("#9a5b00"), "missed": BAD, "none": SOFT}
MARGIN, TOP, BOTTOM = 18 * mm, 22 * mm, 20 * mm
WIDTH = A4[0] - 2 * MARGIN
# for every table: without it, even empty cells name ReportLab's default font
TABLE_FONT = ("FONTNAME", (0, 0), (-1, -1), REGULAR)
BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=8.8, leading=12, textColor=INK)
SMALL = ParagraphStyle("small", BODY, fontSize=7.8, leading=10.4, textColor=SOFT)
HEADING = ParagraphStyle("heading", BODY, fontName=BOLD, fontSize=11.5, leading=15, spaceBefore=11, spaceAfter=4)
TITLE = ParagraphStyle("title", BODY, fontName=BOLD, fontSize=21, leading=25)
SUBTITLE = ParagraphStyle("subtitle", BODY, fontSize=12, leading=16, textColor=SOFT)
CELL = ParagraphStyle("cell", BODY, fontSize=8.2, leading=10)
NUMBER = ParagraphStyle("number", CELL, alignment=TA_RIGHT)
HEAD = ParagraphStyle("head", CELL, fontSize=7.4, leading=9, textColor=SOFT)
HEAD_NUMBER = ParagraphStyle("head number", HEAD, alignment=TA_RIGHT)


def as_pdf(sla: Sla, text: Text) -> bytes:
    """Return the statement of a period."""
    _ = text.gettext
    _fonts()
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=TOP,
        bottomMargin=BOTTOM,
        title=f"{_('Service level statement')}, {sla.campaign.name}, {standing.title(sla, text)}",
        author="Vigie",
        lang=text.language,
        initialFontName=REGULAR,
        invariant=1,
    )
    frame = Frame(MARGIN, BOTTOM, WIDTH, A4[1] - TOP - BOTTOM, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    document.build(
        [
            *_first_page(sla, text),
            *_tables(sla, text),
            *_people(sla, text),
            *_first_contact(sla, text),
            KeepTogether([*_definitions(sla, text), *_signatures(sla, text)]),  # so that nobody signs an empty page
        ],
        canvasmaker=lambda *args, **kwargs: _Numbered(*args, frame_words=_frame_words(sla, text), **kwargs),
    )
    return out.getvalue()


@cache
def _fonts() -> None:
    folder = files("font_source_sans_pro") / "files"
    for name, face in FACES.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{face}.ttf")))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=ITALIC, boldItalic=BOLD)


def _plain(words: str) -> str:
    """Escape what the layout would read as markup. Replace spaces and signs that the font does not have."""
    words = "".join(
        sign if sign.isprintable() or sign == "\u00a0" else " " for sign in words.replace("\u202f", "\u00a0")
    )
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _paragraph(words: str, style: ParagraphStyle = BODY) -> Paragraph:
    return Paragraph(_plain(words), style)


# the frame of every page


class _Numbered(Canvas):  # type: ignore[misc]  # reportlab ships no types
    """A canvas that writes "page x of y": it draws the frames when it knows how many pages there are."""

    def __init__(self, *args: Any, frame_words: Callable[[int, int], tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frame_words = frame_words
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for n, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._draw_frame(*self._frame_words(n, len(self._pages)))
            super().showPage()
        super().save()

    def _draw_frame(self, left: str, below: str, number: str) -> None:
        width, height = A4
        self.setFillColor(SOFT)
        self.setStrokeColor(LINE)
        self.setLineWidth(0.5)
        self.setFont(BOLD, 9)
        self.drawString(MARGIN, height - 13 * mm, "Vigie")
        self.setFont(REGULAR, 8)
        self.drawRightString(width - MARGIN, height - 13 * mm, left)
        self.line(MARGIN, height - 15.5 * mm, width - MARGIN, height - 15.5 * mm)
        self.line(MARGIN, 14 * mm, width - MARGIN, 14 * mm)
        self.drawString(MARGIN, 10 * mm, below)
        self.drawRightString(width - MARGIN, 10 * mm, number)


def _frame_words(sla: Sla, text: Text) -> Callable[[int, int], tuple[str, str, str]]:
    _ = text.gettext
    above = " · ".join(filter(None, (sla.campaign.client, sla.campaign.name, standing.title(sla, text))))
    version = _("contract, version {code}").format(code=sla.contract)
    below = f"{standing.as_of(sla, text)} · {version}"

    def words(page: int, pages: int) -> tuple[str, str, str]:
        number = _("Page {page} of {pages}").format(page=text.number(page), pages=text.number(pages))
        top, bottom, page_number = (words.replace("\u202f", "\u00a0") for words in (above, below, number))
        return top, bottom, page_number

    return words


# the first page


def _first_page(sla: Sla, text: Text) -> list[Flowable]:
    _ = text.gettext
    period = sla.period
    dates = _("{first} to {last}").format(first=text.date(period.first), last=text.date(standing.last_day(period)))
    facts = [
        (_("Client"), sla.campaign.client or DASH),
        (_("Campaign"), sla.campaign.name),
        (_("Period"), f"{standing.title(sla, text)} ({dates}, {sla.campaign.timezone})"),
        *((_("Coverage"), f"{'. '.join(words)}.") for words in (standing.coverage(sla, text),) if words),
        (_("Contract, version"), sla.contract),
        (_("State of the figures"), f"{standing.certainty(sla, text)}. {standing.as_of(sla, text)}."),
    ]
    facts_table = Table(
        [[_paragraph(name, SMALL), _paragraph(value)] for name, value in facts],
        colWidths=(38 * mm, WIDTH - 38 * mm),
        style=[TABLE_FONT, ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0), *_tight(1.6)],
    )
    story: list[Flowable] = [
        _paragraph(_("Service level statement"), TITLE),
        _paragraph(" · ".join((sla.campaign.name, standing.title(sla, text))), SUBTITLE),
        Spacer(1, 3 * mm),
        facts_table,
        Spacer(1, 4 * mm),
        _result(sla, text),
    ]
    parts = month_chart.parts(sla, text)
    if parts:
        heading = _("Day by day") if period.is_month else _("The day by intervals")
        story.append(KeepTogether([_paragraph(heading, HEADING), _chart(parts, standing.unknown(sla), text)]))
    terms = [month_tables.contract_head(text), *month_tables.contract_rows(sla, text)]
    story.append(
        KeepTogether(
            [
                _paragraph(_("The contract in force"), HEADING),
                _table(terms, (25, 42, 23, 15, 23, 16, 14, 16), text_columns=(0, 1, 2, 3, 4), total=False),
                Spacer(1, 1.5 * mm),
                _paragraph(_contract_rule(sla, text), SMALL),
            ]
        )
    )
    return story


def _contract_rule(sla: Sla, text: Text) -> str:
    _ = text.gettext
    rule = _("Each call is judged by the terms in force when it entered its queue, in the campaign’s local time.")
    if len(sla.terms) > 1 and sla.total.service_level_base and sla.target is not None:
        if sla.is_over:
            addition = _("Over the whole period the terms together require {target}, each weighted by its calls.")
        else:
            addition = _("So far the terms together require {target}, each weighted by its calls.")
        rule += " " + addition.format(target=text.target(sla.target))
    return rule


def _result(sla: Sla, text: Text) -> Table:
    """Draw the level with its verdict, and the figures beside it."""
    _ = text.gettext
    state = level_state(sla.total.service_level, sla.target)
    level_style = ParagraphStyle("big", BODY, fontName=BOLD, fontSize=34, leading=41)
    verdict_style = ParagraphStyle("verdict", BODY, fontName=BOLD, fontSize=10.5, leading=14, textColor=STATES[state])
    distance_style = ParagraphStyle("distance", BODY, fontName=BOLD, fontSize=10.5, leading=14)
    left: list[Flowable] = [
        _paragraph(f"{_('Service level')} · {standing.target_words(sla, text)}", SMALL),
        _paragraph(text.percent(sla.total.service_level), level_style),
        Table(
            [[_mark(state), _paragraph(standing.verdict(sla, text), verdict_style)]],
            colWidths=(5 * mm, 75 * mm),
            style=[
                TABLE_FONT,
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                *_tight(0),
            ],
            hAlign="LEFT",
        ),
    ]
    left += [_paragraph(f"{words}.", distance_style) for words in (standing.distance(sla, text),) if words]
    notes = (*standing.outlook(sla, text), standing.bounds(sla, text), standing.known_from(sla, text))
    left += [_paragraph(f"{words}.", SMALL) for words in notes if words]
    value_style = ParagraphStyle("value", BODY, fontName=BOLD, fontSize=13, leading=17)
    cells = [[_paragraph(fact.name, SMALL), _paragraph(fact.shown, value_style)] for fact in standing.facts(sla, text)]
    third = (WIDTH - 92 * mm) / 3
    right = Table(
        [cells[:3], cells[3:]],
        colWidths=(third,) * 3,
        style=[TABLE_FONT, ("VALIGN", (0, 0), (-1, -1), "TOP"), *_tight(3)],
    )
    return Table(
        [[left, right]],
        colWidths=(90 * mm, WIDTH - 90 * mm),
        style=[
            TABLE_FONT,
            ("BOX", (0, 0), (-1, -1), 0.7, LINE),
            ("BACKGROUND", (0, 0), (-1, -1), PAPER),
            ("LINEBEFORE", (0, 0), (0, -1), 3, STATES[state]),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (0, -1), 5 * mm),
            ("TOPPADDING", (0, 0), (-1, -1), 3 * mm),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5 * mm),
        ],
    )


def _mark(state: str) -> Drawing:
    """Draw the shape of a verdict: colour is never the only sign."""
    drawing, colour = Drawing(9, 9), STATES[state]
    shapes = {
        "met": Circle(4.5, 4.5, 3.6, fillColor=colour, strokeColor=None),
        "near": Polygon([0.6, 1, 8.4, 1, 4.5, 8.2], fillColor=colour, strokeColor=None),
        "missed": Polygon([4.5, 0, 9, 4.5, 4.5, 9, 0, 4.5], fillColor=colour, strokeColor=None),
        "none": Circle(4.5, 4.5, 3.2, fillColor=None, strokeColor=colour),
    }
    drawing.add(shapes[state])
    return drawing


# tables


def _tight(padding: float) -> list[tuple[Any, ...]]:
    return [("TOPPADDING", (0, 0), (-1, -1), padding), ("BOTTOMPADDING", (0, 0), (-1, -1), padding)]


def _table(
    rows: Sequence[Sequence[str]], widths: Sequence[float], *, text_columns: Container[int] = (0,), total: bool = True
) -> Table:
    """Draw a table. Its head repeats on every page. `text_columns` hold text; `widths` [mm] are scaled to the page."""
    head, *body = rows
    cells = [[_paragraph(word, HEAD if n in text_columns else HEAD_NUMBER) for n, word in enumerate(head)]]
    cells += [
        [_paragraph(short(word), CELL if n in text_columns else NUMBER) for n, word in enumerate(row)] for row in body
    ]
    style: list[tuple[Any, ...]] = [
        TABLE_FONT,
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, SOFT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.35, LINE),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("VALIGN", (0, 1), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2.5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2.5),
        *_tight(1.9),
    ]
    if total:
        style += [("LINEABOVE", (0, -1), (-1, -1), 0.8, SOFT), ("BACKGROUND", (0, -1), (-1, -1), PAPER)]
    share = WIDTH / sum(widths)
    return Table(cells, colWidths=[width * share for width in widths], repeatRows=1, style=style)


def _tables(sla: Sla, text: Text) -> list[Flowable]:
    _ = text.gettext
    tables = [(_("By queue"), _("Queue"), month_tables.queues(sla, text))]
    if sla.period.is_month:
        tables.append((_("By day"), _("Day"), list(reversed(month_tables.days(sla, text)))))
        tables.append((_("By time of day"), _("Interval"), month_tables.intervals(sla, text)))
    else:
        tables.append((_("By interval"), _("Interval"), month_tables.intervals(sla, text)))
    story: list[Flowable] = []
    for heading, first_head, rows in tables:
        if rows:
            lines = [
                (first_head, *month_tables.head(text)),
                *((row.name, *month_tables.values(row.figures, text)) for row in rows),
            ]
            lines.append((_("Total"), *month_tables.values(sla.total, text)))
            table = _table(lines, (30, 18, 18, 16, 18, 20, 20, 18, 14))
            story += (
                [_paragraph(heading, HEADING), table]
                if len(rows) > 20
                else [KeepTogether([_paragraph(heading, HEADING), table])]
            )
    return story


def _people(sla: Sla, text: Text) -> list[Flowable]:
    _ = text.gettext
    if sla.people is None:
        return []
    heading, rows = _paragraph(_("Agents"), HEADING), month_tables.people_rows(sla, text)
    if not rows:
        return [heading, _paragraph(names.too_few(text), SMALL)]
    table = _table([month_tables.people_head(text), *rows], (48, 18, 20, 22, 18, 20, 22))
    return [heading, table, Spacer(1, 1.5 * mm), _paragraph(month_tables.privacy(text), SMALL)]


def _first_contact(sla: Sla, text: Text) -> list[Flowable]:
    if sla.first_contact is None:
        return []
    heading, words = first_contact.heading(text), first_contact.words(sla, text)
    return [KeepTogether([_paragraph(heading, HEADING), _paragraph(words)])]


# definitions


def _definitions(sla: Sla, text: Text) -> list[Flowable]:
    _ = text.gettext
    formulas = {judged.term.formula for judged in sla.terms}
    rules = [
        (
            _("Service level"),
            " ".join(names.formula(name, text) for name in FORMULAS if name in formulas)
            + ". "
            + names.rule("service_level", text),
        ),
        (_("Late"), _("Counted by the contract’s formula, and not in time.")),
        *((names.figure(name, text), names.rule(name, text)) for name in ("offered", "abandon_rate", "asa_s")),
    ]
    if sla.people is not None:
        rules.append((names.figure("aht_s", text), names.rule("aht_s", text)))
    story: list[Flowable] = [_paragraph(_("What the figures mean"), HEADING)]
    story += [Paragraph(f"<font name='{BOLD}'>{_plain(name)}</font> – {_plain(rule)}", BODY) for name, rule in rules]
    checked = [
        _paragraph(_("Every call is accounted for"), HEADING),
        _paragraph(f"{standing.conservation(sla, text)}."),
    ]
    return [*story, *checked]


def _signatures(sla: Sla, text: Text) -> list[Flowable]:
    _ = text.gettext
    of_client = sla.campaign.client
    sides = (_("For the provider"), _("For the client") + (f", {of_client}" if of_client else ""))
    lines = (_("Name"), _("Job title"), _("Place and date"), _("Signature"))
    half = (WIDTH - 10 * mm) / 2

    def party(heading: str) -> Table:
        rows = [
            [_paragraph(heading, ParagraphStyle("side", BODY, fontName=BOLD)), ""],
            *([_paragraph(line, SMALL), ""] for line in lines),
        ]
        return Table(
            rows,
            colWidths=(26 * mm, half - 26 * mm),
            rowHeights=(8 * mm, 9 * mm, 9 * mm, 9 * mm, 20 * mm),
            style=[
                TABLE_FONT,
                ("SPAN", (0, 0), (1, 0)),
                ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
                ("LINEBELOW", (1, 1), (1, -1), 0.6, SOFT),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
            ],
        )

    both = Table(
        [[party(sides[0]), "", party(sides[1])]],
        colWidths=(half, 10 * mm, half),
        style=[
            TABLE_FONT,
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ],
    )
    return [_paragraph(_("Seen and agreed"), HEADING), both]


# the chart


def _chart(parts: list[month_chart.Part], unknown: int, text: Text) -> Drawing:
    """Draw calls as stacked bars, late ones hatched, and the level against its target. Unknown days are grey."""
    _ = text.gettext
    height, left, right, bottom, top = 62 * mm, 10 * mm, 11 * mm, 12 * mm, 3 * mm
    drawing = Drawing(WIDTH, height)
    plot_w, plot_h = WIDTH - left - right, height - bottom - top
    busiest = max(part.figures.offered if part.figures else 0 for part in parts)
    step = _step(busiest)
    axis_top = step * max(1, -(-busiest // step))

    def write(x: float, y: float, words: str, anchor: str = "middle") -> None:
        shown = words.replace("\u202f", "\u00a0")
        drawing.add(String(x, y, shown, fontName=REGULAR, fontSize=6.8, fillColor=SOFT, textAnchor=anchor))

    for count in range(0, axis_top + 1, step):
        y = bottom + count / axis_top * plot_h
        drawing.add(Line(left, y, left + plot_w, y, strokeColor=LINE, strokeWidth=0.4))
        write(left - 3, y - 2, text.number(count), "end")
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        write(left + plot_w + 3, bottom + share * plot_h - 2, text.percent(share, 0), "start")
    width = plot_w / max(len(parts), month_chart.SHORTEST)
    if unknown:
        drawing.add(Rect(left, bottom, unknown * width, plot_h, fillColor=PAPER, strokeColor=None))
        if unknown >= month_chart.ROOMY:
            write(left + unknown * width / 2, bottom + plot_h / 2, month_chart.no_data(text))
    every = max(1, -(-len(parts) // 31))
    dots: list[list[float]] = [[]]
    for place, (_name, label, figures, target) in enumerate(parts):
        x, bar = left + place * width + width * 0.12, width * 0.76
        if figures is not None:
            good = figures.service_level_hits / axis_top * plot_h
            bad = standing.late(figures) / axis_top * plot_h
            other = standing.uncounted(figures) / axis_top * plot_h
            drawing.add(Rect(x, bottom, bar, good, fillColor=GOOD, strokeColor=None))
            _hatched(drawing, x, bottom + good, bar, bad)
            drawing.add(Rect(x, bottom + good + bad, bar, other, fillColor=OTHER, strokeColor=None))
        if place % every == 0:
            write(x + bar / 2, bottom - 8, label)
        if target is not None:
            y = bottom + target * plot_h
            edges = (left + place * width, y, left + (place + 1) * width, y)
            drawing.add(Line(*edges, strokeColor=SOFT, strokeWidth=0.9, strokeDashArray=(2.5, 2)))
        if figures is None or figures.service_level is None:
            dots.append([])  # no data is a gap
        else:
            dots[-1] += [x + bar / 2, bottom + figures.service_level * plot_h]
    for run in filter(None, dots):
        if len(run) > 2:
            drawing.add(PolyLine(run, strokeColor=INK, strokeWidth=1.1))
        for x, y in zip(run[::2], run[1::2], strict=True):
            drawing.add(Circle(x, y, 1.3, fillColor=INK, strokeColor=white, strokeWidth=0.3))
    _legend(drawing, left, text)
    return drawing


def _step(most: int) -> int:
    """Return the distance of the lines of an axis up to `most`: 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 5 >= most:
                return factor * power
        power *= 10


def _hatched(drawing: Drawing, x: float, y: float, width: float, height: float) -> None:
    if height <= 0:
        return
    drawing.add(Rect(x, y, width, height, fillColor=_tinted(BAD), strokeColor=BAD, strokeWidth=0.35))
    rise = 2.6 - width
    while rise < height:
        x0, x1 = max(0.0, -rise), min(width, height - rise)
        if x1 > x0:
            drawing.add(Line(x + x0, y + rise + x0, x + x1, y + rise + x1, strokeColor=BAD, strokeWidth=0.45))
        rise += 2.6


def _tinted(colour: Color) -> Color:
    return Color(*(1 - (1 - part) * 0.12 for part in (colour.red, colour.green, colour.blue)))


def _legend(drawing: Drawing, left: float, text: Text) -> None:
    _ = text.gettext
    x, y = left, 1.5
    for words, kind in (
        (_("In time"), "good"),
        (_("Late"), "bad"),
        (_("Not counted"), "other"),
        (_("Service level"), "level"),
        (_("Target"), "target"),
    ):
        if kind == "bad":
            _hatched(drawing, x, y, 9, 6)
        elif kind in ("good", "other"):
            drawing.add(Rect(x, y, 9, 6, fillColor=GOOD if kind == "good" else OTHER, strokeColor=None))
        elif kind == "level":
            drawing.add(Line(x, y + 3, x + 12, y + 3, strokeColor=INK, strokeWidth=1.1))
            drawing.add(Circle(x + 6, y + 3, 1.4, fillColor=INK, strokeColor=None))
        else:
            drawing.add(Line(x, y + 3, x + 12, y + 3, strokeColor=SOFT, strokeWidth=0.9, strokeDashArray=(2.5, 2)))
        drawing.add(String(x + 15, y + 0.6, words, fontName=REGULAR, fontSize=7.2, fillColor=SOFT))
        x += 15 + pdfmetrics.stringWidth(words, REGULAR, 7.2) + 12
