"""Service level: the share of calls that reached an agent within the contract's threshold T.

    exclude_short                 answered<=T / (offered - short_abandoned)           the default
    all_offered                   answered<=T / offered
    ignore_abandons_in_threshold  answered<=T / (offered - abandoned<=T)
    abandon_counts_as_success     (answered<=T + abandoned<=T) / offered
    answered_only                 answered<=T / answered

Each call is judged by the formula, T, comparator and short limit of its own contract term. Its contributions to the
numerator and the denominator are then added up, so a window that spans two terms still has one correct ratio.

Edge cases: `offered` excludes open calls still within T. An open call past T is a miss immediately. `abandoned<=T`
includes short abandons. If the denominator is 0 the result is NULL, never 0 or 100 %. `answered_only` does not count
open calls, so they affect only its worst and best: `worst` assumes that every open call is answered too late.

References: docs/kpis.md, The five formulas, with Call Centre Helper's example, which is the golden day of the tests
(81.90, 81.13, 82.69, 83.02 and 86.00 %); Cisco ICM's service-level event for open calls.
"""

from dataclasses import dataclass

from metrics.kpis import outcomes
from metrics.kpis.kpi import RATIO, Kpi, Measure, Printed, Sum, Tally, fraction, sum_of
from metrics.kpis.tallies import CALLS, added, millionths

ABANDONED = "outcome IN ('abandoned', 'short_abandoned')"

_COUNTS = (
    Measure(
        "answered_in_threshold",
        added(CALLS, "inbound AND outcome = 'answered' AND in_threshold"),
        "calls",
        "calls answered with a wait within the threshold of the call's contract",
        by_agent=True,
    ),
    Measure(
        "abandoned_in_threshold",
        added(CALLS, f"inbound AND {ABANDONED} AND in_threshold"),
        "calls",
        "calls abandoned, short ones included, with a wait within the threshold",
    ),
    Measure(
        "callback_in_threshold",
        added(CALLS, "inbound AND outcome = 'callback' AND in_threshold"),
        "calls",
        "calls that left for a callback within the threshold (Amazon Connect counts them as served)",
    ),
    Measure(
        "open_in_threshold",
        added(CALLS, "inbound AND inside"),
        "calls",
        "open calls still within the threshold: not yet counted for or against",
    ),
)


@dataclass(frozen=True)
class Formula:
    """A formula of service level, in counts of a window in which no other is in force; `printed_by` uses it."""

    numerator: Sum
    denominator: Sum
    printed_by: str

    @property
    def text(self) -> str:
        return fraction(self.numerator, self.denominator)

    @property
    def hit(self) -> str:
        """SQL condition for calls in the numerator, over a row with the columns of `tallies.BY` and `tallies.FACTS`."""
        return _calls(self.numerator)

    @property
    def base(self) -> str:
        """SQL condition for calls in the denominator, over the same row."""
        return _calls(self.denominator)


def _calls(counts: Sum) -> str:
    condition = counts.calls({measure.name: measure for measure in (*outcomes.MEASURES, *_COUNTS)})
    assert condition is not None
    return condition


def _offered(*less: str) -> Sum:
    """Return the offered calls that count, less the measures `less`. Open calls within T do not count yet."""
    return sum_of("offered", less=(*less, "open_in_threshold"))


_IN_TIME = sum_of("answered_in_threshold")

FORMULAS = {
    "exclude_short": Formula(_IN_TIME, _offered("short_abandoned"), "Genesys (option), Talkdesk, RingCentral"),
    "all_offered": Formula(_IN_TIME, _offered(), 'Cisco "negative"'),
    "ignore_abandons_in_threshold": Formula(_IN_TIME, _offered("abandoned_in_threshold"), 'Cisco "ignore"'),
    "abandon_counts_as_success": Formula(
        sum_of("answered_in_threshold", "abandoned_in_threshold"), _offered(), "Amazon Connect"
    ),
    "answered_only": Formula(_IN_TIME, sum_of("answered"), "Wazo, many wallboards"),
}


def _by_contract(conditions: dict[str, str]) -> str:
    """Return SQL that picks, for each call, the condition of its own contract's formula."""
    formulas: dict[str, list[str]] = {}
    for name, condition in conditions.items():
        formulas.setdefault(condition, []).append(f"'{name}'")
    cases = (f"    WHEN formula IN ({', '.join(names)}) THEN {sql}" for sql, names in formulas.items())
    return "\n".join(("CASE", *cases, "END"))


