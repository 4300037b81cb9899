"""Times in call lists: formats, clocks of several languages, Excel's days, words for never, and the autumn change."""

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.call_list import mapping
from ingest.sources.events import Rejected
from ingest.sources.input import never
from ingest.sources.input.instants import Cells, Instants
from tests.support.stories.call_lists import PLAIN, events_of, loaded, row, with_setting

PARIS = "Europe/Paris"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> mapping.Mapping:
    return loaded(tmp_path_factory.mktemp("plain"), PLAIN)


TWELVE = "%d/%m/%Y %I:%M:%S %p"
INSTANTS = {
    "iso": ("iso", "2026-07-10 09:00:00", "2026-07-10T07:00:00Z"),
    "iso with an offset": ("iso", "2026-07-10T09:00:00-05:00", "2026-07-10T14:00:00Z"),
    "iso of BigQuery": ("iso", "2026-07-10 09:00:00 UTC", "2026-07-10T09:00:00Z"),
    "iso of Postgres": ("iso", "2026-07-10 09:00:00.25+00", "2026-07-10T09:00:00.250000Z"),
    "French": ("%d/%m/%Y %H:%M:%S", "10/07/2026 09:00:00", "2026-07-10T07:00:00Z"),
    "French, in words": ("%d %B %Y à %Hh%M", "10 févr. 2026 à 09h05", "2026-02-10T08:05:00Z"),
    "Spanish, in words": ("%A, %d de %B de %Y %H:%M", "martes, 10 de marzo de 2026 9:05", "2026-03-10T08:05:00Z"),
    "with an offset": ("%d.%m.%Y %H:%M %z", "10.07.2026 09:00 +0300", "2026-07-10T06:00:00Z"),
    "seconds": ("epoch", "1773133200", "2026-03-10T09:00:00Z"),
    "milliseconds": ("epoch", "1773133200250", "2026-03-10T09:00:00.250000Z"),
    "microseconds": ("epoch", "1773133200250000", "2026-03-10T09:00:00.250000Z"),
    "Excel": ("excel", "46091.378472222", "2026-03-10T08:05:00Z"),
    "Excel, French": ("excel", "46091,378472222", "2026-03-10T08:05:00Z"),
    "Excel, midnight": ("excel", "46091", "2026-03-09T23:00:00Z"),
    "Excel since 1904": ("excel-1904", "44629.378472222", "2026-03-10T08:05:00Z"),
    "Spanish, morning": (TWELVE, "10/03/2026 09:05:00 a. m.", "2026-03-10T08:05:00Z"),
    "Spanish, no-break space": (TWELVE, "10/03/2026 09:05:00 p.\u00a0m.", "2026-03-10T20:05:00Z"),
    "Spanish, narrow spaces": (TWELVE, "10/03/2026 9:05:00\u202fa.\u202fm.", "2026-03-10T08:05:00Z"),
    "Mexican": (TWELVE, "10/03/2026 09:05:00 P.M.", "2026-03-10T20:05:00Z"),
    "noon": (TWELVE, "10/03/2026 12:10:00 p. m.", "2026-03-10T11:10:00Z"),
    "midnight": (TWELVE, "10/03/2026 12:00:30 a. m.", "2026-03-09T23:00:30Z"),
    "midnight as 0": (TWELVE, "10/03/2026 00:00:30 a. m.", "2026-03-09T23:00:30Z"),
    "no space before it": (TWELVE, "10/03/2026 09:05:00PM", "2026-03-10T20:05:00Z"),
    "%H beside %p": ("%d/%m/%Y %H:%M:%S %p", "10/03/2026 09:05:00 pm", "2026-03-10T20:05:00Z"),
    "iso, twelve hours": ("iso", "2026-03-10 09:05:00 p. m.", "2026-03-10T20:05:00Z"),
    "marks of the direction of writing": (TWELVE, "\u200e10/03/2026 \u200f09:05:00 am", "2026-03-10T08:05:00Z"),
}


@pytest.mark.parametrize(("form", "text", "instant"), INSTANTS.values(), ids=INSTANTS)
def test_instants(tmp_path: Path, form: str, text: str, instant: str) -> None:
    mapped = loaded(tmp_path, with_setting(f'instants = "{form}"'))
    assert events_of(row(at=text), mapped)[0]["ts"] == instant


