"""The alarms that the consumer publishes (relation `alarms`): what may ring, and what each kind means."""

KINDS = {
    "calls_not_conserved": "calls of a campaign and day that are lost, counted twice, or under no outcome",
    "events_not_conserved": "the events that are stored are not as many as those that were accepted",
    "rows_doubled": "archived rows of a day are there more than once, as counted when its files were merged",
    "impossible_count": "a count that cannot be: negative, or a part that is more than its whole",
    "calls_in_no_campaign": "no event says when these calls entered a queue or were dialed, and none is expected now",
}
