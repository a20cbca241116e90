-- What every heartbeat tells by now, and which zones of which device are locked because they were too warm.

ALTER TABLE device_health
    ADD COLUMN reset_cause text,
    ADD COLUMN journal_limit_bytes bigint,
    ADD COLUMN centi_celsius text NOT NULL DEFAULT '{}', -- JSON: zone → hundredths of a degree, null if its sensor is silent
    ADD COLUMN door_open boolean,
    ADD COLUMN peak_ma text NOT NULL DEFAULT '{}', -- JSON: slot → milliamperes
    ADD COLUMN clock text NOT NULL DEFAULT 'unsynced';

CREATE TABLE zones (
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    zone text NOT NULL,
    locked boolean NOT NULL,
    slots text[] NOT NULL,     -- that were locked with it
    centi_celsius integer,     -- when it locked; NULL: its sensor was silent
    released_by text,          -- NULL while it is locked, and when nobody had asked
    changed_at timestamptz NOT NULL,
    CONSTRAINT zones_pkey PRIMARY KEY (tenant_id, device_id, zone),
    CONSTRAINT zones_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
);
CALL tenant_wall('zones', 'SELECT, INSERT, UPDATE');
