-- The rows of `calls` for the call_ids in `touched`, each from all the events of its call. Of several events
-- of a kind the earliest counts (ties: the smaller event_id), of wrap-ups and ratings the latest: KPIS.md.
INSERT INTO calls BY NAME
WITH theirs AS (
    SELECT * FROM events WHERE call_id IN (FROM touched)
),
kinds AS (
    SELECT
        call_id,
        type,
        count(*) AS times,
        arg_min({ts: ts, campaign: campaign, agent: agent, reason: reason, raw: raw}, {ts: ts, id: event_id}) AS earliest,
        arg_max(raw, {ts: ts, id: event_id}) FILTER (type IN ('call.wrapped', 'call.rated')) AS latest_raw
    FROM theirs
    GROUP BY call_id, type
),
pivoted AS (
    SELECT
        call_id,
        any_value(earliest)   FILTER (type = 'call.queued')        AS queued,
        any_value(earliest)   FILTER (type = 'call.dialed')        AS dialed,
        any_value(earliest)   FILTER (type = 'call.connected')     AS connected,
        any_value(earliest)   FILTER (type = 'call.not_connected') AS not_connected,
        any_value(earliest)   FILTER (type = 'call.answered')      AS answered,
        any_value(earliest)   FILTER (type = 'call.abandoned')     AS abandoned,
        any_value(earliest)   FILTER (type = 'call.left_queue')    AS left_queue,
        any_value(earliest)   FILTER (type = 'call.ended')         AS ended,
        any_value(earliest)   FILTER (type = 'call.transferred')   AS transferred,
        any_value(earliest)   FILTER (type = 'call.wrapped')       AS wrapped,
        any_value(latest_raw) FILTER (type = 'call.wrapped')       AS wrapped_raw,
        any_value(latest_raw) FILTER (type = 'call.rated')         AS rated_raw,
        any_value(times)      FILTER (type = 'call.missed')        AS missed_offers
    FROM kinds
    GROUP BY call_id
),
held AS (
    SELECT call_id, list({ts: ts, held: type = 'call.held'} ORDER BY ts, event_id) AS holds
    FROM theirs
    WHERE type IN ('call.held', 'call.resumed')
    GROUP BY call_id
),
detailed AS (
    SELECT
        * EXCLUDE (wrapped_raw),
        from_json(queued.raw, '{"queue": "VARCHAR", "linked_id": "VARCHAR", "direction": "VARCHAR",
            "channel": "VARCHAR", "language": "VARCHAR", "priority": "BIGINT", "caller": "VARCHAR",
            "asked_for_human_at": "VARCHAR"}') AS queued_as,
        from_json(dialed.raw, '{"queue": "VARCHAR", "linked_id": "VARCHAR", "callee": "VARCHAR",
            "consent": "VARCHAR", "agent": "VARCHAR"}') AS dialed_as,
        from_json(wrapped_raw, '{"disposition": "VARCHAR", "sale": "BOOLEAN", "amount": "DOUBLE",
            "currency": "VARCHAR"}') AS wrapped_as
    FROM pivoted
    LEFT JOIN held USING (call_id)
)
SELECT
    call_id,
    coalesce(queued_as.linked_id, dialed_as.linked_id, call_id) AS linked_id,
    CASE WHEN queued IS NULL THEN dialed.campaign ELSE queued.campaign END AS campaign,
    coalesce(queued_as.queue, dialed_as.queue) AS queue,
    coalesce(queued_as.direction, CASE WHEN dialed IS NULL THEN 'inbound' ELSE 'outbound' END) AS direction,
    coalesce(queued_as.channel, 'voice') AS channel,
    queued_as.language AS language,
    queued_as.priority AS priority,
    CASE WHEN answered IS NOT NULL THEN coalesce(answered.agent, dialed_as.agent) END AS agent,
    queued_as.caller AS caller,
    dialed_as.callee AS callee,
    dialed_as.consent AS consent,
    try_cast(upper(queued_as.asked_for_human_at) AS TIMESTAMPTZ) AS asked_for_human_at,
    queued.ts AS queued_at,
    dialed.ts AS dialed_at,
    connected.ts AS connected_at,
    connected.raw ->> '$.answered_by' AS answered_by,
    not_connected.ts AS not_connected_at,
    answered.ts AS answered_at,
    abandoned.ts AS abandoned_at,
    left_queue.ts AS left_at,
    left_queue.reason AS left_reason,
    ended.ts AS ended_event_at,
    least(ended.ts, transferred.ts) AS talk_end_at,
    ended.raw ->> '$.ended_by' AS ended_by,
    transferred IS NOT NULL AS transferred,
    wrapped.ts AS wrapped_at,
    wrapped_as.disposition AS disposition,
    wrapped_as.sale AS sale,
    wrapped_as.amount AS amount,
    wrapped_as.currency AS currency,
    (rated_raw ->> '$.score')::DOUBLE AS score,
    coalesce(missed_offers, 0) AS missed_offers,
    holds
FROM detailed;
