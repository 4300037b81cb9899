-- The macros and the view of the published file. Written by `make generated` from metrics/kpis: change that, then write
-- it again.

CREATE MACRO kpi_campaign(t0, t1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), keys AS (
    SELECT campaign FROM campaigns
), calls_of AS (
    SELECT campaign,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound) AS dialed,
           sum(picked_up) FILTER (WHERE NOT inbound) AS connected,
           sum(people) FILTER (WHERE NOT inbound) AS contacts,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(people)
               FILTER (WHERE NOT inbound AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused'))
                   AS drops,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            AND started_at < t1::TIMESTAMPTZ
    )
    SELECT campaign,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT campaign, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000) AND answered_at < t1::TIMESTAMPTZ
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY campaign, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT campaign,
           sum(us) AS workload_s
    FROM (
        SELECT campaign, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), terms_of AS (
    SELECT k.campaign, count(*) > 1 AS terms_changed,
           arg_max(s.target, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS target,
           arg_max(s.threshold_s, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS threshold_s
    FROM keys AS k JOIN sla_terms AS s USING (campaign), clock AS w
    WHERE (s.from_at IS NULL
        OR s.from_at < greatest(t0::TIMESTAMPTZ, least(t1::TIMESTAMPTZ, w.as_of))
        OR s.from_at = t0::TIMESTAMPTZ)
      AND (s.until_at IS NULL OR s.until_at > t0::TIMESTAMPTZ)
    GROUP BY ALL
), added AS (
    SELECT k.campaign,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(dialed, 0)::BIGINT AS dialed,
           coalesce(connected, 0)::BIGINT AS connected,
           coalesce(contacts, 0)::BIGINT AS contacts,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(drops, 0)::BIGINT AS drops,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign)
    LEFT JOIN states_of USING (campaign)
    LEFT JOIN work_of USING (campaign)
)
SELECT
    k.campaign,
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    dialed,
    connected,
    contacts,
    drops,
    contacts / nullif(dialed, 0) AS contact_rate,
    drops / nullif(outbound_answered + drops, 0) AS drop_rate,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0 AND t1::TIMESTAMPTZ + to_seconds(w.lateness_s) <= w.as_of, false) AS settled,
    target,
    threshold_s,
    coalesce(terms_changed, false) AS terms_changed,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    workload_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
LEFT JOIN terms_of USING (campaign)
CROSS JOIN clock AS w;

CREATE MACRO kpi_queue(t0, t1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), calls_of AS (
    SELECT campaign, queue,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign, queue, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
                AND queue IS NOT NULL
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000)
            AND answered_at < t1::TIMESTAMPTZ
            AND queue IS NOT NULL
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY campaign, queue, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT campaign, queue,
           sum(us) AS workload_s
    FROM (
        SELECT campaign, queue, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), keys AS (
    SELECT campaign, queue
        FROM calls
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
            AND cohort_at >= t0::TIMESTAMPTZ
            AND cohort_at < t1::TIMESTAMPTZ
            AND queue IS NOT NULL
    UNION
    SELECT campaign, queue FROM work_of WHERE queue IS NOT NULL
), terms_of AS (
    SELECT k.campaign, k.queue, count(*) > 1 AS terms_changed,
           arg_max(s.target, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS target,
           arg_max(s.threshold_s, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS threshold_s
    FROM keys AS k JOIN sla_terms AS s USING (campaign), clock AS w
    WHERE (s.from_at IS NULL
        OR s.from_at < greatest(t0::TIMESTAMPTZ, least(t1::TIMESTAMPTZ, w.as_of))
        OR s.from_at = t0::TIMESTAMPTZ)
      AND (s.until_at IS NULL OR s.until_at > t0::TIMESTAMPTZ)
    GROUP BY ALL
), added AS (
    SELECT k.campaign, k.queue,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign, queue)
    LEFT JOIN work_of USING (campaign, queue)
)
SELECT
    k.campaign, k.queue,
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0 AND t1::TIMESTAMPTZ + to_seconds(w.lateness_s) <= w.as_of, false) AS settled,
    target,
    threshold_s,
    coalesce(terms_changed, false) AS terms_changed,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    workload_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction
FROM added AS k
LEFT JOIN terms_of USING (campaign, queue)
CROSS JOIN clock AS w;

CREATE MACRO kpi_term(t0, t1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), keys AS (
    SELECT campaign, coalesce(valid_from, TIMESTAMP '-infinity') AS since FROM sla_terms
    WHERE (from_at IS NULL OR from_at < t1::TIMESTAMPTZ) AND (until_at IS NULL OR until_at > t0::TIMESTAMPTZ)
), calls_of AS (
    SELECT campaign, since,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign, coalesce(term_from, TIMESTAMP '-infinity') AS since, direction, outcome, formula,
                in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), added AS (
    SELECT k.campaign, k.since,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign, since)
)
SELECT
    k.campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s,
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0 AND t1::TIMESTAMPTZ + to_seconds(w.lateness_s) <= w.as_of, false) AS settled,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction
FROM added AS k
JOIN (SELECT *, coalesce(valid_from, TIMESTAMP '-infinity') AS since FROM sla_terms) AS z USING (campaign, since)
CROSS JOIN clock AS w;

CREATE MACRO kpi_agent(t0, t1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), calls_of AS (
    SELECT agent,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT agent, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
                AND agent IS NOT NULL
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            AND started_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
    )
    SELECT agent,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT agent, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000)
            AND answered_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY agent, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT agent,
           sum(us) AS workload_s
    FROM (
        SELECT agent, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), keys AS (
    SELECT DISTINCT agent FROM agent_states, clock AS w
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        AND started_at < t1::TIMESTAMPTZ
        AND agent IS NOT NULL
        AND state <> 'offline'
        AND coalesce(epoch_us(ended_at), w.until_us) > w.t0_us
    UNION
    SELECT agent
        FROM calls
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
            AND cohort_at >= t0::TIMESTAMPTZ
            AND cohort_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
    UNION
    SELECT agent FROM work_of WHERE agent IS NOT NULL
), added AS (
    SELECT k.agent,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (agent)
    LEFT JOIN states_of USING (agent)
    LEFT JOIN work_of USING (agent)
)
SELECT
    k.agent, z.name, z.team, z.site,
    answered,
    answered_in_threshold,
    handled,
    transferred,
    sales,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    sales / nullif(handled, 0) AS conversion,
    transferred / nullif(handled, 0) AS transfer_rate,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    workload_s,
    outbound_answered,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
LEFT JOIN (SELECT agent, name, team, site FROM agents) AS z USING (agent)
CROSS JOIN clock AS w;

CREATE MACRO kpi_agent_campaign(t0, t1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), calls_of AS (
    SELECT agent, campaign,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT agent, campaign, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
                AND agent IS NOT NULL
                AND campaign IS NOT NULL
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            AND started_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
            AND campaign IS NOT NULL
    )
    SELECT agent, campaign,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT agent, campaign, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000)
            AND answered_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
            AND campaign IS NOT NULL
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY agent, campaign, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT agent, campaign,
           sum(us) AS workload_s
    FROM (
        SELECT agent, campaign, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), keys AS (
    SELECT DISTINCT agent, campaign FROM agent_states, clock AS w
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        AND started_at < t1::TIMESTAMPTZ
        AND agent IS NOT NULL
        AND campaign IS NOT NULL
        AND state <> 'offline'
        AND coalesce(epoch_us(ended_at), w.until_us) > w.t0_us
    UNION
    SELECT agent, campaign
        FROM calls
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
            AND cohort_at >= t0::TIMESTAMPTZ
            AND cohort_at < t1::TIMESTAMPTZ
            AND agent IS NOT NULL
            AND campaign IS NOT NULL
    UNION
    SELECT agent, campaign FROM work_of WHERE agent IS NOT NULL
), added AS (
    SELECT k.agent, k.campaign,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (agent, campaign)
    LEFT JOIN states_of USING (agent, campaign)
    LEFT JOIN work_of USING (agent, campaign)
)
SELECT
    k.agent, k.campaign, z.name, z.team, z.site,
    answered,
    answered_in_threshold,
    handled,
    transferred,
    sales,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    sales / nullif(handled, 0) AS conversion,
    transferred / nullif(handled, 0) AS transfer_rate,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    workload_s,
    outbound_answered,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
LEFT JOIN (SELECT agent, name, team, site FROM agents) AS z USING (agent)
CROSS JOIN clock AS w;