@pytest.mark.parametrize("text", ["10/03/2026 13:05:00 a. m.", "10/03/2026 09:05:00", "31/02/2026 09:05:00 am"])
def test_a_time_that_contradicts_its_format_is_rejected(tmp_path: Path, text: str) -> None:
    (rejected,) = events_of(row(at=text), loaded(tmp_path, with_setting(f'instants = "{TWELVE}"')))
    assert rejected.reason == f"queued_at: not a time in the format {TWELVE}."


DURATIONS = {
    **{"45": 45, "45,5": 45.5, "1:05": 65, "00:01:05": 65, "10:00:00": 36_000, "2:03.5": 123.5, "0": 0},
    **{"1899-12-30 00:00:25": 25, "1 045": 1045},
}


def waited_s(text: str, mapped: mapping.Mapping) -> float:
    (left,) = [e for e in events_of(row(wait=text), mapped) if e["type"] == "call.abandoned"]
    return (dt.datetime.fromisoformat(left["ts"]) - dt.datetime(2026, 3, 10, 8, tzinfo=dt.UTC)).total_seconds()


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations(plain: mapping.Mapping, text: str, seconds: float) -> None:
    assert waited_s(text, plain) == seconds


@pytest.mark.parametrize(
    ("setting", "text", "seconds"),
    [
        ('durations = "days"', "0,000289352", 25.0),
        ('durations = "days"', "0:00:25", 25),
        ('durations = "milliseconds"', "25500", 25.5),
        ('durations = "minutes"', "1.5", 90),
        ('decimal = ","', "1.249,5", 1249.5),
        ('decimal = "."', "1,249.5", 1249.5),
        ('decimal = "."', "1,249", 1249),
    ],
)
def test_durations_by_settings(tmp_path: Path, setting: str, text: str, seconds: float) -> None:
    assert waited_s(text, loaded(tmp_path, with_setting(setting))) == seconds


def steps_of(events: list[Any]) -> dict[str, float]:
    """Return how long after the beginning each event happened, by its type [s]."""
    at = {e["type"]: dt.datetime.fromisoformat(e["ts"]) for e in events}
    return {type: (moment - at["call.queued"]).total_seconds() for type, moment in at.items()}


# Never

NEVER = [
    *("0", "0.0", "", "NULL", "null", "(NULL)", "(null)", "\\N", "[NULL]", " NULL ", "-"),
    *("0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00Z", "00/00/0000 00:00"),
    *("1970-01-01", "1970-01-01 00:00:00", "1970-01-01 01:00:00", "1969-12-31T19:00:00-05:00", "01/01/1970 01:00"),
    *("0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01 00:09:21", "1/1/0001 12:00:00 AM"),
    *("1899-12-30", "1899-12-30 00:00:00", "30/12/1899 00:00:00", "12/30/1899", "1899-12-29 23:45:16"),
    *("9999-12-31 23:59:59", "00:00:00"),
]


@pytest.mark.parametrize("text", NEVER)
def test_what_means_never_in_a_column_of_times(plain: mapping.Mapping, text: str) -> None:
    data = row(answered=text, ended="2026-03-10 09:00:45", wait="")
    assert steps_of(events_of(data, plain)) == {"call.queued": 0, "call.abandoned": 45}


@pytest.mark.parametrize("text", [text for text in NEVER if text not in ("00:00:00", "-")])
def test_never_as_a_word(text: str) -> None:
    assert never.is_never(text)


@pytest.mark.parametrize(
    "text", ["00:00:00", "10", "2026-03-10 00:00:00", "01/01/2026", "1970", "no", "N", "nullo", "-"]
)
def test_other_words(text: str) -> None:
    assert not never.is_never(text)
    assert not never.is_none_word(text)


@pytest.mark.parametrize("text", ["0", "0000-00-00", "1970-01-01"])
def test_a_zero_is_a_value_where_no_time_is(text: str) -> None:
    assert not never.is_none_word(text)


