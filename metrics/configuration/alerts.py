"""Alert rules: `[[alerts]]` in campaigns.toml. What a key means is in docs/alerts.md.

A rule that can never fire or never end is refused, like everything that is wrong in the file.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from metrics.configuration.toml_table import Table
from metrics.kpis.alert_figures import FIGURES, SEVERITIES, WATCHED_S, AlertFigure

Comparison = Literal["below", "above"]

THRESHOLDS: Mapping[str, tuple[Comparison, bool]] = {
    "below": ("below", False),
    "above": ("above", False),
    "below_usual": ("below", True),
    "above_usual": ("above", True),
}
"""The keys that give the threshold: the side on which the rule fires, and whether it is relative to what is usual."""
RANGES = {"ratio 0–1": (0.0, 1.0), "ratio": (-1.0, 1.0)}
"""The lowest and highest value of a figure, by unit. Other units have no highest value."""
HIGHEST = {"source_silent_s": WATCHED_S}
"""The highest value of a figure whose unit has none."""
LONGEST_S = 7 * 86_400
MOST = 1e9
LEAST_CALLS = 10
"""Least number of calls of a figure that is computed from calls, unless the rule has its own."""
KEYS = (
    *("name", "figure", *THRESHOLDS, "end_threshold", "for_s", "min_calls", "campaigns", "clients", "sites"),
    *("sources", "severity", "notify", "escalate", "escalate_after_s", "repeat_after_s", "quiet_when_closed"),
)


@dataclass(frozen=True)
class Bounds:
    """What bounds a campaign's figures: its lowest and highest target, and the longest that a call can wait [s]."""

    lowest_target: float
    highest_target: float
    give_up_after_s: float


@dataclass(frozen=True)
class AlertRule:
    """One rule. `threshold` and `end_threshold` are in the figure's unit; with `by_usual`, ratios of the usual value.

    With `by_usual`, 0.3 below means less than 70 % of what is usual. `campaigns` None: all of them, also campaigns that
    only events name; `sites` and `sources` None: all of them. `repeat_after_s` None: a notification is not repeated.
    """

    name: str
    figure: str
    comparison: Comparison
    threshold: float
    end_threshold: float
    by_usual: bool = False
    for_s: float = 60.0
    min_calls: int = 0
    campaigns: frozenset[str] | None = None
    sites: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    severity: str = "warning"
    notify: tuple[str, ...] = ()
    escalate: tuple[str, ...] = ()
    escalate_after_s: float | None = None
    repeat_after_s: float | None = None
    quiet_when_closed: bool = True

    def limits(self, usual: float | None) -> tuple[float, float] | None:
        """Return the threshold and the end threshold in the figure's unit; None: what is usual is not known."""
        if not self.by_usual:
            return self.threshold, self.end_threshold
        if usual is None:
            return None
        sign = -1 if self.comparison == "below" else 1
        return usual * (1 + sign * self.threshold), usual * (1 + sign * self.end_threshold)


def alerts_of(
    top: Table,
    clients_of: Mapping[str, str],
    clients: Collection[str],
    groups: Iterable[str],
    bounds: Mapping[str, Bounds],
    of_others: Bounds,
) -> tuple[AlertRule, ...]:
    """Read the rules. `clients_of` maps each campaign to its client; `groups` are those who can be notified.

    `bounds` are those of each campaign; `of_others`: of the campaigns that only events name.
    """
    groups = tuple(groups)
    rules: dict[str, AlertRule] = {}
    for table in top.array("alerts"):
        rule = _rule(table, clients_of, clients, groups)
        watched = (
            {**bounds, "": of_others} if rule.campaigns is None else {c: bounds[c] for c in sorted(rule.campaigns)}
        )
        if FIGURES[rule.figure].unit == "ratio":
            _refuse_endless(table, rule, watched)
        if rule.figure == "longest_wait_s":
            _refuse_longer_than_any_wait(table, rule, max(its.give_up_after_s for its in watched.values()))
        if rule.name in rules:
            table.refuse(("name",), f'a rule is called "{rule.name}" already, allowed is each name once')
        rules[rule.name] = rule
    return tuple(rules.values())


