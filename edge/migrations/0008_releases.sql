-- What each device shall run, and how far that has come.
CREATE TABLE release_assignments (
    device_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    assignment_id TEXT NOT NULL,
    -- NULL: the device keeps what it runs.
    digest TEXT,
    size INTEGER,
    -- The signed text was found right, and all it lists may be fetched.
    checked INTEGER NOT NULL DEFAULT 0,
    -- Offered, and the device has not said yet that it came to nothing.
    offered INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    -- Why it is not offered any more.
    given_up TEXT
) STRICT;

-- What each device last said of its firmware.
CREATE TABLE device_firmware (
    device_id TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    digest TEXT,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    offered TEXT,
    reason TEXT
) STRICT;
