-- Zones of devices that must stay cold, as the device judges them. What it said last stands until it says otherwise.
CREATE TABLE zones (
    device_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    condition TEXT NOT NULL CHECK (condition IN ('cold', 'warm', 'locked')),
    slots TEXT NOT NULL, -- a JSON array of codes
    asked_by TEXT, -- who has asked for its release since it locked
    PRIMARY KEY (device_id, zone)
) STRICT;
-- The slot is in a zone that is locked.
ALTER TABLE stock ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;
