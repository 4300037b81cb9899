"""From events to a call, docs/kpis.md rule by rule: stories that a floor manager could have written.

Each story is folded under names of its own (calls, agents and events), all of them in one store, and read from the
published file. By default the call is c1 of campaign `sav` (T 20 s, short below 5 s), as of 20:00:00.
"""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from metrics.configuration.campaigns import Term
from tests.support.stories.stream import DAY, Desk, Event, at, campaign, configured, folded, local, read_story, rows

AS_OF = at("20:00:00")
RENEGOTIATED = local("2026-03-10 12:00")
TIMES = (
    *("queued_at", "answered_at", "abandoned_at", "ended_at", "wrapped_at", "left_at", "dialed_at", "connected_at"),
    "held_since",
)

CONFIGURATION = configured(
    campaign("sav"),
    campaign("strict", "UTC", Term(wait_at_threshold_counts=False, short_abandon_s=10, threshold_s=30)),
    campaign("brief", "UTC", give_up_after_s=600),
    campaign(
        "paris",
        "Europe/Paris",
        Term(valid_to=RENEGOTIATED, threshold_s=60),
        Term(valid_from=RENEGOTIATED, threshold_s=10),
    ),
    campaign("casa", "Africa/Casablanca"),
    campaign("madrid", "Europe/Madrid"),
)

Story = tuple[str, str, dict[str, Any]]

