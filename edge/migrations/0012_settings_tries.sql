-- How often the device had tried just these settings when they were assigned: only what it tries since then counts.
ALTER TABLE assigned_settings ADD COLUMN tries_before INTEGER NOT NULL DEFAULT 0;
