"""All campaigns over a day, a week or a month."""

from datetime import date
from pathlib import Path

import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Term
from metrics.readers import CampaignsPeriod, Published
from tests.support.floor_file import MANAGER
from tests.support.published import Row, at, call, campaign, publish

PARIS = campaign("paris", zone="Europe/Paris", terms=[Term(target=0.9)])
LIMA = campaign("lima", zone="America/Lima")
FIRST, AFTER = date(2026, 11, 16), date(2026, 11, 23)


def calls_of(of: object, *moments: str, wait: float = 5) -> list[Row]:
    return [call(wait=wait, queued=moment, of=of) for moment in moments]  # type: ignore[arg-type]


CALLS = [
    *calls_of(PARIS, "2026-11-15 23:30"),  # Monday in Paris
    *calls_of(PARIS, "2026-11-22 23:30"),  # the next Monday in Paris
    *calls_of(PARIS, "2026-11-18 09:00", "2026-11-18 09:05", wait=99),
    *calls_of(LIMA, "2026-11-16 04:30"),  # Sunday in Lima
    *calls_of(LIMA, "2026-11-23 04:30"),  # Sunday in Lima, the last of the week
]


def read(tmp_path: Path, viewer: Viewer = MANAGER, first: date = FIRST, after: date = AFTER) -> CampaignsPeriod | None:
    publish(tmp_path / "v.duckdb", CALLS, campaigns=[PARIS, LIMA], as_of="2026-11-24 12:00").close()
    return readers.campaigns_in(Published(tmp_path / "v.duckdb"), viewer, first, after)


def test_each_campaign_has_its_own_local_days(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found is not None
    by_name = {row.campaign.campaign: row for row in found.campaigns}
    assert {name: row.kpis.offered for name, row in by_name.items()} == {"paris": 3, "lima": 1}
    paris, lima = by_name["paris"], by_name["lima"]
    assert (paris.t0, paris.t1) == (at("2026-11-15 23:00"), at("2026-11-22 23:00"))
    assert (lima.t0, lima.t1) == (at("2026-11-16 05:00"), at("2026-11-23 05:00"))
    assert (paris.kpis.service_level, paris.kpis.target) == (pytest.approx(1 / 3), 0.9)


def test_the_total_is_the_ratio_of_the_sums(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found is not None
    assert (found.total.offered, found.total.service_level) == (4, 0.5)
    assert found.total.target is None  # the contracts differ


def test_a_viewer_gets_the_total_of_their_campaigns_only(tmp_path: Path) -> None:
    found = read(tmp_path, Viewer("client", frozenset({"paris"})))
    assert found is not None
    assert [row.campaign.campaign for row in found.campaigns] == ["paris"]
    assert (found.total.offered, found.total.target) == (3, 0.9)
    assert found.total.aht_s is None and found.campaigns[0].kpis.aht_s is None


def test_a_day_is_as_on_the_campaigns_page(tmp_path: Path) -> None:
    found = read(tmp_path, first=date(2026, 11, 18), after=date(2026, 11, 19))
    day = readers.day(Published(tmp_path / "v.duckdb"), MANAGER, "paris", day=date(2026, 11, 18))
    assert found is not None and day is not None
    assert {row.campaign.campaign: row.kpis for row in found.campaigns}["paris"] == day.total


def test_a_television_gets_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, Viewer("television", None)) is None


def test_a_period_is_a_month_at_most(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="31 days"):
        read(tmp_path, first=date(2026, 10, 1), after=date(2026, 11, 2))