STORIES: list[Story] = [
    # How a call is answered and handled ------------------------------------------------------------------------------
    (
        "queued, answered, ended, wrapped",
        """
        09:00:00 queued
        09:00:12 answered agent=amina
        09:03:12 ended ended_by=customer
        09:03:42 wrapped disposition=solved
        """,
        {
            "linked_id": "c1",
            "campaign": "sav",
            "queue": "main",
            "direction": "inbound",
            "channel": "voice",
            "agent": "amina",
            "outcome": "answered",
            "queued_at": "09:00:00",
            "answered_at": "09:00:12",
            "ended_at": "09:03:12",
            "wrapped_at": "09:03:42",
            "wait_s": 12,
            "talk_s": 180,
            "hold_s": 0,
            "wrap_s": 30,
            "handle_s": 210,
            "ended_by": "customer",
            "disposition": "solved",
            "inferred_end": False,
            "clock_skew": False,
            "transferred": False,
            "in_threshold": True,
            "day": dt.date(2026, 3, 10),
        },
    ),
    (
        "an answered call that still talks has no talk yet",
        "19:59:00 queued \n 19:59:05 answered agent=amina",
        {"outcome": "answered", "wait_s": 5, "talk_s": None, "hold_s": None, "wrap_s": None, "handle_s": None}
        | {"ended_at": None, "inferred_end": False},
    ),
    (
        "an answered call on hold has no hold yet",
        "19:59:00 queued \n 19:59:05 answered agent=amina \n 19:59:30 held",
        {"outcome": "answered", "talk_s": None, "hold_s": None, "handle_s": None},
    ),
    (
        "answered at once: a wait of 0 is a wait",
        "09:00:00 queued \n 09:00:00 answered agent=amina \n 09:01:00 ended",
        {"wait_s": 0, "in_threshold": True, "clock_skew": False},
    ),
    (
        "answered by nobody in particular",
        "09:00:00 queued \n 09:00:10 answered",
        {"agent": None, "outcome": "answered"},
    ),
    (
        "no wrap-up reported is 0 s of wrap-up",
        "09:00:00 queued \n 09:00:10 answered \n 09:01:00 ended",
        {"wrap_s": 0, "handle_s": 50, "wrapped_at": None},
    ),
    (
        "microseconds are kept",
        "09:00:00 queued \n 09:00:00.000001 answered \n 09:00:01.500003 ended",
        {"wait_s": 0.000001, "talk_s": 1.500002},
    ),
    # The threshold and the short abandon -----------------------------------------------------------------------------
    ("a wait of exactly T is in time", "09:00:00 queued \n 09:00:20 answered", {"wait_s": 20, "in_threshold": True}),
    (
        "a microsecond past T is late",
        "09:00:00 queued \n 09:00:20.000001 answered",
        {"wait_s": 20.000001, "in_threshold": False},
    ),
    (
        "a wait of exactly T is late where the contract says so",
        "09:00:00 queued campaign=strict \n 09:00:30 answered",
        {"wait_s": 30, "threshold_s": 30, "in_threshold": False},
    ),
    (
        "a microsecond before T is in time there",
        "09:00:00 queued campaign=strict \n 09:00:29.999999 answered",
        {"in_threshold": True},
    ),
    (
        "abandoned after 4.999999 s is short",
        "09:00:00 queued \n 09:00:04.999999 abandoned",
        {"outcome": "short_abandoned"},
    ),
    ("abandoned after exactly 5 s is not short", "09:00:00 queued \n 09:00:05 abandoned", {"outcome": "abandoned"}),
    (
        "a contract's own short limit",
        "09:00:00 queued campaign=strict \n 09:00:09.5 abandoned",
        {"outcome": "short_abandoned", "short_abandon_s": 10},
    ),
    (
        "abandoned at once is short",
        "09:00:00 queued \n 09:00:00 abandoned",
        {"outcome": "short_abandoned", "wait_s": 0},
    ),
    ("abandoned at exactly T is in T", "09:00:00 queued \n 09:00:20 abandoned", {"in_threshold": True}),
    (
        "abandoned, nobody knows when: no wait, neither short nor in T",
        "09:00:00 queued \n 09:00:00 abandoned wait_unknown=true",
        {"outcome": "abandoned", "wait_s": None, "in_threshold": None, "abandoned_at": None, "clock_skew": False},
    ),
    (
        "abandoned, and the source says that it knows when",
        "09:00:00 queued \n 09:00:03 abandoned wait_unknown=false",
        {"outcome": "short_abandoned", "wait_s": 3, "abandoned_at": "09:00:03"},
    ),
    (
        "abandoned at two instants: the earlier event says whether the wait is known",
        "09:00:00 queued \n 09:00:10 abandoned wait_unknown=true \n 09:00:30 abandoned",
        {"outcome": "abandoned", "wait_s": None},
    ),
    (
        "abandoned, nobody knows when, and left at a known instant",
        "09:00:00 queued \n 09:00:10 left_queue reason=timeout \n 09:00:30 abandoned wait_unknown=true",
        {"outcome": "abandoned", "wait_s": None, "left_at": "09:00:10"},
    ),
    (
        "answered in the end: when it was abandoned does not matter",
        "09:00:00 queued \n 09:00:00 abandoned wait_unknown=true \n 09:00:31 answered agent=amina \n 09:05:31 ended",
        {"outcome": "answered", "wait_s": 31, "abandoned_at": None},
    ),
    (
        "answered, nobody knows when: no wait, not in T, and talk is known",
        "09:00:00 queued \n 09:00:00 answered agent=amina wait_unknown=true \n 09:01:00 ended",
        {"outcome": "answered", "wait_s": None, "in_threshold": None, "talk_s": 60, "clock_skew": False},
    ),
    (
        "answered, and the source says that it knows when",
        "09:00:00 queued \n 09:00:03 answered agent=amina wait_unknown=false \n 09:01:00 ended",
        {"outcome": "answered", "wait_s": 3, "in_threshold": True},
    ),
    (
        "answered at two instants: the earlier event says whether the wait is known",
        "09:00:00 queued \n 09:00:02 answered agent=amina \n 09:00:05 answered agent=amina wait_unknown=true",
        {"outcome": "answered", "wait_s": 2},
    ),
    (
        "overflowed, nobody knows when",
        "09:00:00 queued \n 09:00:00 left_queue reason=overflow wait_unknown=true",
        {"outcome": "overflowed", "wait_s": None, "in_threshold": None, "left_at": None, "left_reason": "overflow"},
    ),
    (
        "timed out, nobody knows when: no end is inferred",
        "09:00:00 queued \n 09:00:00 left_queue reason=timeout wait_unknown=true",
        {"outcome": "dropped", "wait_s": None, "inferred_end": False},
    ),
    (
        "left at two instants: the earlier event says whether the wait is known",
        "09:00:00 queued \n 09:00:10 left_queue reason=timeout wait_unknown=true \n 09:00:30 left_queue reason=timeout",
        {"outcome": "dropped", "wait_s": None, "left_at": None},
    ),
    # Outcomes, the first that applies --------------------------------------------------------------------------------
    *(
        (
            f"left the queue for {reason} is {outcome}",
            f"09:00:00 queued \n 09:01:00 left_queue reason={reason}",
            {"outcome": outcome, "wait_s": 60, "left_at": "09:01:00", "inferred_end": False},
        )
        for reason, outcome in {
            "overflow": "overflowed",
            "callback": "callback",
            "voicemail": "voicemail",
            "closed": "refused",
            "full": "refused",
            "no_agents": "refused",
            "timeout": "dropped",
            "system": "dropped",
        }.items()
    ),
    (
        "answered wins over an earlier abandon",
        "09:00:00 queued \n 09:00:30 abandoned \n 09:00:31 answered agent=amina \n 09:05:31 ended",
        {"outcome": "answered", "wait_s": 31, "talk_s": 300},
    ),
    (
        "abandoned wins over an earlier overflow",
        "09:00:00 queued \n 09:00:30 left_queue reason=overflow \n 09:00:31 abandoned",
        {"outcome": "abandoned", "wait_s": 31},
    ),
    (
        "left for voicemail wins over the end of the line",
        "09:00:00 queued \n 09:00:30 left_queue reason=voicemail \n 09:01:30 ended",
        {"outcome": "voicemail", "wait_s": 30, "talk_s": None},
    ),
    (
        "ended and nothing else is an abandon",
        "09:00:00 queued \n 09:00:30 ended ended_by=customer",
        {"outcome": "abandoned", "wait_s": 30, "talk_s": None, "handle_s": None},
    ),
    (
        "ended within the short limit and nothing else",
        "09:00:00 queued \n 09:00:03 ended",
        {"outcome": "short_abandoned"},
    ),
    (
        "of two reasons to leave the earlier counts",
        "09:00:00 queued \n 09:01:00 left_queue reason=voicemail \n 09:00:40 left_queue reason=overflow",
        {"outcome": "overflowed", "wait_s": 40},
    ),
    ("nothing yet is open", "19:59:50 queued", {"outcome": "open", "wait_s": 10, "in_threshold": True, "talk_s": None}),
    ("open for exactly T is still inside", "19:59:40 queued", {"outcome": "open", "wait_s": 20, "in_threshold": True}),
    ("open past T is late", "19:59:39 queued", {"outcome": "open", "wait_s": 21, "in_threshold": False}),
    (
        "rang and missed goes on waiting",
        "19:59:00 queued \n 19:59:10 rang agent=amina \n 19:59:30 missed agent=amina",
        {"outcome": "open", "wait_s": 60, "missed_offers": 1, "agent": None},
    ),
    (
        "missed offers are counted",
        """
        09:00:00 queued
        09:00:10 missed agent=amina
        09:00:20 missed agent=sara
        09:00:30 missed agent=amina
        09:00:40 answered agent=amina
        """,
        {"missed_offers": 3, "missed_by": ["amina", "sara", "amina"], "agent": "amina", "wait_s": 40},
    ),
    # The earliest and the latest -------------------------------------------------------------------------------------
    (
        "the earliest of each kind counts",
        """
        09:00:05 queued queue=late language=es
        09:00:00 queued queue=early language=fr caller=+33612345678
        09:00:30 answered agent=late
        09:00:20 answered agent=early
        09:02:00 ended ended_by=agent
        09:01:00 ended ended_by=customer
        09:01:30 wrapped
        09:01:20 wrapped
        """,
        {"queue": "early", "language": "fr", "agent": "early", "wait_s": 20, "talk_s": 40, "wrap_s": 20}
        | {"ended_by": "customer"},
    ),
    (
        "queued twice at one instant: the smaller event_id",
        "09:00:00 queued queue=b event_id=e2 \n 09:00:00 queued queue=a event_id=e1",
        {"queue": "a"},
    ),
    (
        "event_ids are compared as text: e10 before e9",
        "09:00:00 queued queue=nine event_id=e9 \n 09:00:00 queued queue=ten event_id=e10",
        {"queue": "ten"},
    ),
    (
        "answered twice at one instant: the smaller event_id",
        "09:00:00 queued \n 09:00:10 answered agent=b event_id=x2 \n 09:00:10 answered agent=a event_id=x1",
        {"agent": "a"},
    ),
    (
        "the latest wrap-up tells the result, the earliest the time",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:01:00 ended
        09:02:00 wrapped disposition=sold sale=true amount=99.5 currency=EUR
        09:01:30 wrapped disposition=open sale=false
        """,
        {
            "wrapped_at": "09:01:30",
            "wrap_s": 30,
            "disposition": "sold",
            "sale": True,
            "amount": 99.5,
            "currency": "EUR",
        },
    ),
    (
        "the latest wrap-up counts as it is, also when it takes a sale back",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:01:00 ended
        09:01:30 wrapped disposition=sold sale=true amount=99.5 currency=EUR
        09:02:00 wrapped disposition=cancelled sale=false
        """,
        {"disposition": "cancelled", "sale": False, "amount": None, "currency": None},
    ),
    (
        "two wrap-ups at one instant: the last event_id",
        "09:00:00 queued \n 09:02:00 wrapped disposition=a event_id=w1 \n 09:02:00 wrapped disposition=b event_id=w2",
        {"disposition": "b"},
    ),
    ("the latest rating counts", "09:00:00 queued \n 09:09:00 rated score=2 \n 09:08:00 rated score=5", {"score": 2}),
    (
        "abandoned twice: the earlier counts",
        "09:00:00 queued \n 09:00:40 abandoned \n 09:00:30 abandoned",
        {"abandoned_at": "09:00:30", "wait_s": 30},
    ),
    (
        "left the queue twice: the earlier counts",
        "09:00:00 queued \n 09:00:40 left_queue reason=timeout \n 09:00:30 left_queue reason=callback",
        {"left_at": "09:00:30", "outcome": "callback"},
    ),
    (
        "transferred twice: the talk ends at the earlier",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:02:00 transferred \n 09:01:00 transferred",
        {"ended_at": "09:01:00", "talk_s": 50, "transferred": True},
    ),
    (
        "answered twice, the first time by nobody: it stays nobody's",
        "09:00:00 queued \n 09:00:10 answered \n 09:00:20 answered agent=amina",
        {"agent": None, "wait_s": 10},
    ),
    (
        "dialed twice: the earlier counts",
        "09:00:05 dialed campaign=strict queue=late linked_id=l2 \n 09:00:00 dialed queue=early linked_id=l1",
        {"campaign": "sav", "queue": "early", "linked_id": "l1", "dialed_at": "09:00:00"},
    ),
    (
        "dialed twice at one instant: the smaller event_id",
        "09:00:00 dialed queue=b event_id=d2 campaign=strict \n 09:00:00 dialed queue=a event_id=d1",
        {"campaign": "sav", "queue": "a"},
    ),
    (
        "connected twice: the earlier counts",
        "09:00:00 dialed \n 09:00:09 connected answered_by=machine \n 09:00:08 connected answered_by=human"
        " \n 09:00:20 answered agent=amina",
        {"connected_at": "09:00:08", "answered_by": "human", "wait_s": 12},
    ),
    (
        "twice not connected: the earlier ends the wait",
        """
        09:00:00 queued direction=outbound
        09:00:40 not_connected reason=busy
        09:00:30 not_connected reason=no_answer
        """,
        {"outcome": "not_connected", "wait_s": 30},
    ),
    (
        "not connected, then ended: the attempt ends the wait",
        """
        09:00:00 queued direction=outbound
        09:00:30 not_connected reason=no_answer
        09:00:40 ended
        """,
        {"outcome": "not_connected", "wait_s": 30},
    ),
    ("linked by the dialer", "09:00:00 dialed linked_id=l8", {"linked_id": "l8"}),
    (
        "linked by the queue before the dialer",
        "09:00:00 dialed linked_id=l8 \n 09:00:10 queued linked_id=l7",
        {"linked_id": "l7"},
    ),
    ("linked by the source", "09:00:00 queued linked_id=l7", {"linked_id": "l7"}),
    (
        "what a source says is kept",
        "09:00:00 queued channel=chat language=es priority=3 direction=callback",
        {"channel": "chat", "language": "es", "priority": 3, "direction": "callback"},
    ),
    # Duplicates and revisions ----------------------------------------------------------------------------------------
    (
        "delivered three times is one event",
        "09:00:00 queued event_id=q \n 09:00:10 missed event_id=m agent=amina \n" * 3,
        {"missed_offers": 1},
    ),
    (
        "the higher revision wins: it came later",
        "09:00:00 queued \n 09:00:10 answered event_id=a \n 09:00:20 answered event_id=a revision=1",
        {"wait_s": 20},
    ),
    (
        "the higher revision wins: it came first",
        "09:00:00 queued \n 09:00:20 answered event_id=a revision=1 \n 09:00:10 answered event_id=a",
        {"wait_s": 20},
    ),
    (
        "revision 10 is higher than 9",
        "09:00:00 queued \n 09:00:20 answered event_id=a revision=10 \n 09:00:10 answered event_id=a revision=9",
        {"wait_s": 20},
    ),
    (
        "a revision may change what happened",
        "09:00:00 queued \n 09:00:10 answered event_id=a \n 09:00:10 abandoned event_id=a revision=1",
        {"outcome": "abandoned", "answered_at": None},
    ),
    (
        "of one revision the content that sorts last: it came first",
        "09:00:00 queued event_id=q queue=z \n 09:00:00 queued event_id=q queue=a",
        {"queue": "z"},
    ),
    (
        "of one revision the content that sorts last: it came last",
        "09:00:00 queued event_id=q queue=a \n 09:00:00 queued event_id=q queue=z",
        {"queue": "z"},
    ),
    (
        "contents are compared with sorted keys: the first that differs decides",
        "09:00:09 queued event_id=q direction=callback queue=z \n 09:00:00 queued queue=a event_id=q direction=inbound",
        {"queue": "a", "queued_at": "09:00:00"},
    ),
    (
        "a name that one content has and the other has not",
        # {"call_id", "campaign", "event_id", "queue", …} or {"call_id", "campaign", "channel", …}? c < e: e is last
        "09:00:00 queued event_id=q queue=plain \n 09:00:00 queued event_id=q queue=chat channel=chat",
        {"queue": "plain", "channel": "voice"},
    ),
    (
        "text beyond ASCII sorts by its escapes, as JSON does",
        '09:00:00 queued event_id=q queue=z \n 09:00:00 queued event_id=q queue="é"',
        {"queue": "z"},
    ),
    (
        "a number sorts as it is written",
        "09:00:00 queued event_id=q priority=9 \n 09:00:00 queued event_id=q priority=10",
        {"priority": 9},
    ),
    # Holds -----------------------------------------------------------------------------------------------------------
    *(
        (
            name,
            f"""
            09:00:00 queued
            09:00:10 answered agent=amina
            {holds}
            09:10:10 ended
            """,
            {"hold_s": hold_s, "talk_s": 600 - hold_s, "handle_s": 600},
        )
        for name, holds, hold_s in [
            ("one hold", "09:01:00 held \n 09:02:00 resumed", 60),
            ("two holds", "09:01:00 held \n 09:02:00 resumed \n 09:05:00 held \n 09:05:30 resumed", 90),
            ("a hold without a resume lasts to the end", "09:08:10 held", 120),
            ("a resume without a hold is ignored", "09:02:00 resumed", 0),
            ("a resume before a hold is ignored", "09:01:00 resumed \n 09:09:10 held", 60),
            ("a hold inside a hold is ignored", "09:01:00 held \n 09:02:00 held \n 09:03:00 resumed", 120),
            ("a second resume is ignored", "09:01:00 held \n 09:02:00 resumed \n 09:04:00 resumed", 60),
            (
                "hold, hold, resume, resume",
                "09:01:00 held \n 09:02:00 held \n 09:03:00 resumed \n 09:04:00 resumed",
                120,
            ),
            ("a hold before the answer is ignored", "09:00:05 held \n 09:01:00 resumed", 0),
            ("a hold after the end is ignored", "09:10:11 held \n 09:11:00 resumed", 0),
            ("a resume after the end is ignored", "09:09:10 held \n 09:11:00 resumed", 60),
            ("a hold at the answer", "09:00:10 held \n 09:00:40 resumed", 30),
            ("a hold at the end", "09:10:10 held", 0),
            ("a hold of 0 s", "09:01:00 held event_id=h1 \n 09:01:00 resumed event_id=h2", 0),
            (
                "held and resumed at one instant, by event_id",
                "09:01:00 resumed event_id=h1 \n 09:01:00 held event_id=h2",
                550,
            ),
        ]
    ),
    *(
        (
            f"still talking: {name}",
            f"""
            19:00:00 queued
            19:00:10 answered agent=amina
            {holds}
            """,
            {"held_since": held_since, "hold_s": None},
        )
        for name, holds, held_since in [
            ("never on hold", "", None),
            ("on hold", "19:10:00 held", "19:10:00"),
            ("on hold again", "19:01:00 held \n 19:02:00 resumed \n 19:05:00 held", "19:05:00"),
            ("resumed", "19:01:00 held \n 19:02:00 resumed", None),
            ("a hold inside a hold is ignored", "19:05:00 held \n 19:06:00 held", "19:05:00"),
            ("a hold before the answer is ignored", "19:00:05 held", None),
            ("on hold since the answer", "19:00:10 held", "19:00:10"),
        ]
    ),
    (
        "a hold has ended with its call",
        "09:00:00 queued \n 09:00:10 answered \n 09:01:00 held \n 09:02:00 ended",
        {"held_since": None, "hold_s": 60},
    ),
    (
        "on hold during a transfer",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:01:10 held \n 09:02:10 transferred to_queue=vip",
        {"talk_s": 60, "hold_s": 60, "transferred": True},
    ),
    (
        "a hold of a call that nobody answered",
        "09:00:00 queued \n 09:01:00 held \n 09:02:00 abandoned",
        {"hold_s": None},
    ),
    # Ends ------------------------------------------------------------------------------------------------------------
    (
        "a transfer ends the talk",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:01:10 transferred to_agent=sara warm=true
        09:05:10 ended
        09:06:10 wrapped
        """,
        {"transferred": True, "ended_at": "09:01:10", "talk_s": 60, "wrap_s": 300},
    ),
    (
        "wrapped before it ended: a clock skew, and 0 s",
        "09:00:00 queued \n 09:00:10 answered \n 09:01:10 ended \n 09:01:00 wrapped",
        {"wrap_s": 0, "handle_s": 60, "clock_skew": True},
    ),
    (
        "ended before it was answered: a clock skew, and 0 s",
        "09:00:00 queued \n 09:00:10 answered \n 09:00:05 held \n 09:00:09 ended",
        {"talk_s": 0, "hold_s": 0, "handle_s": 0, "clock_skew": True, "outcome": "answered"},
    ),
    (
        "answered before it was queued: a clock skew, and 0 s",
        "09:00:10 queued \n 09:00:09 answered \n 09:01:09 ended",
        {"wait_s": 0, "talk_s": 60, "clock_skew": True, "in_threshold": True},
    ),
    (
        "abandoned before it was queued: a clock skew, and short",
        "09:00:10 queued \n 09:00:00 abandoned",
        {"wait_s": 0, "outcome": "short_abandoned", "clock_skew": True},
    ),
    (
        "the agent's next state closes a call without an end",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:04:10 state agent=amina state=wrap_up",
        {"ended_at": "09:04:10", "talk_s": 240, "inferred_end": True, "ended_by": None},
    ),
    (
        "busy closes nothing, the state after it does",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:00:10 state agent=amina state=busy
        09:02:10 state agent=amina state=busy reason=hold
        09:03:10 state agent=amina state=paused
        """,
        {"ended_at": "09:03:10", "inferred_end": True},
    ),
    (
        "a state at the very answer closes nothing",
        "09:00:00 queued \n 19:59:10 answered agent=amina \n 19:59:10 state agent=amina state=available",
        {"ended_at": None, "inferred_end": False, "handle_s": None},
    ),
    (
        "another agent's state closes nothing",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:04:10 state agent=sara state=wrap_up",
        {"ended_at": None, "inferred_end": False},
    ),
    (
        "a log-out closes it",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:04:10 state agent=amina state=offline",
        {"ended_at": "09:04:10", "inferred_end": True},
    ),
    (
        "the agent's next call closes it",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:06:00 queued call_id=c2
        09:06:10 answered call_id=c2 agent=amina
        09:08:00 state agent=amina state=available
        """,
        {"ended_at": "09:06:10", "talk_s": 360, "inferred_end": True},
    ),
    (
        "an earlier call of the agent closes nothing",
        """
        09:00:00 queued call_id=c0
        09:00:05 answered call_id=c0 agent=amina
        09:00:00 queued
        09:00:10 answered agent=amina
        """,
        {"ended_at": None, "inferred_end": False},
    ),
    (
        "the agent's next chat closes nothing",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:06:00 queued call_id=c2 channel=chat
        09:06:10 answered call_id=c2 agent=amina
        """,
        {"ended_at": None, "inferred_end": False},
    ),
    (
        "a told end is not inferred",
        "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:05:10 ended \n 09:04:10 state agent=amina state=paused",
        {"ended_at": "09:05:10", "inferred_end": False},
    ),
    (
        "the inferred end bounds the hold and begins the wrap-up",
        """
        09:00:00 queued
        09:00:10 answered agent=amina
        09:03:10 held
        09:04:10 state agent=amina state=wrap_up
        09:04:40 wrapped
        """,
        {"hold_s": 60, "talk_s": 180, "wrap_s": 30, "inferred_end": True},
    ),
    # A source that went silent ---------------------------------------------------------------------------------------
    ("open for exactly 4 h is open", "16:00:00 queued", {"outcome": "open", "wait_s": 14400, "inferred_end": False}),
    (
        "open for more than 4 h is dropped",
        "15:59:59.999999 queued",
        {"outcome": "dropped", "inferred_end": True, "wait_s": 14400, "left_at": None, "ended_at": None},
    ),
    ("a campaign's own patience", "19:49:59 queued campaign=brief", {"outcome": "dropped", "inferred_end": True}),
    (
        "an answered call is not given up",
        "09:00:00 queued \n 09:00:10 answered agent=amina",
        {"outcome": "answered", "inferred_end": False, "ended_at": None},
    ),
    (
        "left by the system is dropped, and not inferred",
        "09:00:00 queued \n 09:30:00 left_queue reason=system",
        {"outcome": "dropped", "inferred_end": False, "wait_s": 1800},
    ),
    # Orphans ---------------------------------------------------------------------------------------------------------
    (
        "a call without call.queued is kept and waits for it",
        "09:00:10 answered agent=amina campaign=sav \n 09:01:10 ended \n 09:01:20 wrapped sale=true",
        {"campaign": None, "queued_at": None, "day": None, "wait_s": None, "outcome": "answered", "talk_s": 60}
        | {"in_threshold": None, "clock_skew": False, "agent": "amina"},
    ),
    (
        "an orphan abandoned",
        "09:00:10 abandoned",
        {"campaign": None, "outcome": "abandoned", "wait_s": None, "clock_skew": False},
    ),
    (
        "an orphan rings for hours and is not given up",
        "09:00:10 rang agent=amina",
        {"campaign": None, "outcome": "open", "wait_s": None},
    ),
    # Outbound --------------------------------------------------------------------------------------------------------
    (
        "dialed, picked up, answered",
        """
        09:00:00 dialed callee=+33612345678 consent=contract queue=sales
        09:00:08 connected answered_by=human
        09:00:10 answered agent=amina
        09:02:10 ended
        """,
        {
            "direction": "outbound",
            "campaign": "sav",
            "queue": "sales",
            "outcome": "answered",
            "wait_s": 2,
            "talk_s": 120,
        }
        | {"dialed_at": "09:00:00", "connected_at": "09:00:08", "queued_at": None, "consent": "contract"},
    ),
    (
        "dialed for an agent who answers without a name",
        "09:00:00 dialed agent=amina \n 09:00:10 answered",
        {"agent": "amina"},
    ),
    ("dialed for an agent, and nobody answered", "19:59:00 dialed agent=amina", {"agent": None, "outcome": "open"}),
    *(
        (
            f"dialed, {reason}",
            f"09:00:00 dialed \n 09:00:30 not_connected reason={reason}",
            {"direction": "outbound", "outcome": "not_connected", "wait_s": None, "clock_skew": False},
        )
        for reason in ("no_answer", "busy", "invalid", "refused")
    ),
    (
        "dialed, a machine picked up and we hung up",
        "09:00:00 dialed \n 09:00:08 connected answered_by=machine \n 09:00:12 ended ended_by=system",
        {"outcome": "not_connected", "answered_by": "machine"},
    ),
    (
        "dialed, picked up, nobody there: a drop",
        "09:00:00 dialed \n 09:00:08 connected answered_by=human \n 09:00:18 abandoned",
        {"outcome": "abandoned", "wait_s": 10},
    ),
    (
        "dialed, picked up, cut off",
        "09:00:00 dialed \n 09:00:08 connected \n 09:00:20 ended ended_by=system",
        {"outcome": "abandoned", "wait_s": 12, "answered_by": None},
    ),
    (
        "dialed, ended, never picked up",
        "09:00:00 dialed \n 09:00:20 ended",
        {"outcome": "abandoned", "wait_s": None, "in_threshold": None},
    ),
    ("dialed, and then nothing", "09:00:00 dialed", {"outcome": "dropped", "inferred_end": True}),
    (
        "dialed, then queued: the queue's clock counts",
        """
        09:00:00 dialed
        09:00:08 connected answered_by=human
        09:00:10 queued direction=outbound queue=sales
        09:00:25 answered agent=amina
        """,
        {"direction": "outbound", "queue": "sales", "wait_s": 15, "queued_at": "09:00:10"},
    ),
    # The contract in force, in local time ----------------------------------------------------------------------------
    ("queued a microsecond before the new term", "10:59:59.999999 queued campaign=paris", {"threshold_s": 60}),
    ("queued when the new term begins", "11:00:00 queued campaign=paris", {"threshold_s": 10}),
    (
        "queued before the new term, answered after",
        "10:59:50 queued campaign=paris \n 11:00:50 answered",
        {"threshold_s": 60, "wait_s": 60, "in_threshold": True},
    ),
    (
        "of a campaign that only events know",
        "09:00:00 queued campaign=new \n 09:00:20 answered",
        {"campaign": "new", "threshold_s": 20, "target": 0.8, "formula": "exclude_short", "in_threshold": True},
    ),
]
DAYS: list[Story] = [
    ("a minute before midnight in Paris", "22:59:00 queued campaign=paris", {"day": dt.date(2026, 3, 10)}),
    ("midnight in Paris", "23:00:00 queued campaign=paris", {"day": dt.date(2026, 3, 11)}),
    ("Paris begins its day of 23 hours", "455:00:00 queued campaign=paris", {"day": dt.date(2026, 3, 29)}),
    ("Paris ends its day of 23 hours", "477:59:59 queued campaign=paris", {"day": dt.date(2026, 3, 29)}),
    ("Paris after its day of 23 hours", "478:00:00 queued campaign=paris", {"day": dt.date(2026, 3, 30)}),
    ("Casablanca is at UTC during Ramadan", "23:30:00 queued campaign=casa", {"day": dt.date(2026, 3, 10)}),
    ("Casablanca was at UTC+1", "887:30:00 queued campaign=casa", {"day": dt.date(2026, 4, 16)}),
]
# 2026-09-20 03:00 in Casablanca: clocks went back to UTC for good
AFTER = dt.datetime(2026, 10, 24, tzinfo=dt.UTC)
LATER: list[Story] = [
    ("Casablanca is at UTC", "23:30:00 queued campaign=casa", {"day": dt.date(2026, 10, 24)}),
    ("Madrid before its day of 25 hours", "21:59:59 queued campaign=madrid", {"day": dt.date(2026, 10, 24)}),
    ("Madrid's day of 25 hours begins", "22:00:00 queued campaign=madrid", {"day": dt.date(2026, 10, 25)}),
    ("Madrid's day of 25 hours, its last second", "46:59:59 queued campaign=madrid", {"day": dt.date(2026, 10, 25)}),
    ("Madrid after its day of 25 hours", "47:00:00 queued campaign=madrid", {"day": dt.date(2026, 10, 26)}),
]


