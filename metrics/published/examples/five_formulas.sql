-- Service level of the last seven days by each of the five formulas that contracts use, for the same calls.
FROM kpi_formulas(
    (SELECT as_of - INTERVAL 7 DAYS FROM ingest_status),
    (SELECT as_of FROM ingest_status)
)
ORDER BY campaign;
