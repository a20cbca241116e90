-- Changes from the cloud that could not take effect: kept for people, in nobody's way.
CREATE TABLE dead_changes (
    body_sha256 TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    received_at TEXT NOT NULL
) STRICT;
