"""Style sheets, scripts and the logo."""

from pathlib import Path

ASSETS = Path(__file__).parent
