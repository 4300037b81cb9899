-- The rows to publish, judged at getvariable('as_of'). Only what may have changed since the last judging is judged: the
-- calls in calls_to_judge, and the agents in dirty_agents from an instant on. Judging everything gives the same rows.
-- The configuration is in known_campaigns, terms and zone_offsets (a zone's offset from UTC in each quarter of an hour,
-- counted since 1970).
-- Reads: agent_marks, calls, calls_to_judge, campaigns_before, dirty_agents, events, just_judged_calls,
--     known_campaigns, recalled_stretches, terms, timeline, zone_offsets, later(), seconds_between(), $as_of,
--     $has_lasts_s, $max_state_s.
-- Changes: steady_calls, timeline.
-- Makes: changed_timelines, fresh_timelines, just_judged_calls, next_steps, unended_calls.

DELETE FROM steady_calls WHERE call_id IN (FROM calls_to_judge);
INSERT INTO steady_calls BY NAME FROM just_judged_calls ANTI JOIN calls_to_judge USING (call_id);

CREATE OR REPLACE TEMP TABLE unended_calls AS
SELECT call_id, agent, answered_at
FROM calls
SEMI JOIN calls_to_judge USING (call_id)
WHERE answered_at IS NOT NULL AND talk_end_at IS NULL AND agent IS NOT NULL;

-- Steps of agents that close an unended call: any state but busy, or the answer of another voice call.
CREATE OR REPLACE TEMP TABLE next_steps AS
SELECT agent, ts AS at
FROM events
WHERE type = 'agent.state' AND state != 'busy' AND agent IN (SELECT agent FROM unended_calls)
UNION ALL
SELECT agent, answered_at FROM calls WHERE channel = 'voice' AND agent IN (SELECT agent FROM unended_calls);

