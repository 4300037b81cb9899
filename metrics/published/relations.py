"""The base relations of the published file, with the meaning of each row and column. The publisher fills them.

Analysts rely on the names: columns may be added, but not renamed. Times are TIMESTAMPTZ (stored in UTC), durations are
DOUBLE seconds ending in `_s`, ratios are 0–1.
"""

from metrics.kpis.alert_figures import END_REASONS, FIGURES, KEPT_DAYS, MOST_KEPT
from metrics.published.alarms import KINDS

FOLDER = "vigie_folder"
"""Session variable with the path of the published folder. Set it if the folder was moved after it was written."""

CONTRACT = """
formula                  VARCHAR    service-level formula of the contract: see kpi_formulas
threshold_s              DOUBLE     T: the longest wait that is in time [s]
target                   DOUBLE     service level required by the contract [ratio 0–1]
wait_at_threshold_counts BOOLEAN    true: wait <= T is in time; false: wait < T
short_abandon_s          DOUBLE     an abandoned call is short if its wait is below this [s]
"""

_LISTS = {
    "OFFERS": "STRUCT(ts TIMESTAMPTZ, agent VARCHAR, missed BOOLEAN)[]",
    "HOLDS": "STRUCT(ts TIMESTAMPTZ, held BOOLEAN)[]",
}
"""Types that have spaces in them, by the name that the columns below give them."""

