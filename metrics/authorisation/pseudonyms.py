"""Names for agents that say nothing about who they are, and stay the same: one a person and client.

Who does not hold the key cannot find the agent, nor join what two clients were shown.
"""

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Iterable

SHORTEST = 4
"""So many characters are shown, unless two agents share them: among 200, one time in fifty."""
LEGIBLE = str.maketrans("IO", "89")  # base32 has no 8 and 9, and no 0 and 1 to be taken for O and I


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