def named(events: list[Event], world: str) -> list[Event]:
    """Give a story's calls, agents and events names of their own; ids sort as before."""
    own = ("event_id", "call_id", "linked_id", "agent")
    return [e | {field: f"{world}/{e[field]}" for field in own if field in e} for e in events]


def fold_stories(tmp_path: Path, stories: list[Story], day: dt.datetime, as_of: dt.datetime) -> dict[str, Event]:
    events = [e for name, story, _ in stories for e in named(read_story(story, day), name)]
    with folded(tmp_path, events, as_of, CONFIGURATION) as published:
        assert rows(published, "FROM dead_letters") == []
        found = rows(published, "FROM calls")
    ids = [row["call_id"] for row in found]
    assert len(ids) == len(set(ids))
    return {row["call_id"]: row for row in found}


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Event]:
    """Return the published calls of all stories."""
    home = tmp_path_factory.mktemp
    found = fold_stories(home("today"), STORIES, DAY, AS_OF)
    found |= fold_stories(home("days"), DAYS, DAY, AS_OF + dt.timedelta(days=60))
    return found | fold_stories(home("later"), LATER, AFTER, AFTER + dt.timedelta(days=3))


@pytest.mark.parametrize(
    ("name", "expected"), [pytest.param(name, row, id=name) for name, _, row in STORIES + DAYS + LATER]
)
def test_a_story_becomes_a_call(stories: dict[str, Event], name: str, expected: dict[str, Any]) -> None:
    row = stories[f"{name}/c1"]
    found: dict[str, Any] = {}
    for column in expected:
        value = row[column]
        if column in TIMES and value is not None:
            value = value.strftime("%H:%M:%S")
        if column in ("linked_id", "agent") and value is not None:
            value = value.removeprefix(f"{name}/")
        if column == "missed_by":
            value = [agent.removeprefix(f"{name}/") for agent in value]
        found[column] = value
    numbers = {c for c, v in expected.items() if isinstance(v, float)}
    assert {c: v for c, v in found.items() if c not in numbers} == {
        c: v for c, v in expected.items() if c not in numbers
    }
    assert {c: found[c] for c in numbers} == pytest.approx({c: expected[c] for c in numbers}, abs=1e-9)


