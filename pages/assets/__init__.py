"""Style sheets, scripts and the logo.

A browser runs no script in a page but these files and Streamlit's own: the page's policy has their hashes. So what a
script needs of the moment is not written into it, but beside it.
"""

import base64
import hashlib
from pathlib import Path

ASSETS = Path(__file__).parent


def script(name: str) -> str:
    """Return a script of this folder as an element of HTML."""
    return f"<script>{(ASSETS / f'{name}.js').read_text()}</script>"


def script_hashes() -> list[str]:
    """Return the hashes of all scripts in this folder, as sources of a content security policy."""
    return [sha256(path.read_text()) for path in sorted(ASSETS.glob("*.js"))]


def sha256(source: str) -> str:
    """Return the source of a content security policy that allows a script or a style with exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
