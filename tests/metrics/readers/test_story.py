"""The story of one call: its steps and those of linked calls, from events to what each viewer may see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import Published, Story
from metrics.readers.story import recording_link
from tests.support.floor_file import MANAGER
from tests.support.stories.stream import Desk, at, campaign, configured, read_story

EVENTS = """
07:00:00 profile agent=ana name=Ana site=Rabat
07:00:00 profile agent=bea name=Bea site=Madrid
09:00:00 queued call_id=c1 linked_id=p1 caller=+33123456789
09:00:05 rang call_id=c1 agent=bea
09:00:25 missed call_id=c1 agent=bea
09:00:26 rang call_id=c1 agent=ana
09:00:30 answered call_id=c1 agent=ana
09:01:00 held call_id=c1
09:01:40 resumed call_id=c1
09:02:00 transferred call_id=c1 to_queue=vip
09:02:20 wrapped call_id=c1 disposition=second-level
09:02:00 queued call_id=c2 linked_id=p1 queue=vip campaign=vip
09:02:10 rang call_id=c2 agent=bea
09:02:12 answered call_id=c2 agent=bea
09:05:00 ended call_id=c2 ended_by=customer
09:00:00 queued call_id=c3
"""
SAV = [
    ("queued", "09:00:00", None),
    ("rang", "09:00:05", "Bea"),
    ("missed", "09:00:25", "Bea"),
    ("rang", "09:00:26", "Ana"),
    ("answered", "09:00:30", "Ana"),
    ("held", "09:01:00", "Ana"),
    ("resumed", "09:01:40", "Ana"),
    ("transferred", "09:02:00", "Ana"),
    ("wrapped", "09:02:20", "Ana"),
]
VIP = [
    ("queued", "09:02:00", None),
    ("rang", "09:02:10", "Bea"),
    ("answered", "09:02:12", "Bea"),
    ("ended", "09:05:00", "Bea"),
]
DAY = at("12:00:00").date()
RECORDING = "https://rec.example/{campaign}/{day}?id={call_id}"


@pytest.fixture(scope="module", params=[1_000_000, 1], ids=["in the store", "settled"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    place: Path = tmp_path_factory.mktemp("story")
    configuration = configured(campaign("sav", recording=RECORDING), campaign("vip"))
    desk = Desk(place, configuration, settle_rows=request.param)
    desk.apply(read_story(EVENTS), at("36:00:00"))
    desk.publish(at("36:00:00"))
    yield Published(place / "published" / "vigie.duckdb")
    desk.close()


def told(story: Story | None) -> list[list[tuple[str, str | None, str | None]]]:
    assert story is not None
    return [
        [(step.kind, step.at and f"{step.at:%H:%M:%S}", step.agent) for step in visit.steps] for visit in story.visits
    ]


@pytest.mark.parametrize(("of", "call"), [("sav", "c1"), ("vip", "c2")])
def test_a_call_and_its_linked_calls_are_one_story(reader: Published, of: str, call: str) -> None:
    story = readers.story(reader, MANAGER, of, DAY, call)
    assert told(story) == [SAV, VIP]
    assert story is not None
    sav, vip = story.visits
    assert (sav.wait_s, sav.talk_s, sav.hold_s, sav.wrap_s, sav.disposition) == (30, 50, 40, 20, "second-level")
    assert (sav.caller, sav.recording) == ("+33•••••••89", "https://rec.example/sav/2026-03-10?id=c1")
    assert (vip.queue, vip.ended_by, vip.recording) == ("vip", "customer", None)


def test_linked_calls_of_another_client_are_not_told(reader: Published) -> None:
    manager = Viewer("manager", frozenset({"vip"}))
    assert told(readers.story(reader, manager, "vip", DAY, "c2")) == [VIP]
    assert readers.story(reader, manager, "sav", DAY, "c1") is None
    assert readers.story(reader, manager, "vip", DAY, "c1") is None


def test_a_client_sees_the_wait_and_neither_agents_nor_their_work(reader: Published) -> None:
    story = readers.story(reader, Viewer("client", frozenset({"sav"})), "sav", DAY, "c1")
    assert told(story) == [[("queued", "09:00:00", None), ("answered", "09:00:30", None)]]
    assert story is not None
    (visit,) = story.visits
    hidden = ("agent", "talk_s", "hold_s", "wrap_s", "ended_by", "recording")
    assert [getattr(visit, name) for name in hidden] == [None] * len(hidden)


def test_agents_of_other_sites_have_no_name(reader: Published) -> None:
    manager = Viewer("manager", None, sites=frozenset({"Rabat"}))
    agents = {agent for steps in told(readers.story(reader, manager, "sav", DAY, "c1")) for _kind, _at, agent in steps}
    assert agents == {None, "Ana"}


@pytest.mark.parametrize(
    ("viewer", "of", "day", "call"),
    [
        (MANAGER, "sav", DAY, "no-such"),
        (MANAGER, "sav", DAY.replace(day=9), "c1"),
        (MANAGER, "no-such", DAY, "c1"),
        (Viewer("television", None), "sav", DAY, "c1"),
        (Viewer("client", frozenset()), "sav", DAY, "c1"),
    ],
    ids=["no such call", "another day", "no such campaign", "a television", "a client of nobody"],
)
def test_there_is_no_story(reader: Published, viewer: Viewer, of: str, day: object, call: str) -> None:
    assert readers.story(reader, viewer, of, day, call) is None  # type: ignore[arg-type]


def test_a_call_without_links_is_alone(reader: Published) -> None:
    assert [len(steps) for steps in told(readers.story(reader, MANAGER, "sav", DAY, "c3"))] == [1]


def test_words_of_an_address_are_escaped() -> None:
    call = {"call_id": "a/b?c=d&e", "queue": None, "campaign": "é", "linked_id": "l", "day": DAY}
    link = recording_link("https://rec.example/{call_id}/{queue}/{campaign}", call)
    assert link == "https://rec.example/a%2Fb%3Fc%3Dd%26e//%C3%A9"