def fold_one(tmp_path: Path, story: str, as_of: str, columns: str, **how: Any) -> list[Event]:
    with folded(tmp_path, read_story(story), at(as_of), CONFIGURATION, **how) as published:
        return rows(published, f"SELECT {columns} FROM calls ORDER BY call_id")


# What one call does to another, and to rows published before ---------------------------------------------------------

MOVED = """
    09:00:00 queued call_id=a
    09:00:00 queued call_id=b
    09:00:10 answered call_id=a event_id=x
    09:00:20 answered call_id=b event_id=x revision=1
"""


@pytest.mark.parametrize("batches", [(), (3,)], ids=["in one batch", "in two, published between"])
@pytest.mark.parametrize("order", [1, -1], ids=["as they happened", "backwards"])
def test_an_event_moves_to_another_call_by_a_revision(tmp_path: Path, order: int, batches: tuple[int, ...]) -> None:
    events = read_story(MOVED)[::order]
    between = {0: at("12:00:00")} if batches else None
    with folded(tmp_path, events, at("12:00:00"), CONFIGURATION, batches=batches, published=between) as published:
        found = rows(published, "SELECT call_id, outcome, wait_s FROM calls ORDER BY call_id")
    assert found == [
        {"call_id": "a", "outcome": "open", "wait_s": 10_800},
        {"call_id": "b", "outcome": "answered", "wait_s": 20},
    ]