def _rule(table: Table, clients_of: Mapping[str, str], clients: Collection[str], groups: tuple[str, ...]) -> AlertRule:
    table.allow(*KEYS)
    name = str(
        table.take("name", None, lambda v: isinstance(v, str) and 0 < len(v.strip()) <= 64, "1 to 64 characters")
    )
    table.refuse_hidden("name", name)
    figure_name = table.choice("figure", None, FIGURES)
    figure = FIGURES[figure_name]
    comparison, by_usual, threshold, end_threshold = _thresholds(table, figure_name, figure)
    is_of_campaigns = figure.about in ("campaign", "agents")
    _refuse_keys(
        table, is_of_campaigns, ("campaigns", "clients", "quiet_when_closed"), f"`{figure_name}` is about no campaign"
    )
    on_agents = [other for other, its in FIGURES.items() if its.about == "agents"]
    on_calls = [other for other, its in FIGURES.items() if its.has_calls]
    _refuse_keys(table, figure.about == "agents", ("sites",), f"`{figure_name}` does not count agents", on_agents)
    _refuse_keys(
        table, figure.about == "source", ("sources",), f"`{figure_name}` is about no source", ["source_silent_s"]
    )
    _refuse_keys(table, figure.has_calls, ("min_calls",), f"`{figure_name}` is not computed from calls", on_calls)
    _refuse_keys(table, "escalate" in table.values, ("escalate_after_s",), "there is no `escalate`")
    for key in ("campaigns", "clients", "sites", "sources"):
        if table.values.get(key) == []:
            table.refuse((key,), f"`{key}` is empty, and the rule watches nothing; allowed is a list that is not empty")
    campaigns = set(table.texts("campaigns", clients_of))
    of_clients = table.texts("clients", clients)
    campaigns |= {campaign for campaign, client in clients_of.items() if client in of_clients}
    limits_campaigns = "campaigns" in table.values or "clients" in table.values
    if limits_campaigns and not campaigns:
        what = "`clients` names none with a campaign, and the rule watches nothing"
        table.refuse(("clients",), f"{what}; allowed are clients of campaigns")
    for_s = table.number("for_s", AlertRule.for_s, 0, LONGEST_S)
    if comparison == "above" and threshold + for_s >= HIGHEST.get(figure_name, inf):
        what = f"`for_s` is {for_s:g}, and a source is not watched any more by then, after a week without an event"
        table.refuse(("for_s",), f"{what}; allowed is less than {HIGHEST[figure_name] - threshold:g}")
    sites = table.texts("sites")
    sources = table.texts("sources")
    escalate = table.texts("escalate", groups)
    return AlertRule(
        name=name,
        figure=figure_name,
        comparison=comparison,
        threshold=threshold,
        end_threshold=end_threshold,
        by_usual=by_usual,
        for_s=for_s,
        min_calls=table.count("min_calls", LEAST_CALLS, 1, 1_000_000) if figure.has_calls else 0,
        campaigns=frozenset(campaigns) if limits_campaigns else None,
        sites=frozenset(sites) if "sites" in table.values else None,
        sources=frozenset(sources) if "sources" in table.values else None,
        severity=table.choice("severity", AlertRule.severity, SEVERITIES),
        notify=table.texts("notify", groups),
        escalate=escalate,
        escalate_after_s=table.number("escalate_after_s", 600, 60, LONGEST_S) if escalate else None,
        repeat_after_s=table.number("repeat_after_s", 0, 60, LONGEST_S) if "repeat_after_s" in table.values else None,
        quiet_when_closed=table.flag("quiet_when_closed", True) if is_of_campaigns else False,
    )


