"""Agents and callers: invented names, and phone numbers that nobody has."""

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from ingest.simulator import parameters
from ingest.simulator.parameters import Campaign


def pauses(starts: float, ends: float, turn: float, rng: Random) -> list[tuple[float, str, float]]:
    """Return a shift's pauses: two breaks, lunch in a long shift, sometimes a meeting.

    A team pauses in turns: `turn`, 0–1, is the agent's place in each window.
    """
    length = ends - starts
    windows = [
        ("break", parameters.BREAK_WINDOWS[0], parameters.BREAK_S),
        ("break", parameters.BREAK_WINDOWS[1], parameters.BREAK_S),
    ]
    if length >= parameters.LUNCH_FROM_SHIFT_H * 3600 - 600:
        windows.append(("lunch", parameters.LUNCH_WINDOW, parameters.LUNCH_S))
    drawn = []
    for reason, (first, last), lasts in windows:
        share = first + (last - first) * turn + rng.uniform(-0.01, 0.01)
        drawn.append((starts + length * share, reason, rng.uniform(*lasts)))
    for reason, chance, seconds in parameters.MEETINGS:
        if rng.random() < chance:
            drawn.append((starts + length * rng.uniform(0.05, 0.9), reason, seconds * rng.uniform(0.8, 1.2)))
    return sorted(drawn)


def profile(number: int, campaign: Campaign) -> dict[str, Any]:
    """Return the agent.profile fields of agent `number`, the same on every day.

    Teams are named after their shift: N(uit), M(atin), J(our), S(oir).
    """
    rng = Random(number)
    languages = {"fr": ["fr", "ar"], "es": ["es", "fr"], "en": ["en", "fr"]}[campaign.language]
    band, place = divmod(number % 10_000, 2_500)
    index = number // 10_000 * 300 + band * 75 + place  # the lists' lengths have no common factor: pairs differ
    first = parameters.FIRST_NAMES[index % len(parameters.FIRST_NAMES)]
    last = parameters.LAST_NAMES[index * 29 % len(parameters.LAST_NAMES)]
    return {
        "name": f"{first} {last}",
        "team": f"{campaign.name} {'NMJS'[band]}{place // parameters.TEAM_SIZE + 1}",
        "site": campaign.site,
        "languages": languages,
        "hourly_cost": round(rng.uniform(*parameters.HOURLY_COST_MAD), 1),
        "currency": "MAD",
        "hired_on": (date(2019, 1, 7) + timedelta(days=rng.randrange(2600))).isoformat(),
    }


def number_of(language: str, rng: Random) -> str:
    """Draw a caller's number from ranges that are reserved for fiction, or that no subscriber has."""
    if language == "fr":
        return f"+3319900{rng.randrange(10_000):04d}"
    if language == "es":
        return f"+34900000{rng.randrange(1_000):03d}"
    return f"+442079460{rng.randrange(1_000):03d}"


def asked_at(started: datetime, now: float, rng: Random) -> str:
    """Return when the caller asked the menu for a human, as RFC 3339: a little before entering the queue."""
    asked = started + timedelta(seconds=now - rng.uniform(3, 40))
    return asked.strftime("%Y-%m-%dT%H:%M:%SZ")
