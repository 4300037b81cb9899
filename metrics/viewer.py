"""Who is looking, and at which campaigns: what every reader asks before it gives anything away."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["manager", "client", "analyst", "television"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, or a television, with the campaigns that are theirs.

    `campaigns` None means every campaign, also one that nobody configured yet; the empty set means none.
    """

    role: Role
    campaigns: frozenset[str] | None
    name: str = ""

    def sees(self, campaign: str | None) -> bool:
        """Whether rows of `campaign` may be read by this viewer."""
        return self.campaigns is None or campaign in self.campaigns
