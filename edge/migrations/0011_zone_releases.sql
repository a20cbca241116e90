-- Who has asked for which release of a zone, and which release let a zone go last. The device says which one it was.
ALTER TABLE zones DROP COLUMN asked_by;
ALTER TABLE zones ADD COLUMN release_id TEXT;
CREATE TABLE zone_requests (
    request_id TEXT PRIMARY KEY,
    asked_by TEXT NOT NULL
) STRICT;
INSERT INTO zone_requests SELECT request_id, json_extract(line, '$.asked_by') FROM instructions
    WHERE json_extract(line, '$.action') = 'release_zone';
