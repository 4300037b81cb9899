-- Instants are computed with as microseconds: arithmetic on TIMESTAMPTZ goes through a calendar, 20 times slower.
CREATE OR REPLACE TEMP MACRO later(instant, seconds) AS make_timestamptz(epoch_us(instant) + (seconds * 1e6)::BIGINT);
CREATE OR REPLACE TEMP MACRO seconds_between(start, stop) AS  -- never below 0, NULL while either is unknown
    CASE WHEN stop < start THEN 0.0 ELSE (epoch_us(stop) - epoch_us(start)) / 1e6 END;
CREATE OR REPLACE TEMP MACRO mask_number(number) AS
    CASE WHEN length(number) > 6 THEN number[:3] || repeat('•', length(number)::INTEGER - 5) || number[-2:]
         ELSE repeat('•', length(number)::INTEGER) END;

CREATE OR REPLACE TEMP MACRO mask_payload(payload) AS
    regexp_replace(payload, '("(caller|callee|to_number)"\s*:\s*"?)[^",}\n]*', '\1•••', 'g');

-- What is published, judged at getvariable('as_of'). The publisher has put the configuration into the temporary
-- tables known_campaigns, terms and zone_offsets (a zone's distance from UTC in each quarter of an hour since 1970).

CREATE OR REPLACE TEMP TABLE unended AS
SELECT call_id, agent, answered_at
FROM calls
WHERE answered_at IS NOT NULL AND talk_end_at IS NULL AND agent IS NOT NULL;

-- What agents did that closes an unended call: any state but busy, or another call answered on a voice channel.
CREATE OR REPLACE TEMP TABLE next_steps AS
SELECT agent, ts AS at
FROM events
WHERE type = 'agent.state' AND state != 'busy' AND agent IN (SELECT agent FROM unended)
UNION ALL
SELECT agent, answered_at FROM calls WHERE channel = 'voice' AND agent IN (SELECT agent FROM unended);

CREATE OR REPLACE TEMP TABLE judged_calls AS
WITH ended AS (  -- an answered call without an end is closed by what its agent did next
    SELECT
        c.* EXCLUDE (talk_end_at),
        talk_end_at IS NULL AND next.at IS NOT NULL AS end_is_inferred,
        coalesce(talk_end_at, next.at) AS ended_at,
        coalesce(queued_at, dialed_at) AS cohort_at,
        coalesce(queued_at, connected_at) AS waits_from
    FROM calls c
    LEFT JOIN (
        SELECT a.call_id, min(n.at) AS at
        FROM unended a
        JOIN next_steps n ON n.agent = a.agent AND n.at > a.answered_at
        GROUP BY a.call_id
    ) next USING (call_id)
),
localized AS (  -- in its campaign's local time
    SELECT
        e.*,
        k.give_up_after_s,
        make_timestamp(epoch_us(cohort_at) + o.offset_s * 1000000) AS cohort_local
    FROM ended e
    LEFT JOIN known_campaigns k USING (campaign)
    LEFT JOIN zone_offsets o ON o.timezone = k.timezone AND o.quarter = epoch_us(e.cohort_at) // 900000000
),
placed AS (  -- under the contract in force then
    SELECT
        l.* EXCLUDE (cohort_local),
        cohort_local::DATE AS day,
        t.formula, t.threshold_s, t.target, t.wait_at_threshold_counts, t.short_abandon_s, t.valid_from AS term_from,
        epoch_us(getvariable('as_of')) - epoch_us(cohort_at) > give_up_after_s * 1e6 AS is_given_up
    FROM localized l
    LEFT JOIN terms t
        ON t.campaign = l.campaign
        AND cohort_local >= coalesce(t.valid_from, '-infinity') AND cohort_local < coalesce(t.valid_to, 'infinity')
),
visited AS (  -- how the visit to the queue ended, and when
    SELECT
        *,
        CASE
            WHEN answered_at IS NOT NULL THEN 'answered'
            WHEN abandoned_at IS NOT NULL THEN 'abandoned'
            WHEN left_reason IN ('closed', 'full', 'no_agents') THEN 'refused'
            WHEN left_reason = 'overflow' THEN 'overflowed'
            WHEN left_reason IN ('callback', 'voicemail') THEN left_reason
            WHEN left_reason IN ('timeout', 'system') THEN 'dropped'
            WHEN (direction = 'outbound' OR cohort_at IS NULL)
                AND (not_connected_at IS NOT NULL OR (ended_event_at IS NOT NULL AND answered_by = 'machine'))
                THEN 'not_connected'
            WHEN ended_event_at IS NOT NULL THEN 'abandoned'
            WHEN is_given_up THEN 'dropped'
            ELSE 'open'
        END AS visit,
        CASE visit
            WHEN 'answered' THEN answered_at
            WHEN 'open' THEN getvariable('as_of')
            WHEN 'not_connected' THEN coalesce(not_connected_at, ended_event_at)
            ELSE coalesce(abandoned_at, left_at, ended_event_at, later(cohort_at, give_up_after_s))
        END AS wait_ended_at
    FROM placed
),
measured AS (
    SELECT
        *,
        seconds_between(waits_from, wait_ended_at) AS wait_s,
        CASE WHEN visit = 'answered' THEN seconds_between(answered_at, ended_at) END AS call_s,
        list_filter(holds, lambda h: h.ts >= answered_at AND h.ts <= ended_at) AS own_holds
    FROM visited
),
held AS (
    SELECT
        *,
        CASE
            WHEN call_s IS NULL THEN NULL
            WHEN own_holds IS NULL THEN 0.0
            ELSE coalesce(list_sum(list_transform(
                own_holds,
                lambda h, i: CASE WHEN h.held THEN epoch_us(coalesce(own_holds[i + 1].ts, ended_at)) - epoch_us(h.ts) ELSE 0 END
            )), 0) / 1e6
        END AS hold_s,
        CASE
            WHEN call_s IS NULL THEN NULL
            ELSE coalesce(seconds_between(ended_at, wrapped_at), 0.0)
        END AS wrap_s
    FROM measured
)
SELECT
    call_id, linked_id, campaign, queue, direction, channel, language, priority, agent,
    mask_number(caller) AS caller, mask_number(callee) AS callee, consent,
    asked_for_human_at, queued_at, dialed_at, connected_at, answered_by, answered_at, abandoned_at,
    ended_at, wrapped_at, left_at, left_reason, cohort_at,
    CASE
        WHEN visit = 'abandoned' AND wait_s < coalesce(short_abandon_s, 0) THEN 'short_abandoned'
        ELSE visit
    END AS outcome,
    wait_s,
    call_s - hold_s AS talk_s,
    hold_s,
    wrap_s,
    call_s + wrap_s AS handle_s,
    missed_offers, transferred, disposition, sale, amount, currency, score, ended_by,
    end_is_inferred OR (visit = 'dropped' AND left_at IS NULL) AS inferred_end,
    coalesce(wait_ended_at < waits_from, false) OR coalesce(ended_at < answered_at, false)
        OR coalesce(wrapped_at < ended_at, false) AS clock_skew,
    day, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s, term_from,
    CASE WHEN wait_at_threshold_counts THEN wait_s <= threshold_s ELSE wait_s < threshold_s END AS in_threshold
FROM held;

CREATE OR REPLACE TEMP TABLE timeline AS
WITH told AS (
    SELECT
        agent, ts, event_id, type, state, reason,
        last_value(campaign IGNORE NULLS) OVER (PARTITION BY agent ORDER BY ts, event_id) AS campaign
    FROM events
    WHERE type IN ('agent.state', 'agent.profile')
),
states AS (  -- of two states at one instant the last event_id counts; before an agent's mark they are settled
    SELECT agent, ts, state, reason, campaign
    FROM told
    LEFT JOIN agent_marks USING (agent)
    WHERE type = 'agent.state' AND (hot_from IS NULL OR ts >= hot_from)
    QUALIFY row_number() OVER (PARTITION BY agent, ts ORDER BY event_id DESC) = 1
),
followed AS (
    SELECT *, lead(ts) OVER (PARTITION BY agent ORDER BY ts) AS next_at, later(ts, getvariable('max_state_s')) AS limit_at
    FROM states
),
capped AS (  -- a state lasts at most max_state_s: then the logout was lost and the agent is offline
    SELECT
        agent, state, reason, campaign, ts AS started_at,
        CASE WHEN next_at > limit_at OR (next_at IS NULL AND getvariable('as_of') >= limit_at) THEN limit_at ELSE next_at END
            AS ended_at
    FROM followed
    WHERE state != 'offline'
    UNION ALL
    SELECT
        agent, 'offline', CASE WHEN state = 'offline' THEN reason END, campaign,
        CASE WHEN state = 'offline' THEN ts ELSE limit_at END,
        next_at
    FROM followed
    WHERE state = 'offline' OR next_at > limit_at OR (next_at IS NULL AND getvariable('as_of') >= limit_at)
),
marked AS (  -- equal states that follow each other are one, within a UTC day: so no row is longer than 36 h
    SELECT *, count(*) FILTER (is_new) OVER (PARTITION BY agent ORDER BY started_at) AS run
    FROM (
        SELECT
            *,
            (state, reason, campaign, day) IS DISTINCT FROM
                lag((state, reason, campaign, day)) OVER (PARTITION BY agent ORDER BY started_at) AS is_new
        FROM (SELECT *, make_timestamp(epoch_us(started_at))::DATE AS day FROM capped)
    )
)
SELECT
    agent, any_value(state) AS state, any_value(reason) AS reason, any_value(campaign) AS campaign,
    min(started_at) AS started_at,
    CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END AS ended_at,
    seconds_between(
        min(started_at),
        least(CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END, getvariable('as_of'))
    ) AS seconds,
    make_timestamp(epoch_us(min(started_at)))::DATE AS day
FROM marked
GROUP BY agent, run;
