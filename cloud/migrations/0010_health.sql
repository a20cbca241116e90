-- How devices were, five minutes in a row; device_health has the newest sample. By the gateway's clock.
CREATE TABLE health_samples (
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    begin_at timestamptz NOT NULL, -- begin of the five minutes
    at timestamptz NOT NULL,      -- of the newest sample in them
    firmware text,
    uptime_s bigint NOT NULL,
    free_bytes bigint,
    rssi_dbm integer,
    journal_bytes bigint,
    reset_cause text,
    journal_limit_bytes bigint,
    centi_celsius text NOT NULL, -- JSON: zone → hundredths of a degree, null if its sensor was silent
    door_open boolean,
    peak_ma text NOT NULL, -- JSON: slot → milliamperes
    clock text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT health_samples_pkey PRIMARY KEY (tenant_id, device_id, begin_at),
    CONSTRAINT health_samples_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
) PARTITION BY RANGE (begin_at);
CALL tenant_wall('health_samples', 'SELECT, INSERT, UPDATE');
CREATE TABLE health_samples_other PARTITION OF health_samples DEFAULT WITH (fillfactor = 70);
CALL wall_partition('health_samples_other');