-- Few columns go through the steps, and the others are joined at the end, because columns cost more than rows.
-- `moves`: the clock, or the agent's next step, can still change the call.
CREATE OR REPLACE TEMP TABLE just_judged_calls AS
WITH visited AS (  -- how and when the visit to the queue ended; NULL while no event says so
    SELECT
        c.call_id,
        c.campaign,
        c.answered_at,
        c.wrapped_at,
        c.holds,
        c.left_reason IS NOT NULL AS has_left,
        coalesce(c.queued_at, c.dialed_at) AS cohort_at,
        coalesce(c.queued_at, c.connected_at) AS waits_from,
        c.talk_end_at IS NULL AND next.at IS NOT NULL AS end_is_inferred,  -- closed by what its agent did next
        coalesce(c.talk_end_at, next.at) AS ended_at,
        CASE
            WHEN c.answered_at IS NOT NULL THEN 'answered'
            WHEN c.abandoned THEN 'abandoned'
            WHEN c.left_reason IN ('closed', 'full', 'no_agents') THEN 'refused'
            WHEN c.left_reason = 'overflow' THEN 'overflowed'
            WHEN c.left_reason IN ('callback', 'voicemail') THEN c.left_reason
            WHEN c.left_reason IN ('timeout', 'system') THEN 'dropped'
            WHEN (c.direction = 'outbound' OR coalesce(c.queued_at, c.dialed_at) IS NULL)
                AND (c.not_connected_at IS NOT NULL OR (c.ended_event_at IS NOT NULL AND c.answered_by = 'machine'))
                THEN 'not_connected'
            WHEN c.ended_event_at IS NOT NULL THEN 'abandoned'
        END AS told,
        CASE told
            WHEN 'answered' THEN CASE WHEN NOT coalesce(c.wait_unknown, false) THEN c.answered_at END
            WHEN 'not_connected' THEN coalesce(c.not_connected_at, c.ended_event_at)
            ELSE CASE  -- NULL where nobody knows when
                WHEN c.abandoned THEN c.abandoned_at
                WHEN has_left THEN c.left_at
                ELSE c.ended_event_at
            END
        END AS told_at
    FROM calls c
    SEMI JOIN calls_to_judge USING (call_id)
    LEFT JOIN (
        SELECT a.call_id, min(n.at) AS at
        FROM unended_calls a
        JOIN next_steps n ON n.agent = a.agent AND n.at > a.answered_at
        GROUP BY a.call_id
    ) next USING (call_id)
),
localized AS (  -- in the campaign's local time; a call that is open for too long is given up: its source went silent
    SELECT
        v.*,
        make_timestamp(epoch_us(cohort_at) + o.offset_s * 1000000) AS cohort_local,
        CASE
            WHEN told IS NOT NULL THEN told
            WHEN epoch_us(getvariable('as_of')) - epoch_us(cohort_at) > give_up_after_s * 1e6 THEN 'dropped'
            ELSE 'open'
        END AS visit,
        CASE
            WHEN told IS NOT NULL THEN told_at
            WHEN visit = 'dropped' THEN later(cohort_at, give_up_after_s)
            ELSE getvariable('as_of')
        END AS wait_ended_at
    FROM visited v
    LEFT JOIN known_campaigns k USING (campaign)
    LEFT JOIN zone_offsets o ON o.timezone = k.timezone AND o.quarter = epoch_us(cohort_at) // 900000000
),
measured AS (
    SELECT
        call_id, cohort_at, cohort_local, visit, ended_at,
        end_is_inferred OR (visit = 'dropped' AND NOT has_left) AS inferred_end,
        seconds_between(waits_from, wait_ended_at) AS wait_s,
        CASE WHEN visit = 'answered' THEN seconds_between(answered_at, ended_at) END AS call_s,
        list_filter(holds, lambda h: h.ts >= answered_at AND h.ts <= ended_at) AS own_holds,
        CASE
            WHEN call_s IS NULL THEN NULL
            ELSE coalesce(list_sum(list_transform(
                own_holds,
                lambda h, i: CASE WHEN h.held THEN epoch_us(coalesce(own_holds[i + 1].ts, ended_at)) - epoch_us(h.ts) ELSE 0 END
            )), 0) / 1e6
        END AS hold_s,
        CASE WHEN call_s IS NOT NULL THEN coalesce(seconds_between(ended_at, wrapped_at), 0.0) END AS wrap_s,
        CASE WHEN visit = 'answered' AND ended_at IS NULL THEN list_filter(holds, lambda h: h.ts >= answered_at) END
            AS live_holds,  -- the first hold after the last resume is the one that lasts
        live_holds[
            len(live_holds) + 2 - coalesce(
                list_position(list_reverse(list_transform(live_holds, lambda h: h.held)), false), len(live_holds) + 1
            )
        ].ts AS held_since,
        coalesce(wait_ended_at < waits_from, false) OR coalesce(ended_at < answered_at, false)
            OR coalesce(wrapped_at < ended_at, false) AS clock_skew
    FROM localized
)
SELECT
    call_id, linked_id, c.campaign, queue, direction, channel, language, priority, agent,
    caller, callee, caller_key, callee_key, consent,
    asked_for_human_at, queued_at, dialed_at, connected_at, answered_by, answered_at, abandoned_at,
    m.ended_at, wrapped_at, left_at, left_reason, cohort_at,
    CASE  -- by the contract in force at that time
        WHEN visit = 'abandoned' AND wait_s < short_abandon_s THEN 'short_abandoned'
        ELSE visit
    END AS outcome,
    wait_s,
    call_s - hold_s AS talk_s,
    hold_s,
    wrap_s,
    call_s + wrap_s AS handle_s,
    held_since,
    missed_offers, missed_by, offers, holds, transferred, disposition, sale, amount, currency, score, ended_by,
    inferred_end, clock_skew,
    cohort_local::DATE AS day,
    formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s, valid_from AS term_from,
    CASE WHEN wait_at_threshold_counts THEN wait_s <= threshold_s ELSE wait_s < threshold_s END AS in_threshold,
    visit = 'open' OR (visit = 'answered' AND m.ended_at IS NULL) OR inferred_end AS moves
FROM calls c
JOIN measured m USING (call_id)
LEFT JOIN terms t
    ON t.campaign = c.campaign
    AND cohort_local >= coalesce(t.valid_from, '-infinity') AND cohort_local < coalesce(t.valid_to, 'infinity');

-- A timeline is made again from the last interval before the change that an event began. That interval's start stays.
CREATE OR REPLACE TEMP TABLE changed_timelines AS
SELECT d.agent, max(t.started_at) AS since
FROM (
    SELECT agent, min(ts) AS ts
    FROM (
        SELECT agent, ts FROM dirty_agents
        UNION ALL
        SELECT agent, limit_at FROM timeline WHERE ended_at IS NULL AND limit_at <= getvariable('as_of')
    )
    GROUP BY agent
) d
LEFT JOIN timeline t ON t.agent = d.agent AND t.started_at < d.ts AND t.by_event
GROUP BY d.agent;

