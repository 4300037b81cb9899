"""The viewer: role, campaigns and sites. Every reader checks it before it returns anything."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["manager", "client", "analyst", "television"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person or a television, with the campaigns and sites that they may see.

    `campaigns` None means every campaign, even unconfigured ones; the empty set means none. `sites` limits which agents
    are named, None means no limit. A campaign's figures always cover all its agents at all sites.
    """

    role: Role
    campaigns: frozenset[str] | None
    name: str = ""
    sites: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES or not all(
            isinstance(limit, frozenset | None) for limit in (self.campaigns, self.sites)
        ):
            raise ValueError(f"no viewer has role {self.role!r}, campaigns {self.campaigns!r}, sites {self.sites!r}")

    def sees(self, campaign: str | None) -> bool:
        """Whether this viewer may read rows of `campaign`."""
        return self.campaigns is None or campaign in self.campaigns

    @property
    def sees_work(self) -> bool:
        """Whether this viewer may see how long people work on each call and in each hour (see `suppression`)."""
        return self.role != "client"

    @property
    def names_agents(self) -> bool:
        """Whether this viewer may see agents' names: only those of their sites, if `sites` is set."""
        return self.role in ("manager", "analyst")

    def names_agents_of(self, site: str | None) -> bool:
        """Whether this viewer may see the names of agents of `site`."""
        return self.names_agents and (self.sites is None or site in self.sites)