def test_a_call_whose_only_event_moved_away_is_gone(tmp_path: Path) -> None:
    story = "09:00:00 queued call_id=a event_id=x \n 09:00:00 queued call_id=b event_id=x revision=1"
    assert fold_one(tmp_path, story, "12:00:00", "call_id", batches=[1], published={0: at("12:00:00")}) == [
        {"call_id": "b"}
    ]


def test_a_call_event_revised_into_an_agent_state_leaves_no_call(tmp_path: Path) -> None:
    story = "09:00:00 queued call_id=a event_id=x \n 09:00:00 state event_id=x revision=1 agent=amina state=paused"
    with folded(tmp_path, read_story(story), at("12:00:00"), CONFIGURATION, batches=[1]) as published:
        assert rows(published, "FROM calls") == []
        assert [s["state"] for s in rows(published, "FROM agent_states")] == ["paused"]


LATE = {
    "the end": ("09:05:10 ended", {"outcome": "answered", "talk_s": 300, "inferred_end": False}),
    "an earlier answer": ("09:00:05 answered agent=sara", {"wait_s": 5, "agent": "sara"}),
    "a hold": ("09:03:00 held \n 09:03:30 resumed", {"hold_s": 30, "talk_s": 210}),
    "a rating, weeks later": ("400:00:00 rated score=4", {"score": 4, "talk_s": 240}),
    "the agent's pause": ("09:02:10 state agent=amina state=paused", {"ended_at": at("09:02:10"), "talk_s": 120}),
}