# more facts about a row of tallies, in addition to those of metrics.kpis.tallies
FACTS = {
    "hit": _by_contract({name: formula.hit for name, formula in FORMULAS.items()}),
    "base": _by_contract({name: formula.base for name, formula in FORMULAS.items()}),
}


MEASURES = (
    *_COUNTS,
    Measure(
        "service_level_hits",
        added(CALLS, "hit"),
        "calls",
        "calls in the numerator of service_level, each judged by its own contract",
    ),
    Measure(
        "service_level_base",
        added(CALLS, "base"),
        "calls",
        "calls in the denominator of service_level, each judged by its own contract",
    ),
    Measure(
        "service_level_asked",
        added(Tally("targets", millionths("target")), "base"),
        "calls, not whole",
        "calls in time required by the contract: the sum of each call's own target, over service_level_base",
    ),
    Measure(
        "service_level_late",
        added(CALLS, "inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only'"),
        "calls",
        "open calls past the threshold that answered_only does not count until they are answered",
    ),
)

_SOURCE = "docs/kpis.md, Service level; contracts differ: see kpi_formulas"
_BOUNDS_SOURCE = "docs/kpis.md, Service level, worst and best"
_UNDEFINED = "no call counts in the denominator"


def _printed_by_formula(system: str, formula: str, how: str) -> Printed:
    return Printed(system, FORMULAS[formula].numerator, FORMULAS[formula].denominator, how)


_ELSEWHERE = (
    Printed(
        "Amazon Connect",
        sum_of("answered_in_threshold", "abandoned_in_threshold", "callback_in_threshold"),
        sum_of("offered", less=("open",)),
        "removed from the queue within T, also by hanging up or asking for a call back / queued; open calls absent",
    ),
    Printed(
        "Genesys Cloud",
        _IN_TIME,
        sum_of("answered", "abandoned", "short_abandoned"),
        "answered<=T / (answered + abandoned), its switches off",
    ),
    Printed(
        "Genesys Cloud, short abandons excluded",
        _IN_TIME,
        sum_of("answered", "abandoned"),
        "answered<=T / (answered + abandoned - short)",
    ),
    _printed_by_formula(
        "Cisco, ignore abandons", "ignore_abandons_in_threshold", "answered<=T / (offered - abandoned<=T)"
    ),
    _printed_by_formula("Cisco, abandons negative", "all_offered", "answered<=T / offered"),
    _printed_by_formula(
        "Cisco, abandons positive", "abandon_counts_as_success", "(answered<=T + abandoned<=T) / offered"
    ),
    Printed(
        "Talkdesk",
        _IN_TIME,
        sum_of("answered", "abandoned", "voicemail", "dropped"),
        "Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded",
    ),
    _printed_by_formula("Wazo", "answered_only", "answered<=T / answered"),
)
KPIS = (
    Kpi(
        "service_level",
        sum_of("service_level_hits"),
        sum_of("service_level_base"),
        RATIO,
        _UNDEFINED,
        _SOURCE,
        f"{FORMULAS['exclude_short'].text}, or the contract's other formula",
        beside=("open_in_threshold",),
        by_contract=True,
        elsewhere=_ELSEWHERE,
    ),
    Kpi(
        "service_level_worst",
        sum_of("service_level_hits"),
        sum_of("service_level_base", "open_in_threshold", "service_level_late"),
        RATIO,
        "no call counts and none is open",
        _BOUNDS_SOURCE,
        "service_level if every open call within T misses it",
        by_contract=True,
        elsewhere=_ELSEWHERE,
    ),
    Kpi(
        "service_level_best",
        sum_of("service_level_hits", "open_in_threshold"),
        sum_of("service_level_base", "open_in_threshold"),
        RATIO,
        "no call counts and none is open within T",
        _BOUNDS_SOURCE,
        "service_level if every open call within T is answered in time",
        by_contract=True,
        elsewhere=_ELSEWHERE,
    ),
)

# for kpi_formulas: the same calls, thresholds and comparators, with each of the formulas
EACH = tuple(
    Kpi(
        name,
        formula.numerator,
        formula.denominator,
        RATIO,
        _UNDEFINED,
        "docs/kpis.md, The five formulas",
        f"as used by {formula.printed_by}",
    )
    for name, formula in FORMULAS.items()
)
