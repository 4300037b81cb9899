"""The readers of pages and notify: one module per subject, with its SQL, result classes and reader functions.

Each reader takes the published file and the Viewer: `board(published(), viewer, …)`. Answers are cached and shared by
all viewers. They are filtered for the Viewer, or refused, when they are returned. No reader works without a Viewer. For
a new subject, add a module and import it below.

Planning a macro costs more (about 70 ms of CPU) than running it. So each snapshot queries only two: `kpi_days`, once
for the local day of every campaign, and `kpi_now`. Everything else except waiting calls changes slowly, and is queried
every SLOW_S.
"""

from metrics.authorisation.suppression import may_show
from metrics.readers.agents import NEEDS, STATES, Agent, AgentDay, Agents, Need, Pauses, Share, Stint, Strain, agents
from metrics.readers.alerts import Alert, alerts, may_see_alert
from metrics.readers.analysis.query import COLUMNS, ROWS, SECONDS, SIZE, Answer, Query, Trouble, may_query, query
from metrics.readers.analysis.query import LONGEST as LONGEST_QUERY
from metrics.readers.analysis.schema import Column, Relation, schema
from metrics.readers.calls import (
    BEHIND,
    LONGEST,
    OUTCOMES,
    PER_PAGE,
    QUARTER_MIN,
    Call,
    CallFilters,
    CallList,
    agents_of_calls,
    calls,
    orders,
    queues_of_calls,
)
from metrics.readers.campaigns import MINUTES, STEPS, Campaign, Interval, Kpis
from metrics.readers.contract.sla import HOUR, Day, Figures, Period, Sla, Slot, Work, months, sla
from metrics.readers.contract.terms import JudgedTerm, Term
from metrics.readers.days.causes import Cause, causes
from metrics.readers.days.day import CampaignDay, day, first_day, queues
from metrics.readers.days.history import WEEKS, Added, Comparison, Weeks, compare, weeks
from metrics.readers.days.periods import CampaignPeriod, CampaignsPeriod, campaigns_in
from metrics.readers.explained import AGENT_FIGURES, FIGURES, Elsewhere, Explained, explain
from metrics.readers.feed import Alarm, Check, DeadLetter, Feed, Gap, Partition, Source, feed
from metrics.readers.shifts import Shift, Shifts, shifts
from metrics.readers.snapshot import (
    SLOW_S,
    Counters,
    Freshness,
    Published,
    PublishedFileError,
    SnapshotId,
    one_drawing,
    published,
)
from metrics.readers.story import Step, Story, Visit, story
from metrics.readers.wall import AgentCounts, Board, CampaignNow, Now, WaitingCall, board, campaign, freshness, waiting

__all__ = [
    "AGENT_FIGURES",
    "BEHIND",
    "COLUMNS",
    "FIGURES",
    "HOUR",
    "LONGEST",
    "LONGEST_QUERY",
    "MINUTES",
    "NEEDS",
    "OUTCOMES",
    "PER_PAGE",
    "QUARTER_MIN",
    "ROWS",
    "SECONDS",
    "SIZE",
    "SLOW_S",
    "STATES",
    "STEPS",
    "WEEKS",
    "Added",
    "Agent",
    "AgentCounts",
    "AgentDay",
    "Agents",
    "Alarm",
    "Alert",
    "Answer",
    "Board",
    "Call",
    "CallFilters",
    "CallList",
    "Campaign",
    "CampaignDay",
    "CampaignNow",
    "CampaignPeriod",
    "CampaignsPeriod",
    "Cause",
    "Check",
    "Column",
    "Comparison",
    "Counters",
    "Day",
    "DeadLetter",
    "Elsewhere",
    "Explained",
    "Feed",
    "Figures",
    "Freshness",
    "Gap",
    "Interval",
    "JudgedTerm",
    "Kpis",
    "Need",
    "Now",
    "Partition",
    "Pauses",
    "Period",
    "Published",
    "PublishedFileError",
    "Query",
    "Relation",
    "Share",
    "Shift",
    "Shifts",
    "Sla",
    "Slot",
    "SnapshotId",
    "Source",
    "Step",
    "Stint",
    "Story",
    "Strain",
    "Term",
    "Trouble",
    "Visit",
    "WaitingCall",
    "Weeks",
    "Work",
    "agents",
    "agents_of_calls",
    "alerts",
    "board",
    "calls",
    "campaign",
    "campaigns_in",
    "causes",
    "compare",
    "day",
    "explain",
    "feed",
    "first_day",
    "freshness",
    "may_query",
    "may_see_alert",
    "may_show",
    "months",
    "one_drawing",
    "orders",
    "published",
    "query",
    "queues",
    "queues_of_calls",
    "schema",
    "shifts",
    "sla",
    "story",
    "waiting",
    "weeks",
]
