-- The checksums of the Parquet files that count, and which of these files are damaged. checksums.py says when each part runs.
-- Reads: checksums, duckdb_tables, segments.
-- Changes: checksums.
-- Makes: nothing.

-- name: counted
SELECT relation, file FROM segments;

-- name: known
SELECT s.relation, c.crc32, c.is_damaged
FROM segments s
LEFT JOIN checksums c USING (file)
WHERE file = $file;

-- name: damaged
SELECT s.relation, file FROM checksums c JOIN segments s USING (file) WHERE c.is_damaged ORDER BY ALL;

-- name: note
MERGE INTO checksums
USING (SELECT $file AS file, $crc32::UINTEGER AS crc32, $is_damaged::BOOLEAN AS is_damaged) AS news USING (file)
WHEN MATCHED THEN UPDATE SET crc32 = news.crc32, is_damaged = news.is_damaged
WHEN NOT MATCHED THEN INSERT;

-- name: forget
DELETE FROM checksums WHERE file IN (SELECT unnest($files));

-- name: has_checksums
FROM duckdb_tables() WHERE database_name = current_database() AND table_name = 'checksums';

-- name: of_counted
SELECT s.relation, file, c.crc32, c.is_damaged FROM checksums c JOIN segments s USING (file);