# relation: meaning of one row, then its columns: name, type, meaning
_RELATIONS = {
    "calls": (
        "one call: one visit to one queue, and its handling by at most one agent; all history",
        f"""
call_id                  VARCHAR     id of the call
linked_id                VARCHAR     groups the visits of one phone call
campaign                 VARCHAR     campaign id
queue                    VARCHAR     queue; NULL for an outbound attempt that entered no queue
direction                VARCHAR     inbound, outbound or callback
channel                  VARCHAR     voice, chat, …
language                 VARCHAR     language of the caller
priority                 BIGINT      priority in the queue
agent                    VARCHAR     agent who answered first, or for whom the dialer placed the call
caller                   VARCHAR     caller's number, masked
callee                   VARCHAR     dialled number, masked
dialed_at                TIMESTAMPTZ when the dialer placed the call
connected_at             TIMESTAMPTZ when the called party picked up
answered_by              VARCHAR     human or machine; NULL when the source does not say
consent                  VARCHAR     legal basis of an outbound call: consent, contract or none
asked_for_human_at       TIMESTAMPTZ when the caller asked for a person
queued_at                TIMESTAMPTZ when the call entered the queue: the wait begins
answered_at              TIMESTAMPTZ talk with an agent begins; may be assumed where wait_s is NULL
abandoned_at             TIMESTAMPTZ when the customer hung up while waiting; NULL where nobody knows when
ended_at                 TIMESTAMPTZ end of talk: the earlier of ended and transferred, or inferred
wrapped_at               TIMESTAMPTZ when after-call work was done
left_at                  TIMESTAMPTZ when the call left the queue although nobody answered or hung up
left_reason              VARCHAR     why the call left the queue that way
cohort_at                TIMESTAMPTZ the time that decides the call's window: queued_at, or dialed_at if never queued
outcome                  VARCHAR     how the call ended: see kpi_campaign; not_connected: an outbound attempt failed
wait_s                   DOUBLE      from queued_at to the answer, the exit or as_of; NULL: not measured [s]
talk_s                   DOUBLE      ended_at - answered_at - hold_s; NULL unless talk has ended [s]
hold_s                   DOUBLE      time on hold [s]
wrap_s                   DOUBLE      wrapped_at - ended_at, 0 without wrap-up [s]
handle_s                 DOUBLE      talk + hold + wrap; NULL unless answered and talk has ended [s]
held_since               TIMESTAMPTZ when the current hold began; NULL: not on hold now
missed_offers            BIGINT      offers to agents who did not pick up
missed_by                VARCHAR[]   those agents, in order; an agent is listed once for each offer
offers                   OFFERS      rings, and offers that were not picked up (missed), in order; NULL: none
holds                    HOLDS       when the call was put on hold (held) and resumed, in order; NULL: never
transferred              BOOLEAN     talk ended by a transfer
disposition              VARCHAR     result code of the latest wrap-up
sale                     BOOLEAN     the latest wrap-up reports a sale
amount                   DOUBLE      amount of the sale, in `currency`
currency                 VARCHAR     ISO 4217 code of `amount`
score                    DOUBLE      latest answer to the survey, 1 to 5
ended_by                 VARCHAR     customer, agent or system
inferred_end             BOOLEAN     true: no event ended the call, only the agent's next event or give_up_after_s did
clock_skew               BOOLEAN     true: a later step has an earlier timestamp; the time between them counts as 0 s
day                      DATE        the campaign's local date of cohort_at
{CONTRACT}
term_from                TIMESTAMP   local time at which the call's contract term starts; NULL: no start
in_threshold             BOOLEAN     true: the wait is within T of the call's contract; open calls: still within T
caller_key               VARCHAR     keyed hash of caller: equal for the calls of one number; NULL: withheld, or erased
callee_key               VARCHAR     keyed hash of callee, made as caller_key is
""",
    ),
    "agent_states": (
        "one interval in which an agent is in one state; intervals of one agent never overlap",
        """
agent                    VARCHAR     agent id
state                    VARCHAR     available, busy, wrap_up, paused or offline
reason                   VARCHAR     reason of a pause
campaign                 VARCHAR     campaign that the time belongs to: the last one named in the agent's events
started_at               TIMESTAMPTZ start of the interval
ended_at                 TIMESTAMPTZ end of the interval; NULL: the agent is still in this state
seconds                  DOUBLE      length, up to as_of [s]
day                      DATE        UTC date of started_at
""",
    ),
    "agents": (
        "one agent, with their state at as_of",
        """
agent                    VARCHAR     agent id
name                     VARCHAR     name in the latest agent.profile; without one, the agent id
team                     VARCHAR     team
site                     VARCHAR     site
languages                VARCHAR[]   languages
state                    VARCHAR     current state
reason                   VARCHAR     reason of the current pause
since                    TIMESTAMPTZ start of the current state
campaign                 VARCHAR     campaign that the current state belongs to
call_id                  VARCHAR     call that the agent is on: the latest answered, for max_state_s at most
call_since               TIMESTAMPTZ when that call was answered
held_since               TIMESTAMPTZ when that call's current hold began; NULL: not on hold now
""",
    ),
    "campaigns": (
        "one campaign, configured or only named in events",
        """
campaign                 VARCHAR     campaign id
client                   VARCHAR     client id; NULL when not configured
client_name              VARCHAR     client's name
name                     VARCHAR     campaign's name
language                 VARCHAR     language spoken in the campaign, as an ISO 639 code such as fr
timezone                 VARCHAR     IANA zone of the campaign's days and contract terms; see local_days
give_up_after_s          DOUBLE      an open call older than this counts as dropped [s]
configured               BOOLEAN     false: only named in events, and judged by the defaults
recording                VARCHAR     template of the address of a call's recording; NULL: none
window_minutes           INTEGER     length of the campaign's window in kpi_now: 15, 30 or 60 [min]
""",
    ),
    "sla_terms": (
        "one term of a campaign's contract; the terms of a campaign have no gap and no overlap",
        f"""
campaign                 VARCHAR     campaign id
valid_from               TIMESTAMP   local time at which the term starts; NULL: no start
valid_to                 TIMESTAMP   local time at which the term ends (not included); NULL: no end
from_at                  TIMESTAMPTZ valid_from as an instant
until_at                 TIMESTAMPTZ valid_to as an instant
{CONTRACT}
fcr_days                 INTEGER     a contact is resolved if the caller does not call again within so many days
""",
    ),
    "local_days": (
        "one day of a campaign's time zone, by the rules of the pinned tzdata: 23, 24 or 25 hours. Count local hours "
        "from from_at: AT TIME ZONE in a DuckDB 1.5 without ICU_TIMEZONE_FILES_DIR is an hour ahead for Morocco since "
        "2026-09-20",
        """
timezone                 VARCHAR     IANA zone
day                      DATE        local calendar day
from_at                  TIMESTAMPTZ start of the day
until_at                 TIMESTAMPTZ start of the next day
""",
    ),
    "opening_hours": (
        "one span of a campaign's opening hours on one local day, from yesterday to two weeks after as_of; a campaign "
        "without rows has no hours configured, and is always open",
        """
campaign                 VARCHAR     campaign id
day                      DATE        the campaign's local day
open_from                TIMESTAMPTZ when the campaign opens
open_until               TIMESTAMPTZ when it closes (not included)
""",
    ),
    "late_answers": (
        "one local day with a UTC date, more than a day away from it, on which a call of that day was answered (or had "
        "been, before a correction). Macros search these days too, because work is normally within a day of the call",
        """
day                      DATE        local day of the calls
answered_on              DATE        UTC date of an answer
""",
    ),
    "agent_limits": (
        "one row: the configured limits beyond which an agent needs support or a break",
        """
wrap_up_long_s           DOUBLE      a longer wrap-up is too long [s]
hold_long_s              DOUBLE      a longer hold is too long [s]
call_long_s              DOUBLE      a longer call is too long [s]
pause_long_s             DOUBLE      a longer pause is too long, if its reason is not in `breaks` [s]
missed_offers            BIGINT      this many missed offers within lately_s are too many
lately_s                 DOUBLE      period over which occupancy and missed offers are measured [s]
occupancy_high           DOUBLE      above this, the agent needs relief soon [ratio 0–1]
occupancy_too_high       DOUBLE      above this, the agent needs relief now [ratio 0–1]
breath_s                 DOUBLE      shortest time without work between two calls that counts as a breather [s]
streak_calls             BIGINT      this many calls without a breather are too many
breaks                   MAP(VARCHAR,DOUBLE) reasons of pauses that are rest, each with its planned length [s]
rest_s                   DOUBLE      shortest rest that counts [s]
rest_within_s            DOUBLE      time after a rest within which the next is due [s]
break_s                  DOUBLE      shortest break that counts, by law or contract [s]
break_within_s           DOUBLE      time after a break within which the next is due [s]
sites                    MAP(VARCHAR,MAP(VARCHAR,DOUBLE)) sites with their own values for some of the four above [s]
""",
    ),
    "ingest_status": (
        "one row: what this file contains and when it was written",
        """
as_of                    TIMESTAMPTZ the time at which this file describes the floor
published_at             TIMESTAMPTZ when the file was written
last_event_at            TIMESTAMPTZ time of the latest event read
first_day                DATE        first local day with a call or with agents' time
first_call_day           DATE        first local day with a call
last_day                 DATE        last local day with a call or with agents' time
records                  BIGINT      Kafka records read
events                   BIGINT      events accepted, without duplicates
duplicates               BIGINT      events that were delivered again, or too late to change anything
dead_letters             BIGINT      rejected records and lines
lag                      BIGINT      records not yet read
records_per_s            DOUBLE      Kafka records read per second over the last 10 s; NULL: not measured yet
publish_s                DOUBLE      time taken to publish the previous file; NULL: this is the first [s]
store_bytes              BIGINT      size of the consumer's private store [bytes]
published_bytes          BIGINT      size of the previous published file and the settled days' Parquet files [bytes]
disk_free_bytes          BIGINT      free space on the disk with these files [bytes]
lateness_s               DOUBLE      a window is settled when it ended this long ago and its calls are closed [s]
max_state_s              DOUBLE      an agent's state, or the work on a call, counts this long at most; up to a day [s]
notice                   VARCHAR     what is wrong with the configuration file; an older configuration is in force
version                  VARCHAR     version of these relations
letters_left_out         BIGINT      of dead_letters, those that were only counted: see dead_letters_left_out
""",
    ),
    "feed_partitions": (
        "one partition of the Kafka topic",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
position                 BIGINT      offset of the next record to read; this file contains everything before it
end_offset               BIGINT      offset after the last record, when the file was written
lag                      BIGINT      end_offset - position: records not yet read
""",
    ),
    "feed_gaps": (
        "one range of records that Kafka deleted before they were read: figures lack their events",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
from_offset              BIGINT      first offset that was not read
to_offset                BIGINT      offset of the next record that was read
records                  BIGINT      to_offset - from_offset: at most this many records are missing
noticed_at               TIMESTAMPTZ when the consumer noticed the gap
""",
    ),
    "feed_sources": (
        "one source named in events, such as a switch or a dialer",
        """
source                   VARCHAR     source
events                   BIGINT      events accepted, without duplicates; a revised event counts for its latest source
last_event_at            TIMESTAMPTZ time of the latest event read from this source
""",
    ),
    "conservation_checks": (
        "one campaign and local day: today, days with unsettled calls, settled days of the last 35, and every day with "
        "an alarm",
        """
campaign                 VARCHAR     campaign id
day                      DATE        the campaign's local day; NULL: calls without a day, or judged twice
offered                  BIGINT      calls offered, as counted by kpi_campaign
accounted                BIGINT      calls with one of the outcomes that add up to offered
refused                  BIGINT      calls refused, counted separately
conserved                BOOLEAN     whether offered = accounted; false raises an alarm
checked_at               TIMESTAMPTZ when this was checked: at this publish, or when the day's calls were settled
""",
    ),
    "alarms": (
        "one active alarm: something that happens only if Vigie, a source or a disk is at fault",
        f"""
kind                     VARCHAR     {"; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())}
measure                  VARCHAR     column or relation that was counted; `stored` and `by_source` count events
campaign                 VARCHAR     campaign id; NULL: not about one campaign
day                      DATE        local day of the campaign, or of archived rows; NULL: not about one day, or no day
source                   VARCHAR     source whose events were counted; NULL: not about one source
counted                  BIGINT      the actual number
expected                 BIGINT      the correct number, or the highest allowed
since                    TIMESTAMPTZ time of the publish that first noticed it
""",
    ),
    "alerts": (
        f"one firing of an alert rule: while it fires, and for {KEPT_DAYS} days after it ended; of those that ended, "
        f"the latest {MOST_KEPT:,}",
        f"""
alert_id                 VARCHAR     id of this firing, the same in every snapshot and after restarts
rule                     VARCHAR     name of the rule in campaigns.toml
severity                 VARCHAR     info, warning or critical
figure                   VARCHAR     {"; ".join(f"{name}: {f.meaning} [{f.unit}]" for name, f in FIGURES.items())}
campaign                 VARCHAR     campaign id; NULL: not about one campaign
client                   VARCHAR     client of that campaign; NULL: none
source                   VARCHAR     source; NULL: not about one source
comparison               VARCHAR     below or above: the side of the threshold on which the rule fires
threshold                DOUBLE      the threshold, in the figure's unit
end_threshold            DOUBLE      it ends when the value is back at this, in the figure's unit
usual                    DOUBLE      usual value at this time of this weekday; NULL: the rule does not compare with it
value                    DOUBLE      latest value, in the figure's unit; once it ended, the value at its end
worst                    DOUBLE      the worst value since began_at
worst_at                 TIMESTAMPTZ when it first had that value
calls                    BIGINT      calls of the window that count in the figure; NULL: not computed from calls
began_at                 TIMESTAMPTZ since when the condition has been true
fired_at                 TIMESTAMPTZ when it fired: the condition had been true for the rule's for_s
ended_at                 TIMESTAMPTZ when it ended; NULL: it fires
end_reason               VARCHAR     {"; ".join(f"{reason}: {meaning}" for reason, meaning in END_REASONS.items())}
notify                   VARCHAR[]   groups to notify
escalate                 VARCHAR[]   groups to notify if nobody acknowledges it
escalate_after_s         DOUBLE      time after fired_at for that [s]
repeat_after_s           DOUBLE      time after which a notification is repeated [s]; NULL: never
""",
    ),
    "deletions": (
        "what was deleted on one day because of its age, of one class and client: [retention] in campaigns.toml. Sums "
        "and figures by campaign and queue stay; lists, and figures by agent, lack the deleted calls",
        """
deleted_on               DATE        UTC day of the deletion
class                    VARCHAR     events, calls, or agent_states: names of agents that became pseudonyms
client                   VARCHAR     client whose rows these were; NULL: all, or no client's
first_day                DATE        first day of the rows
last_day                 DATE        last day of the rows
rows                     BIGINT      rows
files                    BIGINT      Parquet files that were deleted or written again
""",
    ),
    "dead_letters_left_out": (
        "one source and UTC day with more dead letters than are kept: the others were only counted",
        """
source                   VARCHAR     source that the lines name; NULL: none
day                      DATE        UTC day on which they were read
lines                    BIGINT      rejected records and lines that are not in dead_letters
last_at                  TIMESTAMPTZ when the last of them was read
""",
    ),
    "dead_letters": (
        "one rejected record, or one rejected line of a record; kept for a configured number of days, and so many of "
        "each minute",
        """
topic                    VARCHAR     Kafka topic
partition                INTEGER     Kafka partition
offset                   BIGINT      Kafka offset
line                     INTEGER     line of the record, counted from 1
received_at              TIMESTAMPTZ Kafka's timestamp of the record
reason                   VARCHAR     what was wrong, in one sentence
payload                  VARCHAR     the payload, up to 4,096 characters; whatever may be private is masked
""",
    ),
}


def _columns(text: str) -> dict[str, tuple[str, str]]:
    lines = [line.split(None, 2) for line in text.splitlines() if line]
    return {name: (_LISTS.get(kind, kind), meaning) for name, kind, meaning in lines}


MEANING = {name: meaning for name, (meaning, _) in _RELATIONS.items()}
COLUMNS = {name: _columns(text) for name, (_, text) in _RELATIONS.items()}


def create(relation: str, name: str | None = None) -> str:
    """Return the CREATE TABLE statement of a base relation, under its own name or as `name`."""
    columns = ", ".join(f'"{column}" {kind}' for column, (kind, _) in COLUMNS[relation].items())
    return f"CREATE TABLE {name or relation} ({columns})"
