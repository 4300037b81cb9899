-- The alerts in the store, and in the snapshot. alerting.py says when each part runs.
-- Reads: alerts, changed_alerts, open_alerts.
-- Changes: alerts, snapshot.alerts.
-- Makes: nothing.

-- name: open
SELECT {columns} FROM alerts WHERE ended_at IS NULL;

-- name: save
DELETE FROM alerts WHERE ended_at IS NULL;
INSERT INTO alerts BY NAME FROM changed_alerts;

-- name: forget
DELETE FROM alerts
WHERE ended_at < $kept_since
    OR alert_id IN (
        SELECT alert_id FROM alerts WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, alert_id OFFSET $most
    );

-- name: publish
DELETE FROM snapshot.alerts;
INSERT INTO snapshot.alerts BY NAME
SELECT * EXCLUDE (seen_at) FROM alerts WHERE ended_at IS NOT NULL
UNION ALL BY NAME
SELECT * EXCLUDE (seen_at) FROM open_alerts WHERE fired_at IS NOT NULL;
