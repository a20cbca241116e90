-- Firmware. A release belongs to the tenant that published it: the same one, published by two, lies here twice, and no
-- wall has to have a door. Who may sign releases is a setting of the cloud, the same for all.

CREATE TABLE releases (
    tenant_id uuid NOT NULL CONSTRAINT releases_tenant_fkey REFERENCES tenants,
    digest text NOT NULL, -- SHA-256 of the signed text as a file
    kind text NOT NULL CONSTRAINT releases_kind_known CHECK (kind IN ('app', 'image')),
    board text NOT NULL,
    version text NOT NULL,
    minimum text NOT NULL,
    expires bigint NOT NULL, -- seconds since 1970 (UTC); as signed, so it may be later than any timestamp
    size integer NOT NULL,   -- of the signed text as a file
    signed_by text NOT NULL, -- key id
    published_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT releases_pkey PRIMARY KEY (tenant_id, digest),
    CONSTRAINT releases_version_key UNIQUE (tenant_id, kind, board, version)
);
CALL tenant_wall('releases', 'SELECT, INSERT');

CREATE TABLE release_files ( -- the signed texts and what they list
    tenant_id uuid NOT NULL CONSTRAINT release_files_tenant_fkey REFERENCES tenants,
    sha256 text NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT release_files_pkey PRIMARY KEY (tenant_id, sha256),
    CONSTRAINT release_files_sha256_right CHECK (sha256 = encode(sha256(content), 'hex'))
);
-- Uncompressed, so that a download that goes on in the middle reads only what is left.
ALTER TABLE release_files ALTER COLUMN content SET STORAGE EXTERNAL;
CALL tenant_wall('release_files', 'SELECT, INSERT');

CREATE TABLE firmware_assignments ( -- what a person last wished for a device; not what it runs
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    id uuid NOT NULL,
    digest text, -- none: the device keeps what it runs
    assigned_by uuid NOT NULL, -- API key
    assigned_at timestamptz NOT NULL,
    given_up_at timestamptz,
    given_up_reason text,
    CONSTRAINT firmware_assignments_pkey PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT firmware_assignments_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices,
    CONSTRAINT firmware_assignments_release_fkey FOREIGN KEY (tenant_id, digest) REFERENCES releases,
    CONSTRAINT firmware_assignments_key_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES api_keys,
    CONSTRAINT firmware_assignments_end CHECK ((given_up_at IS NULL) = (given_up_reason IS NULL))
);
CREATE INDEX firmware_assignments_release_idx ON firmware_assignments (tenant_id, digest);
CREATE INDEX firmware_assignments_key_idx ON firmware_assignments (tenant_id, assigned_by);
CALL tenant_wall('firmware_assignments', 'SELECT, INSERT, UPDATE');

CREATE TABLE device_firmware ( -- what the device itself last said; this is what is believed
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    slot text NOT NULL CONSTRAINT device_firmware_slot_known CHECK (slot IN ('a', 'b')),
    digest text, -- none: it came by cable
    version text NOT NULL,
    state text NOT NULL,
    offered text,
    reason text,
    changed_at timestamptz NOT NULL,
    CONSTRAINT device_firmware_pkey PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT device_firmware_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
) WITH (fillfactor = 70);
CALL tenant_wall('device_firmware', 'SELECT, INSERT, UPDATE');
