"""What each version of Asterisk writes: the same day, as its app_queue.c logs it, gives the same figures.

The lines follow the calls of ast_queue_log() in the sources of the last release of each version, and of the first one
where fields were added between them. docs/sources.md has the table.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.sources import names
from tests.support.stories.queue_log import WINDOW, published
from tests.support.stories.stream import rows

pytestmark = pytest.mark.slow

MAP = names.Names(agents={"ana": names.Agent(interfaces=["SIP/1", "Ana"])})


@dataclass(frozen=True)
class Version:
    """How a version writes what differs: the name of an agent who joins, and lines after `callid queue agent`."""

    joins_as: str = "SIP/1"
    pauses_all_as: str = "Ana"
    enter: str = "ENTERQUEUE||0612345678|1"
    connect: str = "CONNECT|10|1.2|4"
    blind: str = "BLINDTRANSFER|501|default|10|60|1"
    warm: str = "ATTENDEDTRANSFER|BRIDGE|5f1c|10|60|1"
    timeout: str = "EXITWITHTIMEOUT|1|1|60"
    key: str = "EXITWITHKEY|2|1|1|30"
    more: tuple[str, ...] = ()


TRANSFER = "TRANSFER|501|default|10|60|1"
VERSIONS = {
    "1.4": Version(
        pauses_all_as="SIP/1",
        enter="ENTERQUEUE||0612345678",
        connect="CONNECT|10|1.2",
        blind="TRANSFER|501|default|10|60",
        warm="TRANSFER|501|default|10|60",
        timeout="EXITWITHTIMEOUT|1",
        key="EXITWITHKEY|2|1",
    ),
    "1.8.0": Version(
        pauses_all_as="SIP/1", blind=TRANSFER, warm=TRANSFER, timeout="EXITWITHTIMEOUT|1", key="EXITWITHKEY|2|1"
    ),
    "1.8": Version(
        pauses_all_as="SIP/1",
        blind=TRANSFER,
        warm=TRANSFER,
        timeout="EXITWITHTIMEOUT|1",
        more=("08:01:00 NONE q SIP/1 PENALTY|5",),
    ),
    "11": Version(
        joins_as="Ana",  # with log_membername_as_agent
        pauses_all_as="SIP/1",
        blind=TRANSFER,
        warm=TRANSFER,
        more=("08:01:00 NONE q SIP/1 RINGINUSE|0",),
    ),
    "13": Version(more=("08:01:00 NONE NONE NONE CONFIGRELOAD|",)),
    "16": Version(warm="ATTENDEDTRANSFER|LINK|Local/5@x-1;1|Local/5@x-1;2|10|60|1"),
    "18": Version(warm="ATTENDEDTRANSFER|APP|VoiceMail|10|60|1"),
    "20": Version(enter="ENTERQUEUE||0612345678|1|Durand_Jean"),  # with log-caller-id-name
    "22": Version(enter="ENTERQUEUE|||1|Durand", more=("08:01:00 NONE q Ana UNPAUSE|Auto-Unpause",)),
}

FIGURES = f"""SELECT offered, answered, abandoned, overflowed, dropped, open, transferred, asa_s, aht_s
    FROM kpi_campaign{WINDOW} WHERE campaign = 'q'"""


def story(version: Version) -> str:
    """Return a day: two transfers, a talk to its end, an abandoned call, a timeout, a key, and a pause."""
    entries = [
        f"08:00:00 NONE q {version.joins_as} ADDMEMBER|",
        *version.more,
        *(line for n, out in enumerate((version.blind, version.warm, "COMPLETEAGENT|10|60|1"))
          for line in (f"09:{n}0:00 {n}.1 q NONE {version.enter}", f"09:{n}0:10 {n}.1 q Ana {version.connect}",
                       f"09:{n}1:10 {n}.1 q Ana {out}")),
        *(line for n, out in enumerate(("ABANDON|1|1|30", version.timeout, version.key), 3)
          for line in (f"09:{n}0:00 {n}.1 q NONE {version.enter}", f"09:{n}0:30 {n}.1 q NONE {out}")),
        f"11:00:00 NONE NONE {version.pauses_all_as} PAUSEALL|",
        "11:00:00 NONE q Ana PAUSE|lunch",
        f"11:30:00 NONE NONE {version.pauses_all_as} UNPAUSEALL|",
        "11:30:00 NONE q Ana UNPAUSE|",
        f"12:00:00 NONE q {version.joins_as} REMOVEMEMBER|",
    ]  # fmt: skip
    return "\n".join(entries)


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_a_day_as_this_version_writes_it(tmp_path: Path, version: Version) -> None:
    with published(tmp_path / "store", story(version), queue_map=MAP) as reader:
        assert rows(reader, FIGURES) == [
            {
                "offered": 6,
                "answered": 3,
                "abandoned": 1,
                "overflowed": 1,
                "dropped": 1,
                "open": 0,
                "transferred": 2,
                "asa_s": 10,
                "aht_s": 60,
            }
        ]
        agents = rows(reader, f"SELECT agent, handled, paused_s FROM kpi_agent{WINDOW}")
        assert agents == [{"agent": "ana", "handled": 3, "paused_s": 1800}]


WITHDRAWN = "09:00:00 1.1 q NONE ENTERQUEUE|||1\n09:00:30 1.1 q NONE WITHDRAW|1|1|30|to voicemail"
CANCELLED = """09:00:00 1.1 q NONE ENTERQUEUE|||1
    09:00:12 1.1 q Ana RINGCANCELED|7000
    09:00:12 1.1 q NONE ABANDON|1|1|12"""
ADDED = {
    "RINGCANCELED of 16": (CANCELLED, {"outcome": "abandoned", "missed_offers": 0}),
    "WITHDRAW of 16.25, 18.11 and 20": (WITHDRAWN, {"outcome": "overflowed", "missed_offers": 0}),
    "ABANDON of 1.8 and 11, which names the agent who was being connected": (
        "09:00:00 1.1 q NONE ENTERQUEUE|||1\n09:00:12 1.1 q Ana ABANDON|1|1|12",
        {"outcome": "abandoned", "missed_offers": 0},
    ),
}


@pytest.mark.parametrize(("story", "call"), ADDED.values(), ids=ADDED)
def test_an_event_that_some_versions_have(tmp_path: Path, story: str, call: dict[str, object]) -> None:
    with published(tmp_path / "store", story) as reader:
        assert rows(reader, "SELECT outcome, missed_offers FROM calls") == [call]
