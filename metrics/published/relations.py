"""The base relations of the published file: what each row and each column is. The publisher fills them.

Stable names for analysts: columns may be added, not renamed. Times are TIMESTAMPTZ (stored in UTC), durations DOUBLE
seconds ending in `_s`, ratios 0–1.
"""

from metrics.published.alarms import KINDS

FOLDER = "vigie_folder"
"""A session's variable: where the published folder is, for who has it elsewhere than where it was written."""

CONTRACT = """
formula                  VARCHAR    service-level formula of the contract: see kpi_formulas
threshold_s              DOUBLE     T: a wait up to it is in time [s]
target                   DOUBLE     service level that the contract asks for [ratio 0–1]
wait_at_threshold_counts BOOLEAN    true: wait <= T is in time; false: wait < T
short_abandon_s          DOUBLE     an abandon after a wait below it is short [s]
"""

# relation: what one row is, then its columns: name, type, meaning
_RELATIONS = {
    "calls": (
        "one call: one visit to one queue and its handling by at most one agent; all history",
        f"""
call_id                  VARCHAR     identity of the visit
linked_id                VARCHAR     groups the visits of one phone call
campaign                 VARCHAR     campaign id
queue                    VARCHAR     queue; NULL for a dialer's attempt that no queue saw
direction                VARCHAR     inbound, outbound or callback
channel                  VARCHAR     voice, chat, …
language                 VARCHAR     language of the caller
priority                 BIGINT      priority in the queue
agent                    VARCHAR     agent who answered first, or for whom was dialed
caller                   VARCHAR     caller's number, masked
callee                   VARCHAR     dialed number, masked
dialed_at                TIMESTAMPTZ the dialer placed the call
connected_at             TIMESTAMPTZ the called party picked up
answered_by              VARCHAR     human or machine; NULL when the source does not say
consent                  VARCHAR     ground of an outbound call: consent, contract or none
asked_for_human_at       TIMESTAMPTZ the caller asked for a person
queued_at                TIMESTAMPTZ entered the queue: the wait begins
answered_at              TIMESTAMPTZ an agent and the customer were connected: talk begins
abandoned_at             TIMESTAMPTZ the customer hung up while waiting
ended_at                 TIMESTAMPTZ end of talk: the earliest of ended and transferred, or inferred
wrapped_at               TIMESTAMPTZ after-call work was done
left_at                  TIMESTAMPTZ left the queue without an agent and without hanging up
left_reason              VARCHAR     why it left the queue
cohort_at                TIMESTAMPTZ the instant that decides its window: queued_at, or dialed_at when no queue saw it
outcome                  VARCHAR     what became of it: see kpi_campaign; not_connected for outbound attempts
wait_s                   DOUBLE      wait: answered_at - queued_at, or to the end of the visit; open calls: so far [s]
talk_s                   DOUBLE      ended_at - answered_at - hold; NULL unless talk has ended [s]
hold_s                   DOUBLE      time on hold [s]
wrap_s                   DOUBLE      wrapped_at - ended_at, 0 without wrap-up [s]
handle_s                 DOUBLE      talk + hold + wrap; NULL unless answered and talk has ended [s]
held_since               TIMESTAMPTZ on hold since; NULL unless it is on hold now
missed_offers            BIGINT      offers to agents who did not pick up
missed_by                VARCHAR[]   those agents, in order, as often as it was offered to them
transferred              BOOLEAN     talk ended by a transfer
disposition              VARCHAR     result code of the latest wrap-up
sale                     BOOLEAN     the latest wrap-up reports a sale
amount                   DOUBLE      amount of the sale, in `currency`
currency                 VARCHAR     ISO 4217 code of `amount`
score                    DOUBLE      latest answer to the survey, 1 to 5
ended_by                 VARCHAR     customer, agent or system
inferred_end             BOOLEAN     no event said that it ended: closed by the agent's next step, or given up
clock_skew               BOOLEAN     a pair of stamps ran backwards and counts 0 s
day                      DATE        the campaign's local date of cohort_at
{CONTRACT}
term_from                TIMESTAMP   local time from which the call's contract term holds; NULL: always
in_threshold             BOOLEAN     the wait is inside T of the call's contract; open calls: still inside
""",
    ),
    "agent_states": (
        "one agent and state interval; intervals of one agent never overlap",
        """
agent                    VARCHAR     agent id
state                    VARCHAR     available, busy, wrap_up, paused or offline
reason                   VARCHAR     reason of a pause
campaign                 VARCHAR     campaign the time belongs to: the last one named for the agent
started_at               TIMESTAMPTZ the state began
ended_at                 TIMESTAMPTZ the state ended; NULL while it lasts
seconds                  DOUBLE      length, up to as_of [s]
day                      DATE        UTC date of started_at
""",
    ),
    "agents": (
        "one agent, as of as_of",
        """
agent                    VARCHAR     agent id
name                     VARCHAR     name of the latest profile, else the id
team                     VARCHAR     team
site                     VARCHAR     site
languages                VARCHAR[]   languages
state                    VARCHAR     state now
reason                   VARCHAR     reason of the pause now
since                    TIMESTAMPTZ in this state since
campaign                 VARCHAR     campaign of the state
call_id                  VARCHAR     call that the agent is on: of several, the one answered last; max_state_s at most
call_since               TIMESTAMPTZ when that call was answered
held_since               TIMESTAMPTZ that call is on hold since; NULL unless it is
""",
    ),
    "campaigns": (
        "one campaign, configured or only seen in events",
        """
campaign                 VARCHAR     campaign id
client                   VARCHAR     client id; NULL when not configured
client_name              VARCHAR     client's name
name                     VARCHAR     campaign's name
language                 VARCHAR     fr, es or en
timezone                 VARCHAR     IANA zone: days and contract terms are local to it, by the rules of local_days
give_up_after_s          DOUBLE      an open call older than this counts as dropped [s]
configured               BOOLEAN     false: seen in events only, judged by the defaults
""",
    ),
    "sla_terms": (
        "one term of a campaign's contract; the terms of a campaign follow each other without gap",
        f"""
campaign                 VARCHAR     campaign id
valid_from               TIMESTAMP   local time from which it holds; NULL: always
valid_to                 TIMESTAMP   local time until which it holds (not included); NULL: still
from_at                  TIMESTAMPTZ valid_from as an instant
until_at                 TIMESTAMPTZ valid_to as an instant
{CONTRACT}
""",
    ),
    "local_days": (
        "one day of a zone that a campaign is in, by the zone rules of the pinned tzdata: 23, 24 or 25 hours. Count "
        "local hours from from_at; AT TIME ZONE of a DuckDB 1.5 without ICU_TIMEZONE_FILES_DIR is an hour ahead for "
        "Morocco since 2026-09-20",
        """
timezone                 VARCHAR     IANA zone
day                      DATE        the zone's calendar day
from_at                  TIMESTAMPTZ the day began
until_at                 TIMESTAMPTZ the next day began
""",
    ),
    "late_answers": (
        "one local day, and a UTC date more than a day from it on which a call of that day was answered (or had been, "
        "before it was corrected): where work is looked for besides the days around it",
        """
day                      DATE        local day of the calls
answered_on              DATE        UTC date of an answer
""",
    ),
    "agent_limits": (
        "one row: when an agent needs a person, or a break, as the configuration says",
        """
wrap_up_long_s           DOUBLE      longer in wrap-up is too long [s]
hold_long_s              DOUBLE      longer on hold is too long [s]
call_long_s              DOUBLE      longer on one call is too long [s]
pause_long_s             DOUBLE      a longer pause, of no reason in `breaks`, is too long [s]
missed_offers            BIGINT      so many offers missed within lately_s are many
lately_s                 DOUBLE      over so much time occupancy and missed offers are looked at [s]
occupancy_high           DOUBLE      above it somebody is to be relieved soon [ratio 0–1]
occupancy_too_high       DOUBLE      above it somebody is to be relieved now [ratio 0–1]
breath_s                 DOUBLE      less time without work between two calls is no breath [s]
streak_calls             BIGINT      so many calls without a breath are many
breaks                   MAP(VARCHAR,DOUBLE) reason of a pause that is rest: how long it is planned to last [s]
rest_s                   DOUBLE      a rest at least so long counts [s]
rest_within_s            DOUBLE      it is due so long after the last one [s]
break_s                  DOUBLE      a break at least so long counts: the law's, or the contract's [s]
break_within_s           DOUBLE      it is due so long after the last one [s]
sites                    MAP(VARCHAR,MAP(VARCHAR,DOUBLE)) site with its own breaks: which of these four differ there [s]
""",
    ),
    "ingest_status": (
        "one row: what this file was made of and when",
        """
as_of                    TIMESTAMPTZ the instant at which everything here is judged
published_at             TIMESTAMPTZ the file was written
last_event_at            TIMESTAMPTZ latest event time read
first_day                DATE        first local day of a call, or of an agent's time
first_call_day           DATE        first local day of a call
last_day                 DATE        last local day of a call, or of an agent's time
records                  BIGINT      Kafka records read
events                   BIGINT      events accepted, duplicates left out
duplicates               BIGINT      events delivered again
dead_letters             BIGINT      rejected records and lines
lag                      BIGINT      records not yet read
records_per_s            DOUBLE      Kafka records read a second, over the last 10 s; NULL before there is a pace
publish_s                DOUBLE      how long it took to publish the file before this one; NULL for the first [s]
store_bytes              BIGINT      size of the consumer's private store
published_bytes          BIGINT      size of the published file before this one, and of the settled days' Parquet files
disk_free_bytes          BIGINT      free on the disk that they are on
lateness_s               DOUBLE      a window is settled when its calls are closed and it is this old [s]
max_state_s              DOUBLE      an agent's state, and the work on a call, lasts no longer, a day at most [s]
notice                   VARCHAR     what is wrong with the configuration file, while an older one is in force
version                  VARCHAR     version of these relations
""",
    ),
    "feed_partitions": (
        "one partition of the topic that is read",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
position                 BIGINT      offset of the next record to read; what lies before it is in this file
end_offset               BIGINT      one past the last record, as known when the file was written
lag                      BIGINT      end_offset - position: records not yet read
""",
    ),
    "feed_gaps": (
        "one run of offsets that Kafka deleted before they were read: figures lack what was in them",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
from_offset              BIGINT      first offset that was not read
to_offset                BIGINT      offset of the record that was read next
records                  BIGINT      to_offset - from_offset: at most so many records are missing
noticed_at               TIMESTAMPTZ when the consumer found out
""",
    ),
    "feed_sources": (
        "one source that events name: a switch, a dialer",
        """
source                   VARCHAR     source
events                   BIGINT      events accepted, duplicates left out; a revision counts for the source it names
last_event_at            TIMESTAMPTZ latest event time read from it
""",
    ),
    "conservation_checks": (
        "one campaign and local day: today, days with unsettled calls, settled ones of 35 days, and all with an alarm",
        """
campaign                 VARCHAR     campaign id
day                      DATE        the campaign's local day; NULL: calls that are in no day, or judged twice
offered                  BIGINT      calls offered, as kpi_campaign counts them
accounted                BIGINT      those of them that stand under one of the outcomes that sum to offered
refused                  BIGINT      calls refused, counted apart
conserved                BOOLEAN     offered = accounted; false is an alarm
checked_at               TIMESTAMPTZ when it was checked: at this publish, or when the day's calls were settled
""",
    ),
    "alarms": (
        "one alarm that rings: something that can only be when Vigie, a source or a disk is at fault",
        f"""
kind                     VARCHAR     {"; ".join(f"{kind}: {what}" for kind, what in KINDS.items())}
measure                  VARCHAR     what was counted, as columns and relations are named; stored, by_source: events
campaign                 VARCHAR     campaign id; NULL: the alarm is not about one
day                      DATE        local day of the campaign, or of archived rows; NULL: not about one, or in no day
source                   VARCHAR     source whose events were counted; NULL: not about one
counted                  BIGINT      how many there are
expected                 BIGINT      how many there should be, or may be at most
since                    TIMESTAMPTZ the publish that noticed it
""",
    ),
    "dead_letters": (
        "one rejected record, or line of a record",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
offset                   BIGINT      Kafka offset
line                     INTEGER     line of the record, from 1
received_at              TIMESTAMPTZ Kafka's timestamp
reason                   VARCHAR     what was wrong, in one sentence
payload                  VARCHAR     the payload, up to 64 KiB; what is or may be a phone number is masked
""",
    ),
}


def _columns(text: str) -> dict[str, tuple[str, str]]:
    return {line.split()[0]: (line.split()[1], line.split(None, 2)[2]) for line in text.splitlines() if line}


MEANING = {name: meaning for name, (meaning, _) in _RELATIONS.items()}
COLUMNS = {name: _columns(text) for name, (_, text) in _RELATIONS.items()}


def create(relation: str, name: str | None = None) -> str:
    """Return the CREATE TABLE of a base relation, under its own name or another."""
    columns = ", ".join(f'"{column}" {kind}' for column, (kind, _) in COLUMNS[relation].items())
    return f"CREATE TABLE {name or relation} ({columns})"
