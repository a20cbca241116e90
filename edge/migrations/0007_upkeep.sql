-- What people ask of devices, the settings that devices shall run on, and the newest lines of their logs.
-- `line` is JSON of a message of shared/upkeep.py.

CREATE TABLE instructions (
    request_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    line TEXT NOT NULL, -- without its PIN once it has ended
    ended INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX instructions_waiting ON instructions (request_id) WHERE NOT ended;

CREATE TABLE assigned_settings (
    device_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    file TEXT -- the signed text as the device fetches it; NULL once it is known what became of it
) STRICT;

CREATE TABLE reported_settings (
    device_id TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL, -- of the boot that told it last
    line TEXT NOT NULL
) STRICT;

CREATE TABLE device_log (
    device_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    at TEXT NOT NULL, -- when the gateway heard it
    line TEXT NOT NULL
) STRICT;
CREATE INDEX device_log_of ON device_log (device_id);
