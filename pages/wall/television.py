"""The wall on a television: no menu, no links, figures readable from five metres, one page of tiles at a time.

    /wallboard?tv=1&by=client&every=20&sound=1

`by`: "campaign" (the default) turns pages only when there are more than FIT campaigns. "client" shows one client after
the other. "all" shows everything at once, however small. `every` is how long a page stays [s]. `sound` rings when an
alert begins to fire. An invalid value gives the default: nobody stands there to read an error.

The server's clock decides which page is due, not the screen's. So all screens with the same options turn together, and
each page is drawn once for all of them. What must work without a server is in television.js and contact.js.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil, lcm
from typing import Literal, cast, get_args

from metrics.authorisation.viewer import Viewer
from metrics.readers import Board, CampaignNow
from pages.assets import ASSETS, script
from pages.shared import verdicts
from pages.shared.i18n import Text
from pages.wall import tiles
from pages.wall.tiles import STALE

By = Literal["campaign", "client", "all"]
FIT = 8
"""At most this many tiles per page: at 4 × 2 a figure is a twentieth of the screen's height. `by=all` shows more."""
SHORTEST_S, LONGEST_S, USUAL_S = 5, 300, 15
"""How long a page stays [s]: limits and default."""
RINGS_FOR = "\ue005"
"""Placeholder for the alerts that the script rings for when they are new."""
NAMED = 3
"""Name at most this many campaigns below target in the header, then '+n'."""

STYLE = ASSETS / "television.css"


@dataclass(frozen=True, slots=True)
class Options:
    """A television's options, from the address of the page."""

    by: By
    every_s: int
    sound: bool


def is_television(viewer: Viewer, params: Mapping[str, str]) -> bool:
    """Whether to draw the television's wall: for a television's token, and for anybody who opens `?tv=1`."""
    return viewer.role == "television" or params.get("tv") == "1"


def options(params: Mapping[str, str]) -> Options:
    """Read the options from the address. An interval outside the limits becomes the nearest limit."""
    by = params.get("by", "")
    digits = params.get("every", "")
    every_s = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else USUAL_S
    return Options(
        by=cast(By, by) if by in get_args(By) else "campaign",
        every_s=min(max(every_s, SHORTEST_S), LONGEST_S),
        sound=params.get("sound") == "1",
    )


def pages(campaigns: Sequence[CampaignNow], by: By) -> list[Sequence[CampaignNow]]:
    """Divide the campaigns into pages, in their order. The pages of a group have equal size."""
    if by == "all":
        return [campaigns]
    if by == "campaign":
        return _divided(campaigns)
    clients = [
        list(of_client) for _client, of_client in groupby(campaigns, key=lambda campaign: campaign.campaign.client)
    ]
    return [page for of_client in clients for page in _divided(of_client)]


def draw(
    board: Board,
    viewer: Viewer,
    text: Text,
    options: Options,
    now_s: float,
    age_s: float,
    banner: str = "",
    rings_for: Sequence[str] = (),
) -> str:
    """Return the HTML of the page that is due at `now_s` [s since 1970]. Drawn once per snapshot, for all.

    `banner` is HTML about alerts, and `rings_for` what the sound rings for when it is new.
    """
    all_pages = pages(board.campaigns, options.by)
    due = int(now_s // options.every_s) % len(all_pages)
    key = ("television", viewer.campaigns, viewer.sees_work, text.language, options.by, due)
    page = tiles.cached(board, key, lambda: _page(board, all_pages, due, text))
    page = tiles.with_age(page, text, age_s, now_s).replace(tiles.BANNER, banner)
    return page.replace(RINGS_FOR, escape(json.dumps(list(rings_for))))


def watch(options: Options, text: Text) -> str:
    """Return the clock, the sound button and the script that looks after the screen: drawn once, outside the ticks."""
    _ = text.gettext
    labels = {
        "ask": _("Touch the screen or press a key once: then it rings when an alert fires."),
        "on": _("Sound is on"),
        "off": _("Sound is off: press here to switch it on"),
    }
    attributes = " ".join(f'data-{state}="{escape(label)}"' for state, label in labels.items())
    is_wanted = "1" if options.sound else "0"
    return (
        f'<time class="vigie-clock" lang="{text.language}"></time>'
        f'<button type="button" class="vigie-sound" data-wanted="{is_wanted}" {attributes}></button>'
        + script("television")
    )


def _divided(campaigns: Sequence[CampaignNow]) -> list[Sequence[CampaignNow]]:
    size = ceil(len(campaigns) / max(1, ceil(len(campaigns) / FIT)))
    return [campaigns[start : start + size] for start in range(0, len(campaigns), size)]


def _spans(many: int, rows: int) -> tuple[int, list[int]]:
    """Return the tracks of a grid, and how many each tile takes, so that the tiles of every row fill its width."""
    few, more = divmod(many, rows)
    in_rows = [few + 1] * more + ([few] * (rows - more) if few else [])
    tracks = lcm(*in_rows)
    return tracks, [tracks // in_row for in_row in in_rows for _tile in range(in_row)]


def _page(board: Board, all_pages: Sequence[Sequence[CampaignNow]], due: int, text: Text) -> str:
    most_tiles = max(len(page) for page in all_pages)  # tiles have the same height on every page
    columns, rows = tiles.grid(most_tiles)
    missed = [campaign.campaign for campaign in board.campaigns if verdicts.state_of(campaign) == "missed"]
    tracks, spans = _spans(len(all_pages[due]), rows)
    placed = zip(all_pages[due], spans, strict=True)
    tiles_html = "".join(tiles.tile(campaign, text, span=span) for campaign, span in placed)
    size = "small" if most_tiles > FIT else "large"
    named = _missed_names([campaign.name for campaign in missed], text) if len(all_pages) > 1 else ""
    top = tiles.header(
        tiles.queue_of(board, text),
        tiles.attention(board, text),
        text,
        tiles.BANNER + named + _page_number(due, len(all_pages), text),
    )
    return (
        f'<div class="vigie-board television {size} {STALE}" '
        f'style="--columns:{columns};--rows:{rows};--tracks:{tracks}" '
        f'{tiles.TICK} data-waiting="{board.waiting}" data-rings="{RINGS_FOR}">'
        f'{top}<div class="vigie-grid">{tiles_html}</div></div>'
    )


def _missed_names(missed: Sequence[str], text: Text) -> str:
    """Name the campaigns below target: their tiles may be on another page."""
    names = ", ".join(missed[:NAMED])
    if len(missed) > NAMED:
        names += f" +{text.number(len(missed) - NAMED)}"
    return f'<p class="named">{escape(names)}</p>' if missed else ""


def _page_number(due: int, many: int, text: Text) -> str:
    """Say which page this is, and of how many."""
    if many == 1:
        return ""
    words = text.gettext("Page {page} of {pages}").format(page=text.number(due + 1), pages=text.number(many))
    return f'<p class="turn">{escape(words)}</p>'