@pytest.mark.parametrize(("late", "expected"), LATE.values(), ids=LATE)
def test_a_late_event_corrects_what_was_published_long_ago(tmp_path: Path, late: str, expected: dict[str, Any]) -> None:
    story = f"""
    09:00:00 queued
    09:00:10 answered agent=amina
    09:04:10 state agent=amina state=wrap_up
    10:00:00 queued call_id=other
    {late}
    """
    as_of = at("500:00:00")
    with folded(tmp_path, read_story(story), as_of, CONFIGURATION, batches=[4], published={0: as_of}) as published:
        (row,) = rows(published, "FROM calls WHERE call_id = 'c1'")
        assert rows(published, "SELECT count(*) AS n FROM calls") == [{"n": 2}]
    assert {column: row[column] for column in expected} == expected


@pytest.mark.parametrize("settle_rows", [1, 10_000], ids=["settled", "not settled"])
def test_the_last_state_of_an_instant_merges_with_the_state_before(tmp_path: Path, settle_rows: int) -> None:
    story = """
    09:00:00 state agent=amina state=paused reason=lunch
    09:30:00 state agent=amina state=available event_id=x1
    09:30:00 state agent=amina state=paused reason=lunch event_id=x2
    11:00:00 state agent=amina state=offline
    """
    noon = at("12:00:00")
    with folded(
        tmp_path, read_story(story), AS_OF, CONFIGURATION, batches=[2], published={0: noon}, settle_rows=settle_rows
    ) as published:
        found = rows(published, "SELECT state, started_at, ended_at FROM agent_states ORDER BY started_at")
    assert [tuple(row.values()) for row in found] == [
        ("paused", at("09:00:00"), at("11:00:00")),
        ("offline", at("11:00:00"), None),
    ]


def test_the_current_call_of_an_agent(tmp_path: Path) -> None:
    story = """
    19:00:00 queued call_id=a
    19:00:10 answered call_id=a agent=amina
    19:05:00 held call_id=a
    19:10:00 queued call_id=b channel=chat
    19:10:10 answered call_id=b agent=sara
    19:20:00 queued call_id=c channel=chat
    19:20:10 answered call_id=c agent=sara
    19:21:00 held call_id=b
    19:30:00 state agent=lea state=available
    """
    with folded(tmp_path, read_story(story), AS_OF, CONFIGURATION) as published:
        found = rows(published, "SELECT agent, call_id, call_since, held_since FROM agents ORDER BY agent")
    assert [tuple(row.values()) for row in found] == [
        ("amina", "a", at("19:00:10"), at("19:05:00")),
        ("lea", None, None, None),
        ("sara", "c", at("19:20:10"), None),  # of her two chats the one answered last, and that one is not on hold
    ]


def test_call_queued_comes_days_after_the_rest(tmp_path: Path) -> None:
    story = "09:00:10 answered agent=amina \n 09:01:10 ended \n 09:00:00 queued"
    as_of = at("200:00:00")
    columns = "campaign, wait_s, talk_s, day"
    found = fold_one(tmp_path, story, "200:00:00", columns, batches=[2], restart=True, published={0: as_of})
    assert found == [{"campaign": "sav", "wait_s": 10, "talk_s": 60, "day": dt.date(2026, 3, 10)}]


def test_a_late_answer_revives_a_call_that_was_given_up(tmp_path: Path) -> None:
    story = "09:00:00 queued \n 09:00:10 answered agent=amina \n 09:01:10 ended"
    as_of = at("200:00:00")
    found = fold_one(tmp_path, story, "200:00:00", "outcome, inferred_end, talk_s", batches=[1], published={0: as_of})
    assert found == [{"outcome": "answered", "inferred_end": False, "talk_s": 60}]


def test_the_next_call_of_the_agent_is_revised_away_after_it_was_published(tmp_path: Path) -> None:
    story = """
    09:00:00 queued
    09:00:10 answered agent=amina
    09:06:00 queued call_id=c2
    09:06:10 answered call_id=c2 agent=amina event_id=x
    09:07:10 answered call_id=c2 agent=sara event_id=x revision=1
    """
    as_of = at("200:00:00")
    with folded(tmp_path, read_story(story), as_of, CONFIGURATION, batches=[4], published={0: as_of}) as published:
        found = rows(published, "SELECT ended_at, inferred_end, handle_s FROM calls WHERE call_id = 'c1'")
    assert found == [{"ended_at": None, "inferred_end": False, "handle_s": None}]


def test_judgements_of_a_later_as_of_do_not_stay(tmp_path: Path) -> None:
    """A machine's clock may be set back between two publishes: the KPIs are those of the last as_of."""
    story = "09:00:00 queued \n 09:00:00 state agent=amina state=available"
    with folded(
        tmp_path, read_story(story), at("09:01:00"), CONFIGURATION, batches=[2], published={0: at("200:00:00")}
    ) as published:
        assert rows(published, "SELECT outcome, wait_s FROM calls") == [{"outcome": "open", "wait_s": 60}]
        assert rows(published, "SELECT state, ended_at FROM agent_states") == [{"state": "available", "ended_at": None}]


