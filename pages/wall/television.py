"""The wall on a television: no menu, no link, figures that are read from five metres, a page of it at a time.

    /wallboard?tv=1&by=client&every=20&sound=1

`by`: "campaign" (unless asked) turns pages only when the campaigns are more than FIT, "client" shows one client after
the other, "all" everything at once, however small. `every` is how long a page stays [s]. `sound` rings when a campaign
falls below its target. What is not understood is as if it had not been said: nobody stands there to read a complaint.

Which page is shown follows the server's clock, not the screen's: all screens that show the same turn together, and one
of them draws the page for the rest. What must work while there is no server is in television.js.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil
from typing import Literal, cast, get_args

from metrics.authorisation.viewer import Viewer
from metrics.readers import Board, CampaignNow
from pages.assets import ASSETS
from pages.shared import marks
from pages.shared.i18n import Text
from pages.wall import tiles
from pages.wall.tiles import STALE

By = Literal["campaign", "client", "all"]
FIT = 8
"""So many tiles, 4 × 2, leave a figure a twentieth of the screen's height; more are pages, or asked for."""
SHORTEST_S, LONGEST_S, USUAL_S = 5, 300, 15
"""How long a page stays [s]: its limits, and what it is unless the address says."""
DRAWN, AGE_S = "\ue002", "\ue003"
"""Where a tick puts when it was drawn and the age of the data [s], for the script that goes on counting."""
NAMED = 3
"""So many campaigns below target are named in the header; of more, how many more."""

SCRIPT = ASSETS / "television.js"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of a television."""

    by: By
    every_s: int
    sound: bool


def is_television(viewer: Viewer, said: Mapping[str, str]) -> bool:
    """Whether this is a screen on a wall: by its token, or because whoever looks asks for what it shows."""
    return viewer.role == "television" or said.get("tv") == "1"


def asked(said: Mapping[str, str]) -> Asked:
    """Read the address; what is out of bounds is brought into them."""
    by = said.get("by", "")
    digits = said.get("every", "")
    every_s = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else USUAL_S
    return Asked(
        by=cast(By, by) if by in get_args(By) else "campaign",
        every_s=min(max(every_s, SHORTEST_S), LONGEST_S),
        sound=said.get("sound") == "1",
    )


def pages(campaigns: Sequence[CampaignNow], by: By) -> list[Sequence[CampaignNow]]:
    """Divide the campaigns into what a screen shows at a time, in their order; pages of one group are of equal size."""
    if by == "all":
        return [campaigns]
    if by == "campaign":
        return _divided(campaigns)
    clients = [list(own) for _client, own in groupby(campaigns, key=lambda one: one.campaign.client)]
    return [page for own in clients for page in _divided(own)]


def draw(board: Board, viewer: Viewer, text: Text, asked: Asked, now_s: float, age_s: float) -> str:
    """Return the HTML of the page that is due at `now_s` [s since 1970]; the first who asks draws it for all."""
    all = pages(board.campaigns, asked.by)
    due = int(now_s // asked.every_s) % len(all)
    key = ("television", viewer.campaigns, viewer.sees_work, text.language, asked.by, due)
    page = tiles.once(board, key, lambda: _page(board, all, due, text))
    return tiles.aged(page, text, age_s).replace(DRAWN, f"{now_s:.0f}").replace(AGE_S, f"{max(age_s, 0.0):.0f}")


def watch(asked: Asked, text: Text) -> str:
    """Return the button for the sound, and the script that looks after the screen: drawn once, beside the ticks."""
    _ = text.gettext
    said = {
        "ask": _("Touch the screen or press a key once: then it rings when a campaign falls below its target."),
        "on": _("Sound is on"),
        "off": _("Sound is off"),
    }
    words = " ".join(f'data-{state}="{escape(words)}"' for state, words in said.items())
    wanted = "1" if asked.sound else "0"
    return (
        f'<button type="button" class="vigie-sound" data-wanted="{wanted}" {words}></button>'
        f"<script>{SCRIPT.read_text()}</script>"
    )


def _divided(campaigns: Sequence[CampaignNow]) -> list[Sequence[CampaignNow]]:
    size = ceil(len(campaigns) / max(1, ceil(len(campaigns) / FIT)))
    return [campaigns[at : at + size] for at in range(0, len(campaigns), size)]


def _page(board: Board, all: Sequence[Sequence[CampaignNow]], due: int, text: Text) -> str:
    most = max(len(page) for page in all)  # a tile has one size on every page
    columns, rows = tiles.grid(most)
    missed = [one.campaign for one in board.campaigns if marks.state_of(one) == "missed"]
    drawn = "".join(tiles.tile(one, text) for one in all[due])
    size = "small" if most > FIT else "large"
    heard = escape(json.dumps([one.campaign for one in missed]))
    names = _named([one.name for one in missed], text) if len(all) > 1 else ""
    top = tiles.header(
        tiles.queue_of(board, text), tiles.attention(board, text), text, names + _turn(due, len(all), text)
    )
    return (
        f'<div class="vigie-board television {size} {STALE}" style="--columns:{columns};--rows:{rows}" '
        f'data-drawn="{DRAWN}" data-age="{AGE_S}" data-waiting="{board.waiting}" data-missed="{heard}">'
        f'{top}<div class="vigie-grid">{drawn}</div></div>'
    )


def _named(missed: Sequence[str], text: Text) -> str:
    """Name who is below target: their tiles may be on another page."""
    words = ", ".join(missed[:NAMED])
    if len(missed) > NAMED:
        words += f" +{text.number(len(missed) - NAMED)}"
    return f'<p class="named">{escape(words)}</p>' if missed else ""


def _turn(due: int, many: int, text: Text) -> str:
    """Say which page of how many this is."""
    if many == 1:
        return ""
    words = text.gettext("Page {page} of {pages}").format(page=text.number(due + 1), pages=text.number(many))
    return f'<p class="turn">{escape(words)}</p>'
