-- Looking after devices: what people ask of them, and the settings they shall run on.

CREATE TABLE device_instructions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    device_id uuid NOT NULL,
    idempotency_key uuid NOT NULL,
    action text NOT NULL CONSTRAINT device_instructions_action_known
        CHECK (action IN ('restart', 'jog', 'release_zone')),
    slot text,
    zone text,
    pin text, -- nowhere else, and not once it has ended or expired
    asked_by uuid NOT NULL, -- API key
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text CONSTRAINT device_instructions_state_known CHECK (state IN ('done', 'refused')),
    reason text,
    evidence text, -- JSON as the device told it
    ended_at timestamptz,
    CONSTRAINT device_instructions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT device_instructions_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT device_instructions_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices,
    CONSTRAINT device_instructions_asked_by_fkey FOREIGN KEY (tenant_id, asked_by) REFERENCES api_keys,
    CONSTRAINT device_instructions_end CHECK ((state IS NULL) = (ended_at IS NULL)),
    CONSTRAINT device_instructions_pin_forgotten CHECK (pin IS NULL OR ended_at IS NULL)
);
CREATE INDEX device_instructions_device_idx ON device_instructions (tenant_id, device_id, asked_at DESC, id DESC);
CREATE INDEX device_instructions_asked_by_idx ON device_instructions (tenant_id, asked_by);
CREATE INDEX device_instructions_pin_idx ON device_instructions (tenant_id, expires_at) WHERE pin IS NOT NULL;
CALL tenant_wall('device_instructions', 'SELECT, INSERT, UPDATE');

CREATE TABLE device_settings ( -- every version; a device shall run on the newest
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    version integer NOT NULL,
    signed text NOT NULL,  -- the signed text as a file
    digest text NOT NULL,  -- SHA-256 of that file
    assigned_by uuid NOT NULL, -- API key
    assigned_at timestamptz NOT NULL,
    CONSTRAINT device_settings_pkey PRIMARY KEY (tenant_id, device_id, version),
    CONSTRAINT device_settings_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices,
    CONSTRAINT device_settings_assigned_by_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES api_keys,
    CONSTRAINT device_settings_digest_right CHECK (digest = encode(sha256(convert_to(signed, 'UTF8')), 'hex'))
);
CREATE INDEX device_settings_assigned_by_idx ON device_settings (tenant_id, assigned_by);
CALL tenant_wall('device_settings', 'SELECT, INSERT');

CREATE TABLE device_settings_reports ( -- what the device itself last said; this is what is believed
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    digest text, -- none: unsigned settings, put there by hand
    state text NOT NULL CONSTRAINT device_settings_reports_state_known
        CHECK (state IN ('kept', 'trial', 'reverted', 'refused')),
    offered text,
    reason text,
    reported_at timestamptz NOT NULL,
    CONSTRAINT device_settings_reports_pkey PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT device_settings_reports_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
) WITH (fillfactor = 70);
CALL tenant_wall('device_settings_reports', 'SELECT, INSERT, UPDATE');