def test_callers_are_masked(tmp_path: Path) -> None:
    story = """
        09:00:00 queued caller=+33612345678
        09:00:00 dialed callee=+33687654321 call_id=c2
        09:00:00 queued caller="123456" call_id=c3
        09:00:00 queued caller="1234567" call_id=c4
    """
    with folded(tmp_path, read_story(story), at("10:00:00"), CONFIGURATION) as published:
        shown = rows(published, "SELECT call_id, caller, callee FROM calls ORDER BY call_id")
    assert all("345" not in str(row) and "765" not in str(row) for row in shown)
    assert [row["caller"] for row in shown] == ["+33•••••••78", None, "••••••", "123••67"]
    assert shown[1]["callee"].endswith("21")


PROFILES = """
    08:00:00 profile agent=ana name=Ana team=red site=rabat languages=["fr"] event_id=p1
    09:00:00 profile agent=ana name=Anita team=blue site=fes languages=["fr","es"] event_id=p3
    09:00:00 profile agent=ana name=Anna team=green site=casa languages=["es"] event_id=p2
    10:00:00 profile agent=ana name=Ane team=black site=paris languages=[] event_id=p4
    08:00:00 profile agent=eva name=Eva team=red site=fes languages=["en"] event_id=p5
    08:00:00 state agent=bob state=available event_id=s1
    08:10:00 state agent=eva state=available event_id=s3 name=Evita team=blue languages=fr
"""
OTHERS = [("bob", "bob", None, None, []), ("eva", "Eva", "red", "fes", ["en"])]


def test_an_agent_has_the_last_profile_as_of_now(tmp_path: Path) -> None:
    """At one instant the last event_id counts. The clock alone may bring the next profile, or take it back.

    Fields that another type of event has beyond its contract are no profile.
    """

    def agents(as_of: str) -> list[tuple[Any, ...]]:
        desk.publish(at(as_of))
        found = desk.rows("SELECT agent, name, team, site, languages FROM agents ORDER BY agent")
        return [tuple(row.values()) for row in found]

    desk = Desk(tmp_path)
    desk.apply(read_story(PROFILES), at("10:00:00"))
    first = ("ana", "Ana", "red", "rabat", ["fr"])
    assert agents("08:30:00") == [first, *OTHERS]
    assert agents("09:00:00") == [("ana", "Anita", "blue", "fes", ["fr", "es"]), *OTHERS]
    revised = "09:00:00 profile agent=ana name=Anouk team=blue site=fes languages=[] event_id=p3 revision=1"
    desk.apply([*read_story(revised), *read_story("09:10:00 state agent=eva state=busy event_id=s2")], at("09:30:00"))
    assert agents("09:30:00") == [("ana", "Anouk", "blue", "fes", []), *OTHERS]
    assert agents("10:30:00") == [("ana", "Ane", "black", "paris", []), *OTHERS]
    assert agents("08:30:00") == [first, *OTHERS]
    desk.close()


# An attempt that did not connect, of an offered call -----------------------------------------------------------------

CALLBACKS = {
    "called back, no answer": "09:00:00 queued direction=callback \n 09:00:30 not_connected reason=no_answer",
    "called back by a dialer, no answer": """
        09:00:00 queued direction=callback
        09:00:10 dialed
        09:00:30 not_connected reason=busy
    """,
    "called back, a machine": """
        09:00:00 queued direction=callback
        09:00:08 connected answered_by=machine
        09:00:12 ended
    """,
    "inbound, by mistake": "09:00:00 queued direction=inbound \n 09:00:30 not_connected reason=invalid",
}


def test_an_offered_call_that_did_not_connect_is_conserved(tmp_path: Path) -> None:
    events = [
        e | ({"campaign": f"k{n}"} if "campaign" in e else {})
        for n, (name, story) in enumerate(CALLBACKS.items())
        for e in named(read_story(story), name)
    ]
    with folded(tmp_path, events, at("09:10:00"), configured()) as published:
        kept = rows(
            published,
            "SELECT campaign, conserved FROM kpi_campaign($t0, $t1)",
            {"t0": DAY, "t1": at("24:00:00")},
        )
    names = dict(enumerate(CALLBACKS))
    assert {names[int(row["campaign"][1:])]: row["conserved"] for row in kept} == dict.fromkeys(CALLBACKS, True)


# Agents' timelines ----------------------------------------------------------------------------------------------------

# name, story, as of, the rows as "started_at ended_at state reason campaign seconds"
TIMELINES = [
    (
        "each state lasts until the next, the last until as_of",
        "08:00:00 state state=available \n 09:00:00 state state=busy \n 09:10:00 state state=paused reason=lunch",
        "10:00:00",
        ["08:00:00 09:00:00 available - - 3600", "09:00:00 09:10:00 busy - - 600", "09:10:00 - paused lunch - 3000"],
    ),
    (
        "two states at one instant: the last event_id",
        """
        08:00:00 state state=busy event_id=s1
        08:00:00 state state=paused event_id=s3
        08:00:00 state state=available event_id=s2
        """,
        "09:00:00",
        ["08:00:00 - paused - - 3600"],
    ),
    (
        "equal neighbours are one row",
        "08:00:00 state state=available \n 08:30:00 state state=available \n 09:00:00 state state=offline",
        "10:00:00",
        ["08:00:00 09:00:00 available - - 3600", "09:00:00 - offline - - 3600"],
    ),
    (
        "another reason is another row",
        "08:00:00 state state=paused reason=lunch \n 08:30:00 state state=paused reason=training",
        "09:00:00",
        ["08:00:00 08:30:00 paused lunch - 1800", "08:30:00 - paused training - 1800"],
    ),
    (
        "a campaign is the last one named",
        """
        08:00:00 state state=available
        08:10:00 state state=available campaign=sav
        08:20:00 state state=busy
        08:30:00 state state=busy campaign=strict
        08:40:00 state state=available
        """,
        "09:00:00",
        [
            "08:00:00 08:10:00 available - - 600",
            "08:10:00 08:20:00 available - sav 600",
            "08:20:00 08:30:00 busy - sav 600",
            "08:30:00 08:40:00 busy - strict 600",
            "08:40:00 - available - strict 1200",
        ],
    ),
    (
        "a lost logout, and nothing after: offline from 12 h on",
        "08:00:00 state state=available campaign=sav",
        "20:00:01",
        ["08:00:00 20:00:00 available - sav 43200", "20:00:00 - offline - sav 1"],
    ),
    (
        "repeated by heart beats until they stop: offline from then on, and back with the next one",
        """
        08:00:00 state state=available lasts_s=360
        08:02:00 state state=available lasts_s=360
        08:20:00 state state=available lasts_s=360
        """,
        "08:21:00",
        [
            "08:00:00 08:08:00 available - - 480",
            "08:08:00 08:20:00 offline - - 720",
            "08:20:00 - available - - 60",
        ],
    ),
    (
        "no state lasts longer than 12 h, whatever its event says",
        "08:00:00 state state=available lasts_s=86400",
        "20:00:01",
        ["08:00:00 20:00:00 available - - 43200", "20:00:00 - offline - - 1"],
    ),
    (
        "a second before 12 h it lasts",
        "08:00:00 state state=available",
        "19:59:59",
        ["08:00:00 - available - - 43199"],
    ),
    (
        "the next login comes after exactly 12 h",
        "08:00:00 state state=busy \n 20:00:00 state state=paused",
        "21:00:00",
        ["08:00:00 20:00:00 busy - - 43200", "20:00:00 - paused - - 3600"],
    ),
    (
        "the next login comes later: offline between",
        "08:00:00 state state=busy \n 21:00:00 state state=busy",
        "22:00:00",
        ["08:00:00 20:00:00 busy - - 43200", "20:00:00 21:00:00 offline - - 3600", "21:00:00 - busy - - 3600"],
    ),
    (
        "offline lasts as long as it lasts",
        "08:00:00 state state=offline reason=end \n 48:00:00 state state=available",
        "49:00:00",
        ["08:00:00 00:00:00 offline end - 144000", "00:00:00 - available - - 3600"],
    ),
    (
        "told again within 12 h it goes on: a row of 18 h",
        "08:00:00 state state=available \n 17:00:00 state state=available \n 26:00:00 state state=offline",
        "26:00:00",
        ["08:00:00 02:00:00 available - - 64800", "02:00:00 - offline - - 0"],
    ),
    (
        "told late, in any order",
        "09:00:00 state state=paused \n 08:00:00 state state=available",
        "10:00:00",
        ["08:00:00 09:00:00 available - - 3600", "09:00:00 - paused - - 3600"],
    ),
    (
        "told again after midnight UTC: a row for each day",
        "23:00:00 state state=available \n 24:00:00 state state=available \n 24:30:00 state state=available",
        "25:00:00",
        ["23:00:00 00:00:00 available - - 3600", "00:00:00 - available - - 3600"],
    ),
    (
        "a profile is no state",
        "08:00:00 state state=available \n 08:30:00 profile name=Amina",
        "09:00:00",
        ["08:00:00 - available - - 3600"],
    ),
    ("a profile alone", "08:30:00 profile name=Amina", "09:00:00", []),
    (
        "a state revised to another time",
        "08:00:00 state state=available \n 08:10:00 state state=busy event_id=s \n"
        "08:20:00 state state=busy event_id=s revision=1",
        "09:00:00",
        ["08:00:00 08:20:00 available - - 1200", "08:20:00 - busy - - 2400"],
    ),
]