CREATE MACRO kpi_interval(t0, t1, minutes) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), keys AS (
    SELECT campaign,
        unnest(range(0,
                (epoch_us(t1::TIMESTAMPTZ) - epoch_us(t0::TIMESTAMPTZ) - 1) // (minutes * 60000000::BIGINT)::BIGINT
                    + 1))
            AS step
    FROM campaigns
), calls_of AS (
    SELECT campaign, step,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound) AS dialed,
           sum(picked_up) FILTER (WHERE NOT inbound) AS connected,
           sum(people) FILTER (WHERE NOT inbound) AS contacts,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(people)
               FILTER (WHERE NOT inbound AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused'))
                   AS drops,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign,
                (epoch_us(cohort_at) - epoch_us(t0::TIMESTAMPTZ)) // (minutes * 60000000::BIGINT)::BIGINT AS step,
                direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            AND started_at < t1::TIMESTAMPTZ
    )
    SELECT campaign, step,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT campaign, step, state,
               least(to_us, w.until_us, w.t0_us + (step + 1) * (minutes * 60000000::BIGINT)::BIGINT)
                   - greatest(from_us, w.t0_us + step * (minutes * 60000000::BIGINT)::BIGINT) AS us
        FROM (
            SELECT campaign, state, from_us, to_us, unnest(range(
                (greatest(from_us, w.t0_us) - w.t0_us) // (minutes * 60000000::BIGINT)::BIGINT,
                (least(to_us, w.until_us) - w.t0_us - 1) // (minutes * 60000000::BIGINT)::BIGINT + 1)) AS step
            FROM spans, clock AS w
        ), clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000) AND answered_at < t1::TIMESTAMPTZ
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY campaign, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT campaign, step,
           sum(us) AS workload_s
    FROM (
        SELECT campaign, step, state,
               least(to_us, w.until_us, w.t0_us + (step + 1) * (minutes * 60000000::BIGINT)::BIGINT)
                   - greatest(from_us, w.t0_us + step * (minutes * 60000000::BIGINT)::BIGINT) AS us
        FROM (
            SELECT campaign, state, from_us, to_us, unnest(range(
                (greatest(from_us, w.t0_us) - w.t0_us) // (minutes * 60000000::BIGINT)::BIGINT,
                (least(to_us, w.until_us) - w.t0_us - 1) // (minutes * 60000000::BIGINT)::BIGINT + 1)) AS step
            FROM spans, clock AS w
        ), clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), terms_of AS (
    SELECT k.campaign, k.step, count(*) > 1 AS terms_changed,
           arg_max(s.target, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS target,
           arg_max(s.threshold_s, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS threshold_s
    FROM keys AS k JOIN sla_terms AS s USING (campaign), clock AS w
    WHERE (s.from_at IS NULL
        OR s.from_at < greatest(t0::TIMESTAMPTZ + to_microseconds(k.step * (minutes * 60000000::BIGINT)::BIGINT),
            least(least(t1::TIMESTAMPTZ,
                    t0::TIMESTAMPTZ + to_microseconds((k.step + 1) * (minutes * 60000000::BIGINT)::BIGINT)),
                w.as_of))
        OR s.from_at = t0::TIMESTAMPTZ + to_microseconds(k.step * (minutes * 60000000::BIGINT)::BIGINT))
      AND (s.until_at IS NULL
          OR s.until_at > t0::TIMESTAMPTZ + to_microseconds(k.step * (minutes * 60000000::BIGINT)::BIGINT))
    GROUP BY ALL
), added AS (
    SELECT k.campaign, k.step,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(dialed, 0)::BIGINT AS dialed,
           coalesce(connected, 0)::BIGINT AS connected,
           coalesce(contacts, 0)::BIGINT AS contacts,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(drops, 0)::BIGINT AS drops,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign, step)
    LEFT JOIN states_of USING (campaign, step)
    LEFT JOIN work_of USING (campaign, step)
)
SELECT
    k.campaign, t0::TIMESTAMPTZ + to_microseconds(k.step * (minutes * 60000000::BIGINT)::BIGINT) AS interval_start,
        least(t1::TIMESTAMPTZ, t0::TIMESTAMPTZ + to_microseconds((k.step + 1) * (minutes * 60000000::BIGINT)::BIGINT))
            AS interval_end,
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    dialed,
    connected,
    contacts,
    drops,
    contacts / nullif(dialed, 0) AS contact_rate,
    drops / nullif(outbound_answered + drops, 0) AS drop_rate,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0
                AND least(t1::TIMESTAMPTZ,
                        t0::TIMESTAMPTZ + to_microseconds((k.step + 1) * (minutes * 60000000::BIGINT)::BIGINT))
                    + to_seconds(w.lateness_s) <= w.as_of,
            false)
        AS settled,
    target,
    threshold_s,
    coalesce(terms_changed, false) AS terms_changed,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    workload_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
LEFT JOIN terms_of USING (campaign, step)
CROSS JOIN clock AS w;

CREATE MACRO kpi_days(day0, day1) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, 0 AS t0_us, least(epoch_us(as_of), epoch_us(as_of)) AS until_us
    FROM ingest_status
), keys AS (
    SELECT campaign, day, epoch_us(from_at) AS from_us, epoch_us(until_at) AS until_us
    FROM campaigns JOIN local_days USING (timezone)
    WHERE day >= day0::DATE AND day < day1::DATE
), calls_of AS (
    SELECT campaign, day,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound) AS dialed,
           sum(picked_up) FILTER (WHERE NOT inbound) AS connected,
           sum(people) FILTER (WHERE NOT inbound) AS contacts,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(people)
               FILTER (WHERE NOT inbound AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused'))
                   AS drops,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign, day, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day >= day0::DATE AND day < day1::DATE AND cohort_at IS NOT NULL
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN day0::DATE - 2 AND day1::DATE
    )
    SELECT campaign, day,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT campaign, d.day, state, least(s.to_us, d.until_us, w.until_us) - greatest(s.from_us, d.from_us) AS us
        FROM (SELECT *, from_us // 86400000000 AS utc_day FROM spans) AS s
        JOIN (SELECT *, unnest(range(day - DATE '1970-01-01' - 2, day - DATE '1970-01-01' + 2)) AS utc_day
              FROM keys) AS d USING (campaign, utc_day), clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), terms_of AS (
    SELECT k.campaign, k.day, count(*) > 1 AS terms_changed,
           arg_max(s.target, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS target,
           arg_max(s.threshold_s, coalesce(s.valid_from, TIMESTAMP '-infinity')) AS threshold_s
    FROM keys AS k JOIN sla_terms AS s USING (campaign), clock AS w
    WHERE (s.from_at IS NULL OR s.from_at < make_timestamptz(k.until_us) OR s.from_at = make_timestamptz(k.from_us))
      AND (s.until_at IS NULL OR s.until_at > make_timestamptz(k.from_us))
    GROUP BY ALL
), added AS (
    SELECT k.campaign, k.day,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(dialed, 0)::BIGINT AS dialed,
           coalesce(connected, 0)::BIGINT AS connected,
           coalesce(contacts, 0)::BIGINT AS contacts,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(drops, 0)::BIGINT AS drops,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign, day)
    LEFT JOIN states_of USING (campaign, day)
)
SELECT
    k.campaign, k.day,
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    dialed,
    connected,
    contacts,
    drops,
    contacts / nullif(dialed, 0) AS contact_rate,
    drops / nullif(outbound_answered + drops, 0) AS drop_rate,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0 AND d.until_at + to_seconds(w.lateness_s) <= w.as_of, false) AS settled,
    target,
    threshold_s,
    coalesce(terms_changed, false) AS terms_changed,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
JOIN campaigns AS z USING (campaign)
JOIN (SELECT timezone, day AS on_day, until_at FROM local_days) AS d ON d.timezone = z.timezone AND on_day = k.day
LEFT JOIN terms_of USING (campaign, day)
CROSS JOIN clock AS w;

CREATE MACRO kpi_total(t0, t1, among) AS TABLE
WITH clock AS (
    SELECT as_of, lateness_s, max_state_s, epoch_us(t0::TIMESTAMPTZ) AS t0_us,
        least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS until_us
    FROM ingest_status
), keys AS (
    SELECT true AS whole
), calls_of AS (
    SELECT whole,
           sum(calls) FILTER (WHERE inbound AND outcome IS DISTINCT FROM 'refused') AS offered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered') AS answered,
           sum(calls) FILTER (WHERE inbound AND outcome = 'abandoned') AS abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'short_abandoned') AS short_abandoned,
           sum(calls) FILTER (WHERE inbound AND outcome = 'overflowed') AS overflowed,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback') AS callback,
           sum(calls) FILTER (WHERE inbound AND outcome = 'voicemail') AS voicemail,
           sum(calls) FILTER (WHERE inbound AND outcome = 'dropped') AS dropped,
           sum(calls) FILTER (WHERE inbound AND outcome = 'open') AS open,
           sum(calls) FILTER (WHERE inbound AND outcome = 'refused') AS refused,
           sum(calls) FILTER (WHERE outcome = 'open') AS open_any,
           sum(calls) FILTER (WHERE inbound AND outcome = 'answered' AND in_threshold) AS answered_in_threshold,
           sum(calls)
               FILTER (WHERE inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
                   AS abandoned_in_threshold,
           sum(calls) FILTER (WHERE inbound AND outcome = 'callback' AND in_threshold) AS callback_in_threshold,
           sum(calls) FILTER (WHERE inbound AND inside) AS open_in_threshold,
           sum(calls) FILTER (WHERE hit) AS service_level_hits,
           sum(calls) FILTER (WHERE base) AS service_level_base,
           sum(asked) FILTER (WHERE base) AS service_level_asked,
           sum(calls)
               FILTER (WHERE inbound AND outcome = 'open' AND NOT inside AND formula = 'answered_only')
                   AS service_level_late,
           sum(waited) FILTER (WHERE inbound AND outcome = 'answered') AS answered_wait_s,
           max(longest) FILTER (WHERE inbound AND outcome = 'open') AS open_wait_s,
           sum(handled_calls) AS handled,
           sum(transfers) AS transferred,
           sum(talked) AS talk_s,
           sum(held) AS hold_s,
           sum(wrapped) AS wrap_s,
           sum(sold) AS sales,
           sum(calls) FILTER (WHERE NOT inbound) AS dialed,
           sum(picked_up) FILTER (WHERE NOT inbound) AS connected,
           sum(people) FILTER (WHERE NOT inbound) AS contacts,
           sum(calls) FILTER (WHERE NOT inbound AND outcome = 'answered') AS outbound_answered,
           sum(people)
               FILTER (WHERE NOT inbound AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused'))
                   AS drops,
           sum(rated_calls) AS rated,
           sum(satisfied_calls) AS satisfied,
           sum(scores) AS score_points
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT true AS whole, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
                AND (among IS NULL OR list_contains(among, campaign))
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), states_of AS (
    WITH spans AS (
        SELECT campaign, agent, state, epoch_us(started_at) AS from_us,
               epoch_us(coalesce(ended_at, w.as_of)) AS to_us
        FROM agent_states, clock AS w
        WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            AND started_at < t1::TIMESTAMPTZ
            AND (among IS NULL OR list_contains(among, campaign))
    )
    SELECT whole,
           sum(us) FILTER (WHERE state = 'available') AS available_s,
           sum(us) FILTER (WHERE state = 'busy') AS busy_s,
           sum(us) FILTER (WHERE state = 'wrap_up') AS wrap_up_s,
           sum(us) FILTER (WHERE state = 'paused') AS paused_s,
           sum(us) FILTER (WHERE state <> 'offline') AS logged_in_s
    FROM (
        SELECT true AS whole, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), work_of AS (
    WITH stretches AS (
        SELECT campaign, queue, agent, coalesce(agent, call_id) AS who, epoch_us(answered_at) AS from_us,
               least(epoch_us(coalesce(greatest(ended_at, wrapped_at), w.as_of)),
                     epoch_us(answered_at) + (w.max_state_s * 1e6)::BIGINT) AS to_us
        FROM (
            SELECT * FROM calls JOIN (
                SELECT unnest(
                    CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE
                        AS day
                FROM (SELECT greatest((t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                    least((t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                      FROM ingest_status)
                UNION
                SELECT day
                    FROM late_answers
                    WHERE answered_on BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                        AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
            ) USING (day)
            UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
        ), clock AS w
        WHERE answered_at >= make_timestamptz(epoch_us(t0::TIMESTAMPTZ) - 86400000000)
            AND answered_at < t1::TIMESTAMPTZ
            AND (among IS NULL OR list_contains(among, campaign))
    ), spans AS (
        SELECT campaign, queue, agent, 'work' AS state, to_us, greatest(from_us, coalesce(max(to_us) OVER (
                   PARTITION BY true, who ORDER BY from_us
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), from_us)) AS from_us
        FROM stretches, clock AS w
        WHERE to_us > w.t0_us
    )
    SELECT whole,
           sum(us) AS workload_s
    FROM (
        SELECT true AS whole, state, least(to_us, w.until_us) - greatest(from_us, w.t0_us) AS us
        FROM spans, clock AS w
    )
    WHERE us > 0
    GROUP BY ALL
), added AS (
    SELECT k.whole,
           coalesce(offered, 0)::BIGINT AS offered,
           coalesce(answered, 0)::BIGINT AS answered,
           coalesce(abandoned, 0)::BIGINT AS abandoned,
           coalesce(short_abandoned, 0)::BIGINT AS short_abandoned,
           coalesce(overflowed, 0)::BIGINT AS overflowed,
           coalesce(callback, 0)::BIGINT AS callback,
           coalesce(voicemail, 0)::BIGINT AS voicemail,
           coalesce(dropped, 0)::BIGINT AS dropped,
           coalesce(open, 0)::BIGINT AS open,
           coalesce(refused, 0)::BIGINT AS refused,
           coalesce(open_any, 0)::BIGINT AS open_any,
           coalesce(answered_in_threshold, 0)::BIGINT AS answered_in_threshold,
           coalesce(abandoned_in_threshold, 0)::BIGINT AS abandoned_in_threshold,
           coalesce(callback_in_threshold, 0)::BIGINT AS callback_in_threshold,
           coalesce(open_in_threshold, 0)::BIGINT AS open_in_threshold,
           coalesce(service_level_hits, 0)::BIGINT AS service_level_hits,
           coalesce(service_level_base, 0)::BIGINT AS service_level_base,
           coalesce(service_level_asked, 0) / 1e6 AS service_level_asked,
           coalesce(service_level_late, 0)::BIGINT AS service_level_late,
           coalesce(answered_wait_s, 0) / 1e6 AS answered_wait_s,
           open_wait_s / 1e6 AS open_wait_s,
           coalesce(handled, 0)::BIGINT AS handled,
           coalesce(transferred, 0)::BIGINT AS transferred,
           coalesce(talk_s, 0) / 1e6 AS talk_s,
           coalesce(hold_s, 0) / 1e6 AS hold_s,
           coalesce(wrap_s, 0) / 1e6 AS wrap_s,
           coalesce(sales, 0)::BIGINT AS sales,
           coalesce(dialed, 0)::BIGINT AS dialed,
           coalesce(connected, 0)::BIGINT AS connected,
           coalesce(contacts, 0)::BIGINT AS contacts,
           coalesce(outbound_answered, 0)::BIGINT AS outbound_answered,
           coalesce(drops, 0)::BIGINT AS drops,
           coalesce(rated, 0)::BIGINT AS rated,
           coalesce(satisfied, 0)::BIGINT AS satisfied,
           coalesce(score_points, 0) / 1e6 AS score_points,
           coalesce(available_s, 0) / 1e6 AS available_s,
           coalesce(busy_s, 0) / 1e6 AS busy_s,
           coalesce(wrap_up_s, 0) / 1e6 AS wrap_up_s,
           coalesce(paused_s, 0) / 1e6 AS paused_s,
           coalesce(logged_in_s, 0) / 1e6 AS logged_in_s,
           coalesce(workload_s, 0) / 1e6 AS workload_s
    FROM keys AS k
    LEFT JOIN calls_of USING (whole)
    LEFT JOIN states_of USING (whole)
    LEFT JOIN work_of USING (whole)
)
SELECT
    offered,
    answered,
    abandoned,
    short_abandoned,
    overflowed,
    callback,
    voicemail,
    refused,
    dropped,
    open,
    answered_in_threshold,
    abandoned_in_threshold,
    handled,
    transferred,
    sales,
    service_level_hits / nullif(service_level_base, 0) AS service_level,
    service_level_hits / nullif(service_level_base + open_in_threshold + service_level_late, 0) AS service_level_worst,
    (service_level_hits + open_in_threshold) / nullif(service_level_base + open_in_threshold, 0) AS service_level_best,
    abandoned / nullif(offered - short_abandoned, 0) AS abandon_rate,
    answered_wait_s / nullif(answered, 0) AS asa_s,
    open_wait_s AS longest_wait_s,
    (talk_s + hold_s + wrap_s) / nullif(handled, 0) AS aht_s,
    talk_s / nullif(handled, 0) AS avg_talk_s,
    hold_s / nullif(handled, 0) AS avg_hold_s,
    wrap_s / nullif(handled, 0) AS avg_wrap_s,
    (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
    (busy_s + wrap_up_s) / nullif(logged_in_s, 0) AS utilisation,
    available_s,
    busy_s,
    wrap_up_s,
    paused_s,
    dialed,
    connected,
    contacts,
    drops,
    contacts / nullif(dialed, 0) AS contact_rate,
    drops / nullif(outbound_answered + drops, 0) AS drop_rate,
    sales / nullif(handled, 0) AS conversion,
    coalesce(open_any = 0 AND t1::TIMESTAMPTZ + to_seconds(w.lateness_s) <= w.as_of, false) AS settled,
    open_in_threshold,
    callback_in_threshold,
    service_level_hits,
    service_level_base,
    service_level_asked,
    service_level_late,
    transferred / nullif(handled, 0) AS transfer_rate,
    answered_wait_s,
    talk_s,
    hold_s,
    wrap_s,
    logged_in_s,
    workload_s,
    outbound_answered,
    offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS conserved,
    answered / nullif(offered, 0) AS answer_rate,
    rated,
    satisfied,
    score_points,
    score_points / nullif(rated, 0) AS avg_score,
    satisfied / nullif(rated, 0) AS satisfaction,
    3600 * sales / nullif(logged_in_s, 0) AS sales_per_hour
FROM added AS k
CROSS JOIN clock AS w;

CREATE MACRO kpi_formulas(t0, t1) AS TABLE
WITH keys AS (
    SELECT campaign FROM campaigns
), calls_of AS (
    SELECT campaign,
           sum(calls) FILTER (WHERE (inbound AND outcome = 'answered' AND in_threshold)) AS exclude_short_hits,
           sum(calls)
               FILTER (
                       WHERE (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE)
                   AS exclude_short_base,
           sum(calls) FILTER (WHERE (inbound AND outcome = 'answered' AND in_threshold)) AS all_offered_hits,
           sum(calls)
               FILTER (WHERE (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE)
                   AS all_offered_base,
           sum(calls)
               FILTER (WHERE (inbound AND outcome = 'answered' AND in_threshold)) AS ignore_abandons_in_threshold_hits,
           sum(calls)
               FILTER (
                       WHERE (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE)
                   AS ignore_abandons_in_threshold_base,
           sum(calls)
               FILTER (
                       WHERE (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold))
                   AS abandon_counts_as_success_hits,
           sum(calls)
               FILTER (WHERE (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE)
                   AS abandon_counts_as_success_base,
           sum(calls) FILTER (WHERE (inbound AND outcome = 'answered' AND in_threshold)) AS answered_only_hits,
           sum(calls) FILTER (WHERE (inbound AND outcome = 'answered')) AS answered_only_base
    FROM (
        SELECT *,
               direction IS DISTINCT FROM 'outbound' AS inbound,
               outcome = 'open' AND in_threshold IS TRUE AS inside,
               CASE
                   WHEN formula IN ('exclude_short', 'all_offered', 'ignore_abandons_in_threshold', 'answered_only')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                   WHEN formula IN ('abandon_counts_as_success')
                       THEN (inbound AND outcome = 'answered' AND in_threshold)
                           OR (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold)
               END AS hit,
               CASE
                   WHEN formula IN ('exclude_short')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome = 'short_abandoned') IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('all_offered', 'abandon_counts_as_success')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused') AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('ignore_abandons_in_threshold')
                       THEN (inbound AND outcome IS DISTINCT FROM 'refused')
                           AND (inbound AND outcome IN ('abandoned', 'short_abandoned') AND in_threshold) IS NOT TRUE
                           AND (inbound AND inside) IS NOT TRUE
                   WHEN formula IN ('answered_only') THEN (inbound AND outcome = 'answered')
               END AS base
        FROM (
            SELECT campaign, direction, outcome, formula, in_threshold,
                   count(*) AS calls,
                   sum(CAST(round(target * 1e6) AS BIGINT)) AS asked,
                   sum(CAST(round(wait_s * 1e6) AS BIGINT)) AS waited,
                   max(CAST(round(wait_s * 1e6) AS BIGINT)) AS longest,
                   count(*) FILTER (WHERE handle_s IS NOT NULL) AS handled_calls,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND transferred) AS transfers,
                   count(*) FILTER (WHERE handle_s IS NOT NULL AND sale) AS sold,
                   sum(CAST(round(talk_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS talked,
                   sum(CAST(round(hold_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS held,
                   sum(CAST(round(wrap_s * 1e6) AS BIGINT)) FILTER (WHERE handle_s IS NOT NULL) AS wrapped,
                   count(*) FILTER (WHERE score IS NOT NULL) AS rated_calls,
                   count(*) FILTER (WHERE score >= 4) AS satisfied_calls,
                   sum(CAST(round(score * 1e6) AS BIGINT)) FILTER (WHERE score IS NOT NULL) AS scores,
                   count(*) FILTER (WHERE connected_at IS NOT NULL) AS picked_up,
                   count(*) FILTER (WHERE connected_at IS NOT NULL AND answered_by IS DISTINCT FROM 'machine') AS people
            FROM calls
            WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
                AND cohort_at >= t0::TIMESTAMPTZ
                AND cohort_at < t1::TIMESTAMPTZ
            GROUP BY ALL
        )
    )
    GROUP BY ALL
), added AS (
    SELECT k.campaign,
           coalesce(exclude_short_hits, 0)::BIGINT AS exclude_short_hits,
           coalesce(exclude_short_base, 0)::BIGINT AS exclude_short_base,
           coalesce(all_offered_hits, 0)::BIGINT AS all_offered_hits,
           coalesce(all_offered_base, 0)::BIGINT AS all_offered_base,
           coalesce(ignore_abandons_in_threshold_hits, 0)::BIGINT AS ignore_abandons_in_threshold_hits,
           coalesce(ignore_abandons_in_threshold_base, 0)::BIGINT AS ignore_abandons_in_threshold_base,
           coalesce(abandon_counts_as_success_hits, 0)::BIGINT AS abandon_counts_as_success_hits,
           coalesce(abandon_counts_as_success_base, 0)::BIGINT AS abandon_counts_as_success_base,
           coalesce(answered_only_hits, 0)::BIGINT AS answered_only_hits,
           coalesce(answered_only_base, 0)::BIGINT AS answered_only_base
    FROM keys AS k
    LEFT JOIN calls_of USING (campaign)
)
SELECT
    campaign,
    exclude_short_hits / nullif(exclude_short_base, 0) AS exclude_short,
    all_offered_hits / nullif(all_offered_base, 0) AS all_offered,
    ignore_abandons_in_threshold_hits / nullif(ignore_abandons_in_threshold_base, 0) AS ignore_abandons_in_threshold,
    abandon_counts_as_success_hits / nullif(abandon_counts_as_success_base, 0) AS abandon_counts_as_success,
    answered_only_hits / nullif(answered_only_base, 0) AS answered_only
FROM added;

CREATE MACRO conservation(t0, t1) AS TABLE
SELECT campaign, offered,
    answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open AS accounted, refused,
    conserved
FROM kpi_campaign(t0, t1);

CREATE MACRO agent_strain(moment) AS TABLE
WITH clock AS (
    SELECT *, now_us - (lately_s * 1e6)::BIGINT AS lately_us
    FROM (SELECT l.*, least(epoch_us(moment::TIMESTAMPTZ), epoch_us(as_of)) AS now_us
        FROM ingest_status, agent_limits AS l)
),
spans AS (  -- a state lasts at most a day and is in one row within a UTC day
    SELECT agent, state, state IN ('busy', 'wrap_up') AS works,
        (state = 'offline' OR (state = 'paused' AND (reason IS NULL OR map_contains(breaks, reason)))) AS rests,
           greatest(epoch_us(started_at), now_us - 86400000000) AS from_us,
           least(coalesce(epoch_us(ended_at), now_us), now_us) AS to_us
    FROM agent_states, clock
    WHERE day BETWEEN (moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 3
            AND (moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        AND started_at < moment::TIMESTAMPTZ
        AND to_us > from_us
),
present AS (
    SELECT agent, min(from_us) FILTER (state <> 'offline') AS seen_us
    FROM spans, clock
    GROUP BY agent
    HAVING arg_max(state, from_us) FILTER (to_us = now_us) <> 'offline'
),
rested AS (
    SELECT agent, max(to_us) FILTER (to_us - from_us >= coalesce(sites[site]['rest_s'], rest_s) * 1e6) AS rested_us,
           max(to_us) FILTER (to_us - from_us >= coalesce(sites[site]['break_s'], break_s) * 1e6) AS broke_us
    FROM (SELECT agent, min(from_us) AS from_us, max(to_us) AS to_us
          FROM (SELECT *, count(*) FILTER (NOT rests) OVER (PARTITION BY agent ORDER BY from_us) AS stretch FROM spans)
          WHERE rests
          GROUP BY agent, stretch) LEFT JOIN (SELECT agent, site FROM agents) USING (agent), clock
    GROUP BY agent
),
breathed AS (
    SELECT agent, max(to_us) AS breathed_us
    FROM (SELECT agent, min(from_us) AS from_us, max(to_us) AS to_us
          FROM (SELECT *, count(*) FILTER (works) OVER (PARTITION BY agent ORDER BY from_us) AS stretch FROM spans)
          WHERE NOT works
          GROUP BY agent, stretch), clock
    WHERE to_us - from_us >= breath_s * 1e6
    GROUP BY agent
),
lately AS (
    SELECT agent, (busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0) AS occupancy,
        busy_s + wrap_up_s + available_s AS phone_us
    FROM (SELECT agent, coalesce(sum(us) FILTER (WHERE state = 'available'), 0) AS available_s,
        coalesce(sum(us) FILTER (WHERE state = 'busy'), 0) AS busy_s,
        coalesce(sum(us) FILTER (WHERE state = 'wrap_up'), 0) AS wrap_up_s
          FROM (SELECT agent, state, to_us - greatest(from_us, lately_us) AS us FROM spans, clock)
          WHERE us > 0
          GROUP BY agent)
),
since AS (
    SELECT agent, now_us, lately_s, coalesce(breathed_us, seen_us) AS streak_us,
           coalesce(rested_us, seen_us) AS rest_us, coalesce(broke_us, seen_us) AS break_us
    FROM present LEFT JOIN rested USING (agent) LEFT JOIN breathed USING (agent), clock
),
answers AS (
    SELECT agent, count(*) FILTER (epoch_us(answered_at) >= streak_us AND epoch_us(answered_at) < now_us) AS calls
    FROM (
        SELECT * FROM calls JOIN (
            SELECT unnest(
                CASE WHEN isfinite(begin) AND isfinite(until) THEN range(begin, until, INTERVAL 1 DAY) END)::DATE AS day
            FROM (SELECT greatest((moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 - 1, first_day) AS begin,
                least((moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1, last_day) + 1 AS until
                  FROM ingest_status)
            UNION
            SELECT day
                FROM late_answers
                WHERE answered_on BETWEEN (moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1
                    AND (moment::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        ) USING (day)
        UNION ALL BY NAME SELECT * FROM calls WHERE day IS NULL
    ) JOIN since USING (agent)
    WHERE answered_at >= moment::TIMESTAMPTZ - INTERVAL 24 HOUR
    GROUP BY agent
)
SELECT agent, CASE WHEN phone_us >= lately_s * 5e5 THEN occupancy END AS occupancy,
       coalesce(calls, 0) AS streak_calls, (now_us - streak_us) / 1e6 AS streak_s,
       (now_us - rest_us) / 1e6 AS since_rest_s, (now_us - break_us) / 1e6 AS since_break_s
FROM since LEFT JOIN lately USING (agent) LEFT JOIN answers USING (agent);

CREATE MACRO agent_pauses(t0, t1) AS TABLE
WITH clock AS (
    SELECT epoch_us(t0::TIMESTAMPTZ) AS t0_us, least(epoch_us(t1::TIMESTAMPTZ), epoch_us(as_of)) AS t1_us, breaks
    FROM ingest_status, agent_limits
)
SELECT agent, reason, any_value(rests) AS rests, count(*) FILTER (began_us >= t0_us AND NOT goes_on) AS pauses,
       sum(to_us - from_us) / 1e6 AS paused_s, max(to_us - from_us) / 1e6 AS longest_s
FROM (
    SELECT agent, reason, t0_us,
        (state = 'offline' OR (state = 'paused' AND (reason IS NULL OR map_contains(breaks, reason)))) AS rests,
        epoch_us(started_at) AS began_us,
           greatest(t0_us, epoch_us(started_at)) AS from_us, least(t1_us, coalesce(epoch_us(ended_at), t1_us)) AS to_us,
           -- a state that lasts over midnight UTC is two rows
           coalesce(lag(ended_at) OVER (PARTITION BY agent, reason ORDER BY started_at) = started_at, false) AS goes_on
    FROM agent_states, clock
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 2 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE
        AND started_at < t1::TIMESTAMPTZ AND state = 'paused'
)
WHERE to_us > from_us
GROUP BY agent, reason;

CREATE MACRO agent_missed(t0, t1) AS TABLE
SELECT agent, campaign, count(*) AS missed
FROM (
    SELECT campaign, unnest(missed_by) AS agent
    FROM calls
    WHERE day BETWEEN (t0::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE - 1 AND (t1::TIMESTAMPTZ AT TIME ZONE 'UTC')::DATE + 1
        AND cohort_at >= t0::TIMESTAMPTZ AND cohort_at < t1::TIMESTAMPTZ AND len(missed_by) > 0
)
GROUP BY agent, campaign;

CREATE MACRO explain_kpi(campaign, t0, t1, kpi) AS TABLE
WITH asked AS (  -- named apart: inside the macro that is called, `campaign` would be ambiguous
    SELECT campaign AS chosen, kpi AS figure_asked
), row_of AS (
    SELECT k.* FROM asked, kpi_campaign(t0, t1) AS k WHERE k.campaign = chosen
), figures AS (
    SELECT unnest([
           {'figure': 'service_level', 'value': (service_level)::DOUBLE},
           {'figure': 'service_level_hits', 'value': (service_level_hits)::DOUBLE},
           {'figure': 'service_level_base', 'value': (service_level_base)::DOUBLE},
           {'figure': 'open_in_threshold', 'value': (open_in_threshold)::DOUBLE},
           {'figure': 'service_level 0',
               'value': ((answered_in_threshold + abandoned_in_threshold + callback_in_threshold)
                   / nullif(offered - open, 0))::DOUBLE},
           {'figure': 'service_level 1',
               'value': (answered_in_threshold / nullif(answered + abandoned + short_abandoned, 0))::DOUBLE},
           {'figure': 'service_level 2', 'value': (answered_in_threshold / nullif(answered + abandoned, 0))::DOUBLE},
           {'figure': 'service_level 3',
               'value': (answered_in_threshold
                   / nullif(offered - abandoned_in_threshold - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level 4',
               'value': (answered_in_threshold / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level 5',
               'value': ((answered_in_threshold + abandoned_in_threshold)
                   / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level 6',
               'value': (answered_in_threshold / nullif(answered + abandoned + voicemail + dropped, 0))::DOUBLE},
           {'figure': 'service_level 7', 'value': (answered_in_threshold / nullif(answered, 0))::DOUBLE},
           {'figure': 'service_level_worst', 'value': (service_level_worst)::DOUBLE},
           {'figure': 'service_level_late', 'value': (service_level_late)::DOUBLE},
           {'figure': 'service_level_worst 0',
               'value': ((answered_in_threshold + abandoned_in_threshold + callback_in_threshold)
                   / nullif(offered - open, 0))::DOUBLE},
           {'figure': 'service_level_worst 1',
               'value': (answered_in_threshold / nullif(answered + abandoned + short_abandoned, 0))::DOUBLE},
           {'figure': 'service_level_worst 2',
               'value': (answered_in_threshold / nullif(answered + abandoned, 0))::DOUBLE},
           {'figure': 'service_level_worst 3',
               'value': (answered_in_threshold
                   / nullif(offered - abandoned_in_threshold - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_worst 4',
               'value': (answered_in_threshold / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_worst 5',
               'value': ((answered_in_threshold + abandoned_in_threshold)
                   / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_worst 6',
               'value': (answered_in_threshold / nullif(answered + abandoned + voicemail + dropped, 0))::DOUBLE},
           {'figure': 'service_level_worst 7', 'value': (answered_in_threshold / nullif(answered, 0))::DOUBLE},
           {'figure': 'service_level_best', 'value': (service_level_best)::DOUBLE},
           {'figure': 'service_level_best 0',
               'value': ((answered_in_threshold + abandoned_in_threshold + callback_in_threshold)
                   / nullif(offered - open, 0))::DOUBLE},
           {'figure': 'service_level_best 1',
               'value': (answered_in_threshold / nullif(answered + abandoned + short_abandoned, 0))::DOUBLE},
           {'figure': 'service_level_best 2',
               'value': (answered_in_threshold / nullif(answered + abandoned, 0))::DOUBLE},
           {'figure': 'service_level_best 3',
               'value': (answered_in_threshold
                   / nullif(offered - abandoned_in_threshold - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_best 4',
               'value': (answered_in_threshold / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_best 5',
               'value': ((answered_in_threshold + abandoned_in_threshold)
                   / nullif(offered - open_in_threshold, 0))::DOUBLE},
           {'figure': 'service_level_best 6',
               'value': (answered_in_threshold / nullif(answered + abandoned + voicemail + dropped, 0))::DOUBLE},
           {'figure': 'service_level_best 7', 'value': (answered_in_threshold / nullif(answered, 0))::DOUBLE},
           {'figure': 'abandon_rate', 'value': (abandon_rate)::DOUBLE},
           {'figure': 'abandoned', 'value': (abandoned)::DOUBLE},
           {'figure': 'offered', 'value': (offered)::DOUBLE},
           {'figure': 'short_abandoned', 'value': (short_abandoned)::DOUBLE},
           {'figure': 'abandon_rate 0', 'value': ((abandoned + short_abandoned) / nullif(offered - open, 0))::DOUBLE},
           {'figure': 'abandon_rate 1', 'value': ((abandoned + short_abandoned) / nullif(offered, 0))::DOUBLE},
           {'figure': 'abandon_rate 2', 'value': (abandoned / nullif(offered - short_abandoned, 0))::DOUBLE},
           {'figure': 'answer_rate', 'value': (answer_rate)::DOUBLE},
           {'figure': 'answered', 'value': (answered)::DOUBLE},
           {'figure': 'asa_s', 'value': (asa_s)::DOUBLE},
           {'figure': 'answered_wait_s', 'value': (answered_wait_s)::DOUBLE},
           {'figure': 'asa_s 0', 'value': (answered_wait_s / nullif(answered, 0))::DOUBLE},
           {'figure': 'longest_wait_s', 'value': (longest_wait_s)::DOUBLE},
           {'figure': 'aht_s', 'value': (aht_s)::DOUBLE},
           {'figure': 'talk_s', 'value': (talk_s)::DOUBLE},
           {'figure': 'hold_s', 'value': (hold_s)::DOUBLE},
           {'figure': 'wrap_s', 'value': (wrap_s)::DOUBLE},
           {'figure': 'handled', 'value': (handled)::DOUBLE},
           {'figure': 'aht_s 0', 'value': ((talk_s + hold_s + wrap_s) / nullif(handled, 0))::DOUBLE},
           {'figure': 'aht_s 1', 'value': ((talk_s + hold_s + wrap_s) / nullif(handled, 0))::DOUBLE},
           {'figure': 'avg_talk_s', 'value': (avg_talk_s)::DOUBLE},
           {'figure': 'avg_hold_s', 'value': (avg_hold_s)::DOUBLE},
           {'figure': 'avg_wrap_s', 'value': (avg_wrap_s)::DOUBLE},
           {'figure': 'transfer_rate', 'value': (transfer_rate)::DOUBLE},
           {'figure': 'transferred', 'value': (transferred)::DOUBLE},
           {'figure': 'occupancy', 'value': (occupancy)::DOUBLE},
           {'figure': 'busy_s', 'value': (busy_s)::DOUBLE},
           {'figure': 'wrap_up_s', 'value': (wrap_up_s)::DOUBLE},
           {'figure': 'available_s', 'value': (available_s)::DOUBLE},
           {'figure': 'occupancy 0',
               'value': ((busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0))::DOUBLE},
           {'figure': 'occupancy 1',
               'value': ((busy_s + wrap_up_s) / nullif(busy_s + wrap_up_s + available_s, 0))::DOUBLE},
           {'figure': 'utilisation', 'value': (utilisation)::DOUBLE},
           {'figure': 'logged_in_s', 'value': (logged_in_s)::DOUBLE},
           {'figure': 'conversion', 'value': (conversion)::DOUBLE},
           {'figure': 'sales', 'value': (sales)::DOUBLE},
           {'figure': 'sales_per_hour', 'value': (sales_per_hour)::DOUBLE},
           {'figure': 'avg_score', 'value': (avg_score)::DOUBLE},
           {'figure': 'score_points', 'value': (score_points)::DOUBLE},
           {'figure': 'rated', 'value': (rated)::DOUBLE},
           {'figure': 'satisfaction', 'value': (satisfaction)::DOUBLE},
           {'figure': 'satisfied', 'value': (satisfied)::DOUBLE},
           {'figure': 'contact_rate', 'value': (contact_rate)::DOUBLE},
           {'figure': 'contacts', 'value': (contacts)::DOUBLE},
           {'figure': 'dialed', 'value': (dialed)::DOUBLE},
           {'figure': 'drop_rate', 'value': (drop_rate)::DOUBLE},
           {'figure': 'drops', 'value': (drops)::DOUBLE},
           {'figure': 'outbound_answered', 'value': (outbound_answered)::DOUBLE},
           {'figure': 'conserved', 'value': (conserved)::DOUBLE},
           {'figure': 'overflowed', 'value': (overflowed)::DOUBLE},
           {'figure': 'callback', 'value': (callback)::DOUBLE},
           {'figure': 'voicemail', 'value': (voicemail)::DOUBLE},
           {'figure': 'dropped', 'value': (dropped)::DOUBLE},
           {'figure': 'open', 'value': (open)::DOUBLE},
           {'figure': 'refused', 'value': (refused)::DOUBLE},
           {'figure': 'answered_in_threshold', 'value': (answered_in_threshold)::DOUBLE},
           {'figure': 'abandoned_in_threshold', 'value': (abandoned_in_threshold)::DOUBLE},
           {'figure': 'callback_in_threshold', 'value': (callback_in_threshold)::DOUBLE},
           {'figure': 'service_level_asked', 'value': (service_level_asked)::DOUBLE},
           {'figure': 'connected', 'value': (connected)::DOUBLE},
           {'figure': 'paused_s', 'value': (paused_s)::DOUBLE},
           {'figure': 'workload_s', 'value': (workload_s)::DOUBLE}
           ], recursive := true)
    FROM row_of
), lines(about, position, step, name, figure, text) AS (
    VALUES
        ('service_level', 0, 'figure', 'service_level', 'service_level',
            'service_level_hits / service_level_base: answered_in_threshold / (offered - short_abandoned - '
            'open_in_threshold), or the contract''s other formula [ratio 0–1]; NULL: no call counts in the '
            'denominator; docs/kpis.md, Service level; contracts differ: see kpi_formulas'),
        ('service_level', 20, 'count', 'service_level_hits', 'service_level_hits', ''),
        ('service_level', 21, 'count', 'service_level_base', 'service_level_base', ''),
        ('service_level', 22, 'count', 'open_in_threshold', 'open_in_threshold', ''),
        ('service_level', 50, 'elsewhere', 'Amazon Connect', 'service_level 0',
            'removed from the queue within T, also by hanging up or asking for a call back / queued; open calls '
            'absent'),
        ('service_level', 51, 'elsewhere', 'Genesys Cloud', 'service_level 1',
            'answered<=T / (answered + abandoned), its switches off'),
        ('service_level', 52, 'elsewhere', 'Genesys Cloud, short abandons excluded', 'service_level 2',
            'answered<=T / (answered + abandoned - short)'),
        ('service_level', 53, 'elsewhere', 'Cisco, ignore abandons', 'service_level 3',
            'answered<=T / (offered - abandoned<=T)'),
        ('service_level', 54, 'elsewhere', 'Cisco, abandons negative', 'service_level 4', 'answered<=T / offered'),
        ('service_level', 55, 'elsewhere', 'Cisco, abandons positive', 'service_level 5',
            '(answered<=T + abandoned<=T) / offered'),
        ('service_level', 56, 'elsewhere', 'Talkdesk', 'service_level 6',
            'Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded'),
        ('service_level', 57, 'elsewhere', 'Wazo', 'service_level 7', 'answered<=T / answered'),
        ('service_level_worst', 0, 'figure', 'service_level_worst', 'service_level_worst',
            'service_level_hits / (service_level_base + open_in_threshold + service_level_late): service_level if '
            'every open call inside T misses it [ratio 0–1]; NULL: no call counts and none is open; docs/kpis.md, '
            'Service level, worst and best'),
        ('service_level_worst', 20, 'count', 'service_level_hits', 'service_level_hits', ''),
        ('service_level_worst', 21, 'count', 'service_level_base', 'service_level_base', ''),
        ('service_level_worst', 22, 'count', 'open_in_threshold', 'open_in_threshold', ''),
        ('service_level_worst', 23, 'count', 'service_level_late', 'service_level_late', ''),
        ('service_level_worst', 50, 'elsewhere', 'Amazon Connect', 'service_level_worst 0',
            'removed from the queue within T, also by hanging up or asking for a call back / queued; open calls '
            'absent'),
        ('service_level_worst', 51, 'elsewhere', 'Genesys Cloud', 'service_level_worst 1',
            'answered<=T / (answered + abandoned), its switches off'),
        ('service_level_worst', 52, 'elsewhere', 'Genesys Cloud, short abandons excluded', 'service_level_worst 2',
            'answered<=T / (answered + abandoned - short)'),
        ('service_level_worst', 53, 'elsewhere', 'Cisco, ignore abandons', 'service_level_worst 3',
            'answered<=T / (offered - abandoned<=T)'),
        ('service_level_worst', 54, 'elsewhere', 'Cisco, abandons negative', 'service_level_worst 4',
            'answered<=T / offered'),
        ('service_level_worst', 55, 'elsewhere', 'Cisco, abandons positive', 'service_level_worst 5',
            '(answered<=T + abandoned<=T) / offered'),
        ('service_level_worst', 56, 'elsewhere', 'Talkdesk', 'service_level_worst 6',
            'Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded'),
        ('service_level_worst', 57, 'elsewhere', 'Wazo', 'service_level_worst 7', 'answered<=T / answered'),
        ('service_level_best', 0, 'figure', 'service_level_best', 'service_level_best',
            '(service_level_hits + open_in_threshold) / (service_level_base + open_in_threshold): service_level if '
            'every open call inside T is answered in time [ratio 0–1]; NULL: no call counts and none is open inside T; '
            'docs/kpis.md, Service level, worst and best'),
        ('service_level_best', 20, 'count', 'service_level_hits', 'service_level_hits', ''),
        ('service_level_best', 21, 'count', 'open_in_threshold', 'open_in_threshold', ''),
        ('service_level_best', 22, 'count', 'service_level_base', 'service_level_base', ''),
        ('service_level_best', 50, 'elsewhere', 'Amazon Connect', 'service_level_best 0',
            'removed from the queue within T, also by hanging up or asking for a call back / queued; open calls '
            'absent'),
        ('service_level_best', 51, 'elsewhere', 'Genesys Cloud', 'service_level_best 1',
            'answered<=T / (answered + abandoned), its switches off'),
        ('service_level_best', 52, 'elsewhere', 'Genesys Cloud, short abandons excluded', 'service_level_best 2',
            'answered<=T / (answered + abandoned - short)'),
        ('service_level_best', 53, 'elsewhere', 'Cisco, ignore abandons', 'service_level_best 3',
            'answered<=T / (offered - abandoned<=T)'),
        ('service_level_best', 54, 'elsewhere', 'Cisco, abandons negative', 'service_level_best 4',
            'answered<=T / offered'),
        ('service_level_best', 55, 'elsewhere', 'Cisco, abandons positive', 'service_level_best 5',
            '(answered<=T + abandoned<=T) / offered'),
        ('service_level_best', 56, 'elsewhere', 'Talkdesk', 'service_level_best 6',
            'Live: answered<=T / (answered + abandoned + missed + voicemail), short abandons excluded'),
        ('service_level_best', 57, 'elsewhere', 'Wazo', 'service_level_best 7', 'answered<=T / answered'),
        ('abandon_rate', 0, 'figure', 'abandon_rate', 'abandon_rate',
            'abandoned / (offered - short_abandoned) [ratio 0–1]; NULL: no call offered, or only short abandons; '
            'docs/kpis.md, Abandon rate'),
        ('abandon_rate', 20, 'count', 'abandoned', 'abandoned', ''),
        ('abandon_rate', 21, 'count', 'offered', 'offered', ''),
        ('abandon_rate', 22, 'count', 'short_abandoned', 'short_abandoned', ''),
        ('abandon_rate', 50, 'elsewhere', 'Amazon Connect', 'abandon_rate 0',
            'abandoned, short ones too / queued; open calls absent'),
        ('abandon_rate', 51, 'elsewhere', 'Genesys Cloud', 'abandon_rate 1', 'abandoned, short ones too / offered'),
        ('abandon_rate', 52, 'elsewhere', 'Cisco', 'abandon_rate 2',
            'abandons before the short-calls timer do not count'),
        ('abandon_rate', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('abandon_rate', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('answer_rate', 0, 'figure', 'answer_rate', 'answer_rate',
            'answered / offered [ratio 0–1]; NULL: no call offered; docs/kpis.md, Answer rate'),
        ('answer_rate', 20, 'count', 'answered', 'answered', ''),
        ('answer_rate', 21, 'count', 'offered', 'offered', ''),
        ('answer_rate', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('answer_rate', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('answer_rate', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('answer_rate', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('answer_rate', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('asa_s', 0, 'figure', 'asa_s', 'asa_s',
            'answered_wait_s / answered: mean wait of answered calls [s]; NULL: no call answered; docs/kpis.md, '
            'Average speed of answer'),
        ('asa_s', 20, 'count', 'answered_wait_s', 'answered_wait_s', ''),
        ('asa_s', 21, 'count', 'answered', 'answered', ''),
        ('asa_s', 50, 'elsewhere', 'Amazon Connect', 'asa_s 0', 'mean wait of answered calls, with whisper'),
        ('asa_s', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('asa_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('asa_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('asa_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('longest_wait_s', 0, 'figure', 'longest_wait_s', 'longest_wait_s',
            'open_wait_s: longest wait among open calls at as_of [s]; NULL: no call open; docs/kpis.md, Longest wait'),
        ('longest_wait_s', 20, 'count', 'open_wait_s', 'longest_wait_s', ''),
        ('longest_wait_s', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('longest_wait_s', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('longest_wait_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('longest_wait_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('longest_wait_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('aht_s', 0, 'figure', 'aht_s', 'aht_s',
            '(talk_s + hold_s + wrap_s) / handled [s]; NULL: no call handled; docs/kpis.md, Average handling time'),
        ('aht_s', 20, 'count', 'talk_s', 'talk_s', ''),
        ('aht_s', 21, 'count', 'hold_s', 'hold_s', ''),
        ('aht_s', 22, 'count', 'wrap_s', 'wrap_s', ''),
        ('aht_s', 23, 'count', 'handled', 'handled', ''),
        ('aht_s', 50, 'elsewhere', 'Amazon Connect', 'aht_s 0',
            '(talk + hold + after-call work) / handled, in the interval where a call ends'),
        ('aht_s', 51, 'elsewhere', 'Genesys Cloud', 'aht_s 1',
            '(talk + hold + ACW + dialling) / handled; its parts have denominators of their own'),
        ('aht_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('aht_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('aht_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('avg_talk_s', 0, 'figure', 'avg_talk_s', 'avg_talk_s',
            'talk_s / handled [s]; NULL: no call handled; docs/kpis.md, Average handling time'),
        ('avg_talk_s', 20, 'count', 'talk_s', 'talk_s', ''),
        ('avg_talk_s', 21, 'count', 'handled', 'handled', ''),
        ('avg_talk_s', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('avg_talk_s', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('avg_talk_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('avg_talk_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('avg_talk_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('avg_hold_s', 0, 'figure', 'avg_hold_s', 'avg_hold_s',
            'hold_s / handled [s]; NULL: no call handled; docs/kpis.md, Average handling time'),
        ('avg_hold_s', 20, 'count', 'hold_s', 'hold_s', ''),
        ('avg_hold_s', 21, 'count', 'handled', 'handled', ''),
        ('avg_hold_s', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('avg_hold_s', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('avg_hold_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('avg_hold_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('avg_hold_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('avg_wrap_s', 0, 'figure', 'avg_wrap_s', 'avg_wrap_s',
            'wrap_s / handled [s]; NULL: no call handled; docs/kpis.md, Average handling time'),
        ('avg_wrap_s', 20, 'count', 'wrap_s', 'wrap_s', ''),
        ('avg_wrap_s', 21, 'count', 'handled', 'handled', ''),
        ('avg_wrap_s', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('avg_wrap_s', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('avg_wrap_s', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('avg_wrap_s', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('avg_wrap_s', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('transfer_rate', 0, 'figure', 'transfer_rate', 'transfer_rate',
            'transferred / handled [ratio 0–1]; NULL: no call handled; docs/kpis.md, Transfer rate'),
        ('transfer_rate', 20, 'count', 'transferred', 'transferred', ''),
        ('transfer_rate', 21, 'count', 'handled', 'handled', ''),
        ('transfer_rate', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('transfer_rate', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('transfer_rate', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('transfer_rate', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('transfer_rate', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('occupancy', 0, 'figure', 'occupancy', 'occupancy',
            '(busy_s + wrap_up_s) / (busy_s + wrap_up_s + available_s) [ratio 0–1]; NULL: no agent busy, in wrap-up or '
            'available; docs/kpis.md, Occupancy'),
        ('occupancy', 20, 'count', 'busy_s', 'busy_s', ''),
        ('occupancy', 21, 'count', 'wrap_up_s', 'wrap_up_s', ''),
        ('occupancy', 22, 'count', 'available_s', 'available_s', ''),
        ('occupancy', 50, 'elsewhere', 'Amazon Connect', 'occupancy 0',
            'agent on contact / (on contact + idle), wall clock'),
        ('occupancy', 51, 'elsewhere', 'Genesys Cloud', 'occupancy 1',
            'interacting / (interacting + communicating + idle)'),
        ('occupancy', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('occupancy', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('occupancy', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('utilisation', 0, 'figure', 'utilisation', 'utilisation',
            '(busy_s + wrap_up_s) / logged_in_s [ratio 0–1]; NULL: no agent logged in; docs/kpis.md, Utilisation'),
        ('utilisation', 20, 'count', 'busy_s', 'busy_s', ''),
        ('utilisation', 21, 'count', 'wrap_up_s', 'wrap_up_s', ''),
        ('utilisation', 22, 'count', 'logged_in_s', 'logged_in_s', ''),
        ('utilisation', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('utilisation', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('utilisation', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('utilisation', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('utilisation', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('conversion', 0, 'figure', 'conversion', 'conversion',
            'sales / handled [ratio 0–1]; NULL: no call handled; docs/kpis.md, Conversion'),
        ('conversion', 20, 'count', 'sales', 'sales', ''),
        ('conversion', 21, 'count', 'handled', 'handled', ''),
        ('conversion', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('conversion', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('conversion', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('conversion', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('conversion', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('sales_per_hour', 0, 'figure', 'sales_per_hour', 'sales_per_hour',
            'sales / logged_in_s * 3600 [sales an hour]; NULL: no agent logged in; docs/kpis.md, Sales per hour'),
        ('sales_per_hour', 20, 'count', 'sales', 'sales', ''),
        ('sales_per_hour', 21, 'count', 'logged_in_s', 'logged_in_s', ''),
        ('sales_per_hour', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('sales_per_hour', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('sales_per_hour', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('sales_per_hour', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('sales_per_hour', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('avg_score', 0, 'figure', 'avg_score', 'avg_score',
            'score_points / rated [points 1–5]; NULL: no call rated; docs/kpis.md, Satisfaction'),
        ('avg_score', 20, 'count', 'score_points', 'score_points', ''),
        ('avg_score', 21, 'count', 'rated', 'rated', ''),
        ('avg_score', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('avg_score', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('avg_score', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('avg_score', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('avg_score', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('satisfaction', 0, 'figure', 'satisfaction', 'satisfaction',
            'satisfied / rated [ratio 0–1]; NULL: no call rated; docs/kpis.md, Satisfaction'),
        ('satisfaction', 20, 'count', 'satisfied', 'satisfied', ''),
        ('satisfaction', 21, 'count', 'rated', 'rated', ''),
        ('satisfaction', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('satisfaction', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('satisfaction', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('satisfaction', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('satisfaction', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('contact_rate', 0, 'figure', 'contact_rate', 'contact_rate',
            'contacts / dialed [ratio 0–1]; NULL: nothing dialed; docs/kpis.md, Contact rate'),
        ('contact_rate', 20, 'count', 'contacts', 'contacts', ''),
        ('contact_rate', 21, 'count', 'dialed', 'dialed', ''),
        ('contact_rate', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('contact_rate', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('contact_rate', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('contact_rate', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('contact_rate', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('drop_rate', 0, 'figure', 'drop_rate', 'drop_rate',
            'drops / (outbound_answered + drops) [ratio 0–1]; NULL: no outbound call answered or dropped; '
            'docs/kpis.md, Drop rate'),
        ('drop_rate', 20, 'count', 'drops', 'drops', ''),
        ('drop_rate', 21, 'count', 'outbound_answered', 'outbound_answered', ''),
        ('drop_rate', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('drop_rate', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('drop_rate', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('drop_rate', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('drop_rate', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('conserved', 0, 'figure', 'conserved', 'conserved',
            'offered = answered + abandoned + short_abandoned + overflowed + callback + voicemail + dropped + open '
            '[true or false]; NULL: never; docs/kpis.md, Conservation'),
        ('conserved', 20, 'count', 'offered', 'offered', ''),
        ('conserved', 21, 'count', 'answered', 'answered', ''),
        ('conserved', 22, 'count', 'abandoned', 'abandoned', ''),
        ('conserved', 23, 'count', 'short_abandoned', 'short_abandoned', ''),
        ('conserved', 24, 'count', 'overflowed', 'overflowed', ''),
        ('conserved', 25, 'count', 'callback', 'callback', ''),
        ('conserved', 26, 'count', 'voicemail', 'voicemail', ''),
        ('conserved', 27, 'count', 'dropped', 'dropped', ''),
        ('conserved', 28, 'count', 'open', 'open', ''),
        ('conserved', 70, 'elsewhere', 'Amazon Connect', '', 'no public formula found'),
        ('conserved', 71, 'elsewhere', 'Genesys Cloud', '', 'no public formula found'),
        ('conserved', 72, 'elsewhere', 'Cisco', '', 'no public formula found'),
        ('conserved', 73, 'elsewhere', 'Talkdesk', '', 'no public formula found'),
        ('conserved', 74, 'elsewhere', 'Wazo', '', 'no public formula found'),
        ('offered', 0, 'figure', 'offered', 'offered',
            'inbound and call-back calls queued in the window, without the refused [calls]'),
        ('answered', 0, 'figure', 'answered', 'answered',
            'offered calls: an agent and the customer were connected [calls]'),
        ('abandoned', 0, 'figure', 'abandoned', 'abandoned',
            'offered calls: the customer hung up while waiting [calls]'),
        ('short_abandoned', 0, 'figure', 'short_abandoned', 'short_abandoned',
            'offered calls: hung up after a wait below short_abandon_s [calls]'),
        ('overflowed', 0, 'figure', 'overflowed', 'overflowed', 'offered calls: left for another queue [calls]'),
        ('callback', 0, 'figure', 'callback', 'callback', 'offered calls: left for a promised call back [calls]'),
        ('voicemail', 0, 'figure', 'voicemail', 'voicemail', 'offered calls: left a message [calls]'),
        ('dropped', 0, 'figure', 'dropped', 'dropped',
            'offered calls: cut off by system or timeout, or its source went silent [calls]'),
        ('open', 0, 'figure', 'open', 'open', 'offered calls: still waiting at as_of [calls]'),
        ('refused', 0, 'figure', 'refused', 'refused',
            'calls that the queue did not take: closed, full or no agents; not offered [calls]'),
        ('answered_in_threshold', 0, 'figure', 'answered_in_threshold', 'answered_in_threshold',
            'answered with a wait inside the threshold of the call''s contract [calls]'),
        ('abandoned_in_threshold', 0, 'figure', 'abandoned_in_threshold', 'abandoned_in_threshold',
            'abandoned, short ones too, with a wait inside the threshold [calls]'),
        ('callback_in_threshold', 0, 'figure', 'callback_in_threshold', 'callback_in_threshold',
            'left for a call back inside the threshold (Amazon Connect counts them as served) [calls]'),
        ('open_in_threshold', 0, 'figure', 'open_in_threshold', 'open_in_threshold',
            'open and still inside the threshold: not yet counted for or against [calls]'),
        ('service_level_hits', 0, 'figure', 'service_level_hits', 'service_level_hits',
            'calls in the numerator of service_level, each by its own contract [calls]'),
        ('service_level_base', 0, 'figure', 'service_level_base', 'service_level_base',
            'calls in the denominator of service_level, each by its own contract [calls]'),
        ('service_level_asked', 0, 'figure', 'service_level_asked', 'service_level_asked',
            'calls in time that the contract asks for: of each call in service_level_base the target of its own term '
            '[calls, not whole]'),
        ('service_level_late', 0, 'figure', 'service_level_late', 'service_level_late',
            'open calls past the threshold that answered_only does not count before they are answered [calls]'),
        ('answered_wait_s', 0, 'figure', 'answered_wait_s', 'answered_wait_s', 'waits of answered calls, added [s]'),
        ('handled', 0, 'figure', 'handled', 'handled', 'answered, any direction, and talk has ended [calls]'),
        ('transferred', 0, 'figure', 'transferred', 'transferred',
            'handled calls whose talk ended by a transfer [calls]'),
        ('talk_s', 0, 'figure', 'talk_s', 'talk_s', 'talk of handled calls, without hold [s]'),
        ('hold_s', 0, 'figure', 'hold_s', 'hold_s', 'hold of handled calls [s]'),
        ('wrap_s', 0, 'figure', 'wrap_s', 'wrap_s', 'wrap-up of handled calls [s]'),
        ('sales', 0, 'figure', 'sales', 'sales', 'handled calls that ended in a sale [calls]'),
        ('dialed', 0, 'figure', 'dialed', 'dialed', 'outbound attempts [calls]'),
        ('connected', 0, 'figure', 'connected', 'connected',
            'outbound attempts that somebody or something picked up [calls]'),
        ('contacts', 0, 'figure', 'contacts', 'contacts', 'outbound attempts that a human picked up [calls]'),
        ('outbound_answered', 0, 'figure', 'outbound_answered', 'outbound_answered',
            'outbound calls that reached an agent [calls]'),
        ('drops', 0, 'figure', 'drops', 'drops', 'contacts that hung up, or were cut off, before an agent [calls]'),
        ('rated', 0, 'figure', 'rated', 'rated', 'calls that the customer rated [calls]'),
        ('satisfied', 0, 'figure', 'satisfied', 'satisfied', 'calls that the customer rated 4 or better [calls]'),
        ('score_points', 0, 'figure', 'score_points', 'score_points',
            'scores of rated calls, added [points, not whole]'),
        ('available_s', 0, 'figure', 'available_s', 'available_s', 'agents'' time ready for a call [s]'),
        ('busy_s', 0, 'figure', 'busy_s', 'busy_s', 'agents'' time ringing, talking or holding [s]'),
        ('wrap_up_s', 0, 'figure', 'wrap_up_s', 'wrap_up_s', 'agents'' time after-call work [s]'),
        ('paused_s', 0, 'figure', 'paused_s', 'paused_s', 'agents'' time in a pause [s]'),
        ('logged_in_s', 0, 'figure', 'logged_in_s', 'logged_in_s', 'agents'' time in all states but offline [s]'),
        ('workload_s', 0, 'figure', 'workload_s', 'workload_s',
            'wall-clock union per agent of [answered_at, end of wrap-up), of each call at most max_state_s [s]'),
        ('offered', 20, 'count', 'answered', 'answered', 'an agent and the customer were connected'),
        ('offered', 21, 'count', 'abandoned', 'abandoned', 'the customer hung up while waiting'),
        ('offered', 22, 'count', 'short_abandoned', 'short_abandoned', 'hung up after a wait below short_abandon_s'),
        ('offered', 23, 'count', 'overflowed', 'overflowed', 'left for another queue'),
        ('offered', 24, 'count', 'callback', 'callback', 'left for a promised call back'),
        ('offered', 25, 'count', 'voicemail', 'voicemail', 'left a message'),
        ('offered', 26, 'count', 'dropped', 'dropped', 'cut off by system or timeout, or its source went silent'),
        ('offered', 27, 'count', 'open', 'open', 'still waiting at as_of')
), contract AS (
    SELECT 10 AS position, 'contract' AS step, 'calls judged by it' AS name, s.service_level_base AS value,
           format('contract {}: {}, wait {} {:g} s, target {:g} %, short below {:g} s',
               coalesce('from ' || strftime(s.valid_from, '%Y-%m-%d %H:%M'), 'without beginning'), s.formula,
               CASE WHEN s.wait_at_threshold_counts THEN '<=' ELSE '<' END, s.threshold_s, s.target * 100,
               s.short_abandon_s) AS text, s.valid_from, s.valid_to, s.formula, s.threshold_s, s.target,
                   s.wait_at_threshold_counts, s.short_abandon_s
    FROM asked, kpi_term(t0, t1) AS s
    WHERE s.campaign = chosen
        AND figure_asked IN ('service_level', 'service_level_worst', 'service_level_best', 'abandon_rate')
)
SELECT step, name, value, text, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts,
    short_abandon_s
FROM (
    SELECT position, step, name, value, text
    FROM lines JOIN asked ON about = figure_asked LEFT JOIN figures USING (figure)
    WHERE EXISTS (FROM row_of)
    UNION ALL BY NAME
    FROM contract
)
ORDER BY position, valid_from NULLS FIRST;

CREATE VIEW kpi_daily AS
FROM kpi_days((SELECT first_day FROM ingest_status), (SELECT last_day + 1 FROM ingest_status));
