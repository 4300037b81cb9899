"""Who is looking, and at which campaigns: what every reader asks before it gives anything away."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["manager", "client", "analyst", "television"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person, or a television, with the campaigns and sites that are theirs.

    `campaigns` None means every campaign, also one that nobody configured yet; the empty set means none. `sites` limits
    whose agents are named, None not at all; figures of a campaign are of all its agents wherever they sit.
    """

    role: Role
    campaigns: frozenset[str] | None
    name: str = ""
    sites: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES or not all(
            isinstance(said, frozenset | None) for said in (self.campaigns, self.sites)
        ):
            raise ValueError(f"no viewer has role {self.role!r}, campaigns {self.campaigns!r}, sites {self.sites!r}")

    def sees(self, campaign: str | None) -> bool:
        """Whether rows of `campaign` may be read by this viewer."""
        return self.campaigns is None or campaign in self.campaigns

    @property
    def sees_work(self) -> bool:
        """Whether this viewer may know how long people work on each call and in each hour (see `suppression`)."""
        return self.role != "client"

    @property
    def names_agents(self) -> bool:
        """Whether this viewer may know who works: the agents of their sites, if they are limited to some."""
        return self.role in ("manager", "analyst")

    def names_agents_of(self, site: str | None) -> bool:
        """Whether this viewer may know who the agents of `site` are."""
        return self.names_agents and (self.sites is None or site in self.sites)