@pytest.fixture(scope="module")
def timelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return the rows of agent_states by the story's name; stories with one as_of share a store."""
    found: dict[str, list[str]] = {}
    for as_of in sorted({clock for _, _, clock, _ in TIMELINES}):
        stories = [(name, story) for name, story, clock, _ in TIMELINES if clock == as_of]
        events = [
            e for name, story in stories for e in named([{"agent": "amina"} | e for e in read_story(story)], name)
        ]
        with folded(tmp_path_factory.mktemp("timelines"), events, at(as_of), CONFIGURATION) as published:
            states = rows(published, "FROM agent_states ORDER BY agent, started_at")
        for name, _ in stories:
            found[name] = [_line(row) for row in states if row["agent"] == f"{name}/amina"]
    return found


def _line(row: Event) -> str:
    began = row["started_at"].strftime("%H:%M:%S")
    ended = row["ended_at"].strftime("%H:%M:%S") if row["ended_at"] else "-"
    return f"{began} {ended} {row['state']} {row['reason'] or '-'} {row['campaign'] or '-'} {row['seconds']:g}"


@pytest.mark.parametrize(("name", "expected"), [pytest.param(name, lines, id=name) for name, _, _, lines in TIMELINES])
def test_a_story_becomes_a_timeline(timelines: dict[str, list[str]], name: str, expected: list[str]) -> None:
    assert timelines[name] == expected


@pytest.mark.parametrize("first", ["vip", "sav"])
def test_a_state_has_the_last_campaign_named_before_it(tmp_path: Path, first: str) -> None:
    """Only at one instant do event_ids decide: the last counts. The timeline is redone from a later state on."""
    story = """
        08:00:00 state agent=ana state=available campaign=par event_id=z9
        09:00:00 state agent=ana state=paused campaign=vip event_id=a1
        09:00:00 state agent=ana state=paused campaign=sav event_id=a2
        10:00:00 state agent=ana state=busy event_id=b1
        11:00:00 state agent=ana state=available event_id=b2
    """
    events = sorted(read_story(story), key=lambda event: (event["ts"], event.get("campaign") != first))
    with folded(tmp_path, events, at("12:00:00"), batches=[4], published={0: at("10:30:00")}) as published:
        found = rows(published, "SELECT campaign FROM agent_states ORDER BY started_at")
    assert [row["campaign"] for row in found] == ["par", "sav", "sav", "sav"]


def test_a_profile_names_the_campaign_of_later_states(tmp_path: Path) -> None:
    """This also holds from a later state on; at one instant, a greater event_id comes after."""
    story = """
        08:00:00 state agent=ana state=available campaign=par event_id=s1
        08:30:00 profile agent=ana campaign=vip event_id=p1
        09:00:00 state agent=ana state=paused event_id=s2
        10:00:00 state agent=ana state=busy event_id=s3
        10:00:00 profile agent=ana campaign=sav event_id=s4
        11:00:00 state agent=ana state=available event_id=s5
    """
    with folded(tmp_path, read_story(story), at("12:00:00"), batches=[5], published={0: at("10:30:00")}) as published:
        found = rows(published, "SELECT campaign FROM agent_states ORDER BY started_at")
    assert [row["campaign"] for row in found] == ["par", "vip", "vip", "sav"]


@pytest.mark.parametrize("hours", [1, 11], ids=["sent every hour", "sent every 11 hours"])
def test_a_state_repeated_for_days_has_all_its_time(tmp_path: Path, hours: int) -> None:
    """A merged row may be longer than any single state: a window in its middle still finds it."""
    story = "\n".join(f"{h}:00:00 state agent=amina state=available campaign=sav" for h in range(0, 100, hours))
    with folded(tmp_path, read_story(story), at("100:00:00"), CONFIGURATION) as published:
        spent = rows(
            published,
            "SELECT available_s FROM kpi_campaign($t0, $t1) WHERE campaign = 'sav'",
            {"t0": at("72:00:00"), "t1": at("96:00:00")},
        )
    assert spent == [{"available_s": 86_400}]


@pytest.mark.parametrize(("column", "step"), [("abandoned", "abandoned"), ("wait_unknown", "answered agent=ana")])
def test_a_store_that_was_created_before_a_column_has_the_same_calls(tmp_path: Path, column: str, step: str) -> None:
    desk = Desk(tmp_path, CONFIGURATION, settle_rows=1_000_000)
    desk.apply(read_story(f"09:00:00 queued \n 09:00:30 {step}"), AS_OF)
    desk.store.connection.execute(f"ALTER TABLE calls DROP COLUMN {column}")
    desk.close()
    desk = Desk(tmp_path, CONFIGURATION, settle_rows=1_000_000)
    desk.publish(AS_OF)
    assert desk.rows("SELECT outcome, wait_s FROM calls") == [{"outcome": step.split()[0], "wait_s": 30}]
    desk.close()
