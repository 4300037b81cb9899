"""The kinds of alarm that the consumer publishes (relation `alarms`), and what each means."""

KINDS = {
    "calls_not_conserved": "calls of a campaign and day are missing, counted twice, or have no outcome",
    "events_not_conserved": "the number of stored events differs from the number accepted",
    "records_not_conserved": "records were read that left neither an event nor a dead letter, or left both",
    "letters_left_out": "more lines of a source were rejected in the last 15 minutes than are kept",
    "rows_doubled": "a day has duplicate archived rows, found when its files were merged",
    "files_damaged": "archived files of a day differ from their checksums, or cannot be read",
    "impossible_count": "a count is negative, or a part is larger than its whole",
    "calls_in_no_campaign": "no event says when these calls were queued or dialled, and none is expected any more",
}
