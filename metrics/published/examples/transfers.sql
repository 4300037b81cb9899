-- Phone calls that were transferred or queued again, those with the most visits first.
SELECT
    linked_id,
    count(*) AS visits,
    list(queue ORDER BY queued_at) AS queues,
    sum(wait_s) AS waited_s,
    sum(handle_s) AS handled_s,
    min(queued_at) AS began
FROM calls
WHERE linked_id IS NOT NULL
GROUP BY linked_id
HAVING count(*) > 1
ORDER BY visits DESC, waited_s DESC
LIMIT 500;
