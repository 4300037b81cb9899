"""Stable pseudonyms for agents, a different one for each client.

Without the key nobody can identify the agent, or match an agent across two clients.
"""

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Iterable

SHORTEST = 4
"""Show this many characters, unless two agents share them: among 200 agents, one time in fifty."""
LEGIBLE = str.maketrans("IO", "89")  # base32 has no 8 and 9; replacing O and I avoids confusion with 0 and 1


def pseudonyms(key: bytes, client: str, agents: Iterable[str]) -> dict[str, str]:
    """Return agent → pseudonym, all different."""
    codes = {agent: _code(key, client, agent) for agent in agents}
    length = SHORTEST
    while len({code[:length] for code in codes.values()}) < len(codes):
        length += 1
    return {agent: code[:length] for agent, code in codes.items()}


def _code(key: bytes, client: str, agent: str) -> str:
    digest = hmac.digest(key, f"{client}\x00{agent}".encode(), hashlib.sha256)
    return b32encode(digest).decode().rstrip("=").translate(LEGIBLE)