@pytest.mark.parametrize("form", ["epoch", "excel", "%d/%m/%Y %H:%M:%S"])
@pytest.mark.parametrize("text", ["0", "NULL", "0000-00-00 00:00:00"])
def test_never_in_any_format(tmp_path: Path, form: str, text: str) -> None:
    (rejected,) = events_of(row(at=text), loaded(tmp_path, with_setting(f'instants = "{form}"')))
    assert rejected.reason == "The call has no beginning."


@pytest.mark.parametrize("text", ["-62135596800", "-1", "3600"])
def test_never_since_1970(tmp_path: Path, text: str) -> None:
    (rejected,) = events_of(row(at=text), loaded(tmp_path, with_setting('instants = "epoch"')))
    assert rejected.reason == "The call has no beginning."


# A time of day, with the date in another column

APART = PLAIN.replace('queued_at = "at"', 'queued_at = ["queue", "at"]').replace(
    'queue = "queue"\n', 'campaign = "agent"\n'
)
SHARED = APART.replace('"answered"', '["queue", "answered"]').replace('"ended"', '["queue", "ended"]')
OF_DAY = {
    "times alone": (APART, "10/03/2026", "09:05:00", "09:05:12", "09:08:12", 12, 180),
    "times alone, twelve hours": (APART, "10/03/2026", "09:05:00 p. m.", "09:05:12 p. m.", "9:08:12 p. m.", 12, 180),
    "times alone, past midnight": (APART, "10/03/2026", "23:59:50", "00:00:10", "00:05:10", 20, 300),
    "midnight itself": (APART, "10/03/2026", "23:59:50", "00:00:00", "00:05:00", 10, 300),
    "the date for all": (SHARED, "10/03/2026", "09:05:00", "09:05:12", "09:08:12", 12, 180),
    "the date for all, past midnight": (SHARED, "10/03/2026", "23:59:50", "00:00:10", "00:05:10", 20, 300),
    "fractions of a day": (SHARED, "10/03/2026", "0,378472222", "0.378611111", "0.380694444", 12, 180),
    "a date with its midnight": (SHARED, "10/03/2026 00:00:00", "09:05:00", "09:05:12", "09:08:12", 12, 180),
    "times with a zero date": (
        *(SHARED, "10/03/2026", "30/12/1899 09:05:00", "1899-12-30 09:05:12", "30/12/1899 09:08:12", 12, 180),
    ),
    "never answered": (SHARED, "10/03/2026", "09:05:00", "", "09:05:45", 45, None),
    "never answered, as midnight": (SHARED, "10/03/2026", "09:05:00", "00:00:00", "09:05:45", 45, None),
    "never answered, as midnight alone": (APART, "10/03/2026", "09:05:00", "00:00:00", "09:05:45", 45, None),
}


@pytest.mark.parametrize(("text", "date", "at", "answered", "ended", "wait_s", "talk_s"), OF_DAY.values(), ids=OF_DAY)
def test_a_time_of_day_is_on_the_date_of_the_call(
    tmp_path: Path, text: str, date: str, at: str, answered: str, ended: str, wait_s: float, talk_s: float | None
) -> None:
    mapped = loaded(tmp_path, text.replace("[file]", '[file]\ninstants = "%d/%m/%Y %H:%M:%S"'))
    data = row(queue=date, at=at, answered=answered, ended=ended, agent="c")
    ends = {"call.abandoned": wait_s} if talk_s is None else {"call.answered": wait_s, "call.ended": wait_s + talk_s}
    assert steps_of(events_of(data, mapped)) == {"call.queued": 0, **ends}


def test_a_day_and_a_fraction_from_excel(tmp_path: Path) -> None:
    mapped = loaded(tmp_path, SHARED.replace("[file]", '[file]\ninstants = "excel"'))
    data = row(queue="46091", at="0.378472222", answered="0.378611111", ended="0", agent="c")
    assert [e["ts"] for e in events_of(data, mapped)[:2]] == ["2026-03-10T08:05:00Z", "2026-03-10T08:05:12Z"]


def test_a_beginning_without_a_date_is_rejected(plain: mapping.Mapping) -> None:
    (rejected,) = events_of(row(at="09:05:00"), plain)
    assert rejected.reason == "queued_at: a time without a date; name the column of the date before that of the time."


# The hour that comes twice in autumn: 03:00 is 02:00 once more, at 01:00 UTC on 2026-10-25