-- All windows have the same order and no partitions, and texts are sorted once, for `place`: sorting costs more than
-- everything else here.
CREATE OR REPLACE TEMP TABLE fresh_timelines AS
WITH stretches AS (  -- what is here of each timeline: from the mark on, and before it what was recalled (stretches.py)
    SELECT agent, greatest(hot_from, since) AS from_at, until_at
    FROM changed_timelines
    JOIN (
        SELECT agent, hot_from, NULL AS until_at FROM agent_marks
        UNION ALL
        SELECT agent, from_at, until_at FROM recalled_stretches
    ) USING (agent)
    WHERE since IS NULL OR until_at IS NULL OR until_at > since
    UNION ALL
    SELECT agent, coalesce(since, '-infinity'), NULL
    FROM changed_timelines
    ANTI JOIN agent_marks USING (agent)
),
theirs AS (
    SELECT
        agent, ts, event_id, type = 'agent.state' AS is_state, state, reason, campaign,
        -- where no event says how long a state lasts, as with most sources, DuckDB does not even read `raw` for this
        CASE
            WHEN getvariable('has_lasts_s') AND (contains(raw, '"lasts_s"') OR contains(raw, '\u00'))
                THEN try_cast(raw ->> '$.lasts_s' AS DOUBLE)
        END AS lasts_s
    FROM events
    WHERE type IN ('agent.state', 'agent.profile') AND agent IN (SELECT agent FROM changed_timelines)
),
told AS (  -- the first row of each stretch gives the campaign until then, '' for none; so may an event that is in none
    SELECT agent, from_at, until_at, ts, event_id, is_state, state, reason, campaign, lasts_s
    FROM theirs
    JOIN stretches USING (agent)
    WHERE ts >= from_at AND (until_at IS NULL OR ts < until_at)
    UNION ALL
    SELECT agent, from_at, any_value(until_at), TIMESTAMPTZ '-infinity', '', false, NULL, NULL,
        -- arg_max passes over NULLs
        coalesce(
            arg_max(theirs.campaign, (ts, event_id)) FILTER (ts < from_at), any_value(campaigns_before.campaign), ''
        ),
        NULL
    FROM theirs
    JOIN stretches USING (agent)
    LEFT JOIN campaigns_before USING (agent)
    GROUP BY agent, from_at
),
named AS (
    SELECT
        agent, from_at, until_at, ts, is_state, state, reason, lasts_s,
        row_number() OVER in_order AS place,
        nullif(last_value(campaign IGNORE NULLS) OVER in_order, '') AS campaign
    FROM told
    WINDOW in_order AS (ORDER BY agent, from_at, ts, event_id)
),
followed AS (  -- of two states at one instant, the one with the last event_id counts
    SELECT *, later(ts, least(lasts_s, getvariable('max_state_s'))) AS limit_at  -- least passes over NULLs
    FROM (
        SELECT
            *,
            CASE
                WHEN lead(agent) OVER in_order = agent AND lead(from_at) OVER in_order = from_at THEN lead(ts) OVER in_order
                ELSE until_at
            END AS next_at
        FROM named
        WHERE is_state
        WINDOW in_order AS (ORDER BY place)
    )
    WHERE next_at IS DISTINCT FROM ts
),
capped AS (  -- a state lasts at most max_state_s, or as long as its event says: after that its logout was lost
    SELECT
        agent, from_at, place, state, reason, campaign, ts AS started_at,
        CASE WHEN next_at > limit_at OR (next_at IS NULL AND getvariable('as_of') >= limit_at) THEN limit_at ELSE next_at END
            AS ended_at,
        limit_at,
        true AS by_event
    FROM followed
    WHERE state != 'offline'
    UNION ALL
    SELECT
        agent, from_at, place, 'offline', CASE WHEN state = 'offline' THEN reason END, campaign,
        CASE WHEN state = 'offline' THEN ts ELSE limit_at END,
        next_at,
        NULL,
        state = 'offline'
    FROM followed
    WHERE state = 'offline' OR next_at > limit_at OR (next_at IS NULL AND getvariable('as_of') >= limit_at)
),
marked AS (  -- equal states in a row are merged within a UTC day, so no row is longer than 36 h
    SELECT *, last_value(CASE WHEN is_new THEN started_at END IGNORE NULLS) OVER (ORDER BY place, started_at) AS began_at
    FROM (
        SELECT
            *,
            (agent, from_at, state, reason, campaign, day) IS DISTINCT FROM
                lag((agent, from_at, state, reason, campaign, day)) OVER (ORDER BY place, started_at) AS is_new
        FROM (SELECT *, make_timestamp(epoch_us(started_at))::DATE AS day FROM capped)
    )
)
SELECT
    agent,
    any_value(state) AS state,
    any_value(reason) AS reason,
    any_value(campaign) AS campaign,
    began_at AS started_at,
    CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END AS ended_at,
    any_value(day) AS day,
    max(limit_at) AS limit_at,
    arg_min(by_event, started_at) AS by_event
FROM marked
GROUP BY agent, began_at;

DELETE FROM timeline t USING changed_timelines c
WHERE t.agent = c.agent AND (c.since IS NULL OR t.started_at >= c.since);
INSERT INTO timeline BY NAME FROM fresh_timelines;
