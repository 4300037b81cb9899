-- The same calls of the last seven days by the five formulas that contracts use: what a campaign would report.
FROM kpi_formulas(
    (SELECT as_of - INTERVAL 7 DAYS FROM ingest_status),
    (SELECT as_of FROM ingest_status)
)
ORDER BY campaign;