TWICE: dict[str, tuple[dict[str, str], list[str]]] = {
    "answered in the second hour": (
        {"at": "02:59:50", "answered": "02:00:10", "ended": "02:05:10"},
        ["00:59:50", "01:00:10", "01:05:10"],
    ),
    "all in one hour: the first": (
        {"at": "02:30:00", "answered": "02:30:15", "ended": "02:40:15"},
        ["00:30:00", "00:30:15", "00:40:15"],
    ),
    "begun before": (
        {"at": "01:59:00", "answered": "02:00:00", "ended": "03:05:00"},
        ["23:59:00", "00:00:00", "02:05:00"],
    ),
    "begun in the hour, answered after it: the shorter wait": (
        {"at": "02:59:50", "answered": "03:00:10"},
        ["01:59:50", "02:00:10"],
    ),
    "the durations decide": (
        {"at": "02:30:00", "ended": "03:35:00", "wait": "15", "talk": "7485", "outcome": "answered"},
        ["00:30:00", "00:30:15", "02:35:00"],
    ),
}


@pytest.mark.parametrize(("cells", "expected"), TWICE.values(), ids=TWICE)
def test_the_times_of_a_row_stay_in_order(plain: mapping.Mapping, cells: dict[str, str], expected: list[str]) -> None:
    times = {name: f"2026-10-25 {text}" if ":" in text else text for name, text in cells.items()}
    events = [e for e in events_of(row(**times), plain) if e["event_id"].endswith((":queued", ":outcome", ":end"))]
    assert [
        e["ts"][11:19] for e in events if e["event_id"].endswith(":queued") or e["type"] != "call.queued"
    ] == expected


def test_a_time_that_the_clocks_skip_in_spring_is_rejected(plain: mapping.Mapping) -> None:
    (rejected,) = events_of(row(at="2026-03-29 02:30:00", wait="9"), plain)
    assert rejected.reason == "queued_at: a time that the clocks skip in Europe/Paris; check timezone under [file]."


@given(st.integers(0, 5 * 3600), st.tuples(*[st.integers(0, 1500)] * 2))
def test_a_call_of_less_than_an_hour_keeps_its_durations(begins_s: int, steps: tuple[int, int]) -> None:
    zone = mapping.ZoneInfo(PARIS)
    at = [dt.datetime(2026, 10, 24, 22, tzinfo=dt.UTC) + dt.timedelta(seconds=begins_s)]
    for step in steps:
        at.append(at[-1] + dt.timedelta(seconds=step))
    texts = [str(moment.astimezone(zone).replace(tzinfo=None)) for moment in at]
    fields = ("queued_at", "answered_at", "ended_at")
    read: Any = Instants("iso", zone).of_row({f: Cells([t]) for f, t in zip(fields, texts, strict=True)}, {})
    found = [read[field] for field in fields]
    assert [later - before for before, later in itertools.pairwise(found)] == [dt.timedelta(seconds=s) for s in steps]


def test_a_list_that_runs_backwards_gives_the_same_calls(plain: mapping.Mapping) -> None:
    lines = b"".join(row(id=str(n), at=f"2026-03-10 09:0{n}:00", wait="9").split(b"\n", 1)[1] for n in range(5))
    header = row().split(b"\n", 1)[0] + b"\n"
    backwards = b"\n".join(reversed(lines.splitlines())) + b"\n"
    forth, back = (sorted(events_of(header + text, plain), key=str) for text in (lines, backwards))
    assert forth == back


@pytest.mark.parametrize(("wait", "is_refused"), [("9", False), ("10", True)], ids=["equal", "different"])
def test_two_rows_of_one_call(plain: mapping.Mapping, wait: str, is_refused: bool) -> None:
    first, second = (row(wait=seconds).split(b"\n", 1) for seconds in ("9", wait))
    found = events_of(first[0] + b"\n" + first[1] + second[1], plain)
    refused = [result for result in found if isinstance(result, Rejected)]
    assert len(found) - len(refused) == len(events_of(row(wait="9"), plain))
    assert [r.reason.split(";")[0] for r in refused] == [
        "Another row with this call's id says something else"
    ] * is_refused
