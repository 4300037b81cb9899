"""First-contact resolution: which callers did not have to call again.

    contact   = an inbound phone call to a campaign: all visits with one linked_id
    decided   = answered contacts of known callers that began at least fcr_days before as_of
    resolved  = decided contacts after which the same caller did not call the same campaign within fcr_days
    fcr       = resolved / decided

Callers are known again by `caller_key`. A contact counts as answered if any of its visits was. The next contact counts
whether it was answered or not: whoever hangs up in the queue has called again. `fcr_days` is that of the contract term
in force when the contact began; a day has 24 hours.

Edge cases: contacts that are younger than fcr_days are `pending`, also if the caller has called again already; with
these alone, every month would begin at 0 %. Withheld numbers, and callers who were erased, are `unknown` and in no
ratio. A caller before and after a change of the key counts as two, and so does one who calls from two numbers.

References: docs/kpis.md, First-contact resolution. The field has no standard; a survey after the call is the other way.
"""

LONGEST_DAYS = 30
"""The most that `fcr_days` may be: the macro reads so many days after its window."""

_T0, _T1 = "t0::TIMESTAMPTZ", "t1::TIMESTAMPTZ"

COLUMNS = {
    "first_contact": {
        "campaign": ("id", "campaign"),
        "fcr_days": ("days", "fcr_days of the contract term in force at the end of the window"),
        "contacts": ("contacts", "answered contacts of known callers that began in the window"),
        "unknown": ("contacts", "answered contacts of callers who are not known: withheld, or erased"),
        "pending": ("contacts", "of contacts: those that began less than fcr_days before as_of"),
        "decided": ("contacts", "contacts - pending"),
        "resolved": ("contacts", "of decided: the caller did not call the campaign again within fcr_days"),
        "fcr": ("ratio 0–1", "first-contact resolution: resolved / decided; NULL: nothing is decided"),
        "callers": ("callers", "known callers whose contacts began in the window, answered or not"),
        "repeat_callers": ("callers", "of callers: those with more than one contact in the window"),
    }
}
"""Macro → column → unit and meaning."""

FIRST_CONTACT = f"""\
WITH visits AS (
    SELECT campaign, caller_key, coalesce(linked_id, call_id) AS contact, cohort_at, answered_at
    FROM calls
    WHERE day BETWEEN ({_T0} AT TIME ZONE 'UTC')::DATE - 2 AND ({_T1} AT TIME ZONE 'UTC')::DATE + {LONGEST_DAYS + 1}
        AND direction = 'inbound' AND cohort_at IS NOT NULL
),
contacts AS (
    SELECT campaign, contact, any_value(caller_key) AS caller_key, min(cohort_at) AS began_at,
           count(answered_at) > 0 AS is_answered
    FROM visits
    GROUP BY campaign, contact
),
followed AS (
    SELECT *, lead(began_at) OVER (PARTITION BY campaign, caller_key ORDER BY began_at, contact) AS next_at
    FROM contacts
),
judged AS (
    SELECT c.*, epoch_us(began_at) + fcr_days * 86400000000::BIGINT AS until_us
    FROM followed AS c
    JOIN sla_terms AS t ON t.campaign = c.campaign AND began_at >= coalesce(from_at, '-infinity'::TIMESTAMPTZ)
        AND began_at < coalesce(until_at, 'infinity'::TIMESTAMPTZ)
    WHERE began_at >= {_T0} AND began_at < {_T1}
),
counted AS (
    SELECT campaign, count(*) FILTER (is_answered AND caller_key IS NOT NULL) AS contacts,
           count(*) FILTER (is_answered AND caller_key IS NULL) AS unknown,
           count(*) FILTER (is_answered AND caller_key IS NOT NULL AND until_us > epoch_us(as_of)) AS pending,
           contacts - pending AS decided,
           count(*) FILTER (
               is_answered AND caller_key IS NOT NULL AND until_us <= epoch_us(as_of)
               AND (next_at IS NULL OR epoch_us(next_at) >= until_us)
           ) AS resolved
    FROM judged, ingest_status
    GROUP BY campaign
),
days_of AS (
    SELECT campaign, max_by(fcr_days, coalesce(from_at, '-infinity'::TIMESTAMPTZ)) AS fcr_days
    FROM sla_terms
    WHERE from_at IS NULL OR from_at < {_T1}
    GROUP BY campaign
),
called AS (
    SELECT campaign, count(*) AS callers, count(*) FILTER (times > 1) AS repeat_callers
    FROM (SELECT campaign, caller_key, count(*) AS times FROM judged WHERE caller_key IS NOT NULL GROUP BY ALL)
    GROUP BY campaign
)
SELECT campaign, fcr_days, coalesce(contacts, 0) AS contacts, coalesce(unknown, 0) AS unknown,
       coalesce(pending, 0) AS pending, coalesce(decided, 0) AS decided, coalesce(resolved, 0) AS resolved,
       resolved / nullif(decided, 0) AS fcr, coalesce(callers, 0) AS callers,
       coalesce(repeat_callers, 0) AS repeat_callers
FROM (SELECT campaign FROM campaigns)
LEFT JOIN days_of USING (campaign) LEFT JOIN counted USING (campaign) LEFT JOIN called USING (campaign)"""
