-- The rows of `calls` for the call_ids in `calls_to_fold`, each made from all events of the call. If a call has several
-- events of a type, the earliest counts (ties: the smaller event_id); of wrap-ups and ratings, the latest.
-- Source: docs/kpis.md, From events to a call.
-- Reads: calls_to_fold, events, $has_wait_unknown.
-- Changes: calls.
-- Makes: nothing.
INSERT INTO calls BY NAME
WITH unplaced AS MATERIALIZED (  -- the table has many other events, so it is read once
    SELECT rowid AS event, event_id, type, ts, call_id, agent, campaign, reason, raw
    FROM events
    WHERE call_id IN (FROM calls_to_fold)
),
placed AS (  -- few columns are sorted, the others are joined after that
    SELECT event, row_number() OVER (ORDER BY ts, event_id) AS place
    FROM unplaced
),
theirs AS (
    SELECT unplaced.*, place
    FROM unplaced
    JOIN placed USING (event)
),
pivoted AS (  -- arg_min passes over NULLs, arg_min_null does not: an earliest answer without an agent has none
    SELECT
        call_id,
        arg_min(raw, place)            FILTER (type = 'call.queued')        AS queued_raw,
        min(ts)                        FILTER (type = 'call.queued')        AS queued_at,
        arg_min(campaign, place)       FILTER (type = 'call.queued')        AS queued_campaign,
        arg_min(raw, place)            FILTER (type = 'call.dialed')        AS dialed_raw,
        min(ts)                        FILTER (type = 'call.dialed')        AS dialed_at,
        arg_min(campaign, place)       FILTER (type = 'call.dialed')        AS dialed_campaign,
        min(ts)                        FILTER (type = 'call.connected')     AS connected_at,
        arg_min(raw, place)            FILTER (type = 'call.connected')     AS connected_raw,
        min(ts)                        FILTER (type = 'call.not_connected') AS not_connected_at,
        min(ts)                        FILTER (type = 'call.answered')      AS answered_at,
        arg_min_null(agent, place)     FILTER (type = 'call.answered')      AS answered_agent,
        min(ts)                        FILTER (type = 'call.abandoned')     AS abandoned_ts,
        arg_min(raw, place)            FILTER (type = 'call.abandoned')     AS abandoned_raw,
        min(ts)                        FILTER (type = 'call.left_queue')    AS left_ts,
        arg_min(raw, place)            FILTER (type = 'call.left_queue')    AS left_raw,
        arg_min_null(reason, place)    FILTER (type = 'call.left_queue')    AS left_reason,
        min(ts)                        FILTER (type = 'call.ended')         AS ended_event_at,
        arg_min(raw, place)            FILTER (type = 'call.ended')         AS ended_raw,
        min(ts)                        FILTER (type = 'call.transferred')   AS transferred_at,
        min(ts)                        FILTER (type = 'call.wrapped')       AS wrapped_at,
        arg_max(raw, place)            FILTER (type = 'call.wrapped')       AS wrapped_raw,
        arg_max(raw, place)            FILTER (type = 'call.rated')         AS rated_raw,
        count(*)                       FILTER (type = 'call.missed')        AS missed_offers
    FROM theirs
    GROUP BY call_id
),
missed AS (  -- apart, as held is: a list in order costs each call, and few have one
    SELECT call_id, list(agent ORDER BY place) AS missed_by
    FROM theirs
    WHERE type = 'call.missed'
    GROUP BY call_id
),
offered AS (
    SELECT call_id, list({ts: ts, agent: agent, missed: type = 'call.missed'} ORDER BY place) AS offers
    FROM theirs
    WHERE type IN ('call.rang', 'call.missed')
    GROUP BY call_id
),
unmeasured AS (  -- apart too; reading JSON costs more than looking for the word
    SELECT call_id, arg_min_null(raw ->> '$.wait_unknown', place) = 'true' AS wait_unknown
    FROM theirs
    WHERE getvariable('has_wait_unknown') AND type = 'call.answered' AND call_id IN (
        SELECT call_id FROM theirs
        WHERE type = 'call.answered' AND (contains(raw, '"wait_unknown"') OR contains(raw, '\u00')))
    GROUP BY call_id
),
held AS (
    SELECT call_id, list({ts: ts, held: type = 'call.held'} ORDER BY place) AS holds
    FROM theirs
    WHERE type IN ('call.held', 'call.resumed')
    GROUP BY call_id
),
detailed AS (
    SELECT
        * EXCLUDE (wrapped_raw),
        from_json(queued_raw, '{"queue": "VARCHAR", "linked_id": "VARCHAR", "direction": "VARCHAR",
            "channel": "VARCHAR", "language": "VARCHAR", "priority": "BIGINT", "caller": "VARCHAR",
            "caller_key": "VARCHAR", "asked_for_human_at": "VARCHAR"}') AS queued_as,
        from_json(dialed_raw, '{"queue": "VARCHAR", "linked_id": "VARCHAR", "callee": "VARCHAR", "callee_key": "VARCHAR",
            "consent": "VARCHAR", "agent": "VARCHAR"}') AS dialed_as,
        from_json(wrapped_raw, '{"disposition": "VARCHAR", "sale": "BOOLEAN", "amount": "DOUBLE",
            "currency": "VARCHAR"}') AS wrapped_as
    FROM pivoted
    LEFT JOIN held USING (call_id)
    LEFT JOIN missed USING (call_id)
    LEFT JOIN offered USING (call_id)
    LEFT JOIN unmeasured USING (call_id)
)
SELECT
    call_id,
    coalesce(queued_as.linked_id, dialed_as.linked_id, call_id) AS linked_id,
    CASE WHEN queued_at IS NULL THEN dialed_campaign ELSE queued_campaign END AS campaign,
    coalesce(queued_as.queue, dialed_as.queue) AS queue,
    coalesce(queued_as.direction, CASE WHEN dialed_at IS NULL THEN 'inbound' ELSE 'outbound' END) AS direction,
    coalesce(queued_as.channel, 'voice') AS channel,
    queued_as.language AS language,
    queued_as.priority AS priority,
    CASE WHEN answered_at IS NOT NULL THEN coalesce(answered_agent, dialed_as.agent) END AS agent,
    queued_as.caller AS caller,
    dialed_as.callee AS callee,
    queued_as.caller_key AS caller_key,
    dialed_as.callee_key AS callee_key,
    dialed_as.consent AS consent,
    try_cast(upper(queued_as.asked_for_human_at) AS TIMESTAMPTZ) AS asked_for_human_at,
    queued_at,
    dialed_at,
    connected_at,
    connected_raw ->> '$.answered_by' AS answered_by,
    not_connected_at,
    answered_at,
    coalesce(wait_unknown, false) AS wait_unknown,
    abandoned_ts IS NOT NULL AS abandoned,
    -- where no event has wait_unknown, as with most sources, DuckDB leaves out abandoned_raw and left_raw
    CASE WHEN getvariable('has_wait_unknown') AND (abandoned_raw ->> '$.wait_unknown') = 'true' THEN NULL ELSE abandoned_ts END
        AS abandoned_at,
    CASE WHEN getvariable('has_wait_unknown') AND (left_raw ->> '$.wait_unknown') = 'true' THEN NULL ELSE left_ts END
        AS left_at,
    left_reason,
    ended_event_at,
    least(ended_event_at, transferred_at) AS talk_end_at,
    ended_raw ->> '$.ended_by' AS ended_by,
    transferred_at IS NOT NULL AS transferred,
    wrapped_at,
    wrapped_as.disposition AS disposition,
    wrapped_as.sale AS sale,
    wrapped_as.amount AS amount,
    wrapped_as.currency AS currency,
    (rated_raw ->> '$.score')::DOUBLE AS score,
    missed_offers,
    missed_by,
    offers,
    holds
FROM detailed;