def _thresholds(table: Table, name: str, figure: AlertFigure) -> tuple[Comparison, bool, float, float]:
    given = [key for key in THRESHOLDS if key in table.values]
    allowed = [key for key, (_, by_usual) in THRESHOLDS.items() if figure.has_usual or not by_usual]
    if len(given) != 1 or given[0] not in allowed:
        what = f"`{given[0]}` is not known for `{name}`" if len(given) == 1 else f"{len(given)} thresholds are given"
        table.refuse(given[-1:], f"{what}, allowed is one of {', '.join(allowed)}")
    (key,) = given
    comparison, by_usual = THRESHOLDS[key]
    low, high = RANGES.get(figure.unit, (0.0, HIGHEST.get(name, inf)))
    if by_usual:  # below what is usual by less than all of it, or above it by any share
        low, high = 0.0, 1.0 if comparison == "below" else inf
    threshold = table.number(key, 0, low, min(high, MOST))
    if threshold == (high if by_usual or comparison == "above" else low):
        table.refuse((key,), f"`{key}` is {threshold:g}, and `{name}` is never {comparison} that")
    # with `by_usual`, the threshold is a distance from what is usual, so the end is nearer to it on both sides
    ends_higher = comparison == "below" and not by_usual
    end = table.number("end_threshold", threshold, low, min(high, MOST))
    if end < threshold if ends_higher else end > threshold:
        what = f"`end_threshold` is {end:g}, so the rule would end before it fires"
        side = "least" if ends_higher else "most"
        table.refuse(("end_threshold",), f"{what}, allowed is at {side} `{key}` ({threshold:g})")
    return comparison, by_usual, threshold, end


def _refuse_longer_than_any_wait(table: Table, rule: AlertRule, longest_s: float) -> None:
    """Refuse a rule that would fire only after every call that waits was given up."""
    if rule.comparison == "above" and rule.threshold + rule.for_s >= longest_s:
        key = "above" if rule.threshold >= longest_s else "for_s"
        less = longest_s if key == "above" else longest_s - rule.threshold
        given = table.values.get(key, rule.for_s)
        what = f"a call that waits is given up after {longest_s:g} s (`give_up_after_s`), and the rule never fires"
        table.refuse((key,), f"`{key}` is {given:g}, but {what}; allowed is less than {less:g}")


def _refuse_endless(table: Table, rule: AlertRule, bounds: Mapping[str, Bounds]) -> None:
    """Refuse a rule on a level minus its target that never fires, or never ends in a campaign where it can fire."""
    (key,) = (key for key in THRESHOLDS if key in table.values)
    is_below = rule.comparison == "below"
    ranges = {name: (round(-its.highest_target, 9), round(1 - its.lowest_target, 9)) for name, its in bounds.items()}
    fires = {
        name: (low, high)
        for name, (low, high) in ranges.items()
        if (rule.threshold > low if is_below else rule.threshold < high)
    }
    if not fires:
        bound = min(low for low, _ in ranges.values()) if is_below else max(high for _, high in ranges.values())
        never = f"with these targets, `{rule.figure}` is never {rule.comparison} that"
        side = "more" if is_below else "less"
        table.refuse((key,), f"`{key}` is {rule.threshold:g}, and {never}; allowed is {side} than {bound:g}")
    name = min(fires, key=lambda n: fires[n][1]) if is_below else max(fires, key=lambda n: fires[n][0])
    low, high = fires[name]
    if rule.end_threshold > high if is_below else rule.end_threshold < low:
        key = "end_threshold" if "end_threshold" in table.values else key
        whose = f"campaign {name}" if name else "a campaign that only events name"
        what = f"`{key}` is {rule.end_threshold:g}, and by its targets {whose} never comes back to that"
        allowed = f"at most {high:g}" if is_below else f"at least {low:g}"
        table.refuse((key,), f"{what}; allowed is {allowed}, or other campaigns")


def _refuse_keys(table: Table, may_have: bool, keys: Iterable[str], why: str, figures: Iterable[str] = ()) -> None:
    """Refuse the keys unless the rule may have them; `figures` are those whose rules may."""
    or_on = f", or one on {', '.join(figures)}" if figures else ""
    for key in keys:
        if key in table.values and not may_have:
            table.refuse((key,), f"`{key}` is set, but {why}; allowed is a rule without it{or_on}")
