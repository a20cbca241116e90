-- When the backup beside this ledger was made.
CREATE TABLE last_backup (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot_id TEXT NOT NULL,
    ms INTEGER NOT NULL
) STRICT;
