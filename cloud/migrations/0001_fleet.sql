-- Tenants, sites, gateways, machines, devices, and the secrets by which people and gateways are known.
-- Primary keys begin with the tenant: an id chosen by one tenant's gateway can neither collide with nor reveal another's.

CREATE TABLE tenants (
    tenant_id uuid NOT NULL CONSTRAINT tenants_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT tenants_name_length CHECK (length(name) BETWEEN 1 AND 120),
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL tenant_wall('tenants', 'SELECT, INSERT, UPDATE');

CREATE TABLE sites (
    tenant_id uuid NOT NULL CONSTRAINT sites_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL CONSTRAINT sites_name_length CHECK (length(name) BETWEEN 1 AND 120),
    address text NOT NULL DEFAULT '',
    latitude double precision CONSTRAINT sites_latitude_range CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CONSTRAINT sites_longitude_range CHECK (longitude BETWEEN -180 AND 180),
    currency text NOT NULL CONSTRAINT sites_currency_form CHECK (currency ~ '^[A-Z]{3}$'),
    last_change bigint NOT NULL DEFAULT 0,   -- highest number given to a change of this site
    pruned_change bigint NOT NULL DEFAULT 0, -- changes up to this number are gone; older cursors get the full state
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sites_pkey PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 70);
CALL tenant_wall('sites', 'SELECT, INSERT, UPDATE');

CREATE TABLE gateways (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    site_id uuid NOT NULL,
    name text NOT NULL,
    public_key text CONSTRAINT gateways_public_key_form CHECK (public_key ~ '^[0-9a-f]{64}$'), -- Ed25519, set by the claim
    software text,
    claimed_at timestamptz,
    revoked_at timestamptz,
    epoch integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,                        -- all facts of the epoch up to here have taken effect
    chain bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'), -- hash chain at seq
    acknowledged_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT gateways_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT gateways_site_key UNIQUE (tenant_id, site_id),
    CONSTRAINT gateways_site_fkey FOREIGN KEY (tenant_id, site_id) REFERENCES sites
) WITH (fillfactor = 50);
CALL tenant_wall('gateways', 'SELECT, INSERT, UPDATE');

CREATE TABLE claim_codes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    secret_sha256 text NOT NULL CONSTRAINT claim_codes_secret_key UNIQUE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    used_by text, -- the public key that used it
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT claim_codes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT claim_codes_gateway_fkey FOREIGN KEY (tenant_id, gateway_id) REFERENCES gateways,
    CONSTRAINT claim_codes_life CHECK (expires_at <= created_at + interval '24 hours')
);
CREATE INDEX claim_codes_gateway_idx ON claim_codes (tenant_id, gateway_id);
CALL tenant_wall('claim_codes', 'SELECT, INSERT, UPDATE');
CALL found_by_secret('claim_codes');

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL CONSTRAINT api_keys_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL, -- the key's first characters, for people to tell keys apart
    secret_sha256 text NOT NULL CONSTRAINT api_keys_secret_key UNIQUE,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id)
);
CALL tenant_wall('api_keys', 'SELECT, INSERT, UPDATE');
CALL found_by_secret('api_keys');

CREATE TABLE sessions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    secret_sha256 text NOT NULL CONSTRAINT sessions_secret_key UNIQUE,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT sessions_api_key_fkey FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_keys
);
CREATE INDEX sessions_api_key_idx ON sessions (tenant_id, api_key_id);
CALL tenant_wall('sessions', 'SELECT, INSERT, UPDATE, DELETE');
CALL found_by_secret('sessions');

CREATE TABLE machines (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    site_id uuid NOT NULL,
    name text NOT NULL CONSTRAINT machines_name_length CHECK (length(name) BETWEEN 1 AND 120),
    rail text NOT NULL CONSTRAINT machines_rail_known CHECK (rail IN ('free', 'cash')),
    in_service boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT machines_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT machines_site_fkey FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
CREATE INDEX machines_site_idx ON machines (tenant_id, site_id);
CALL tenant_wall('machines', 'SELECT, INSERT, UPDATE');

CREATE TABLE devices (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    name text NOT NULL CONSTRAINT devices_name_length CHECK (length(name) BETWEEN 1 AND 120),
    claim_issued_at timestamptz NOT NULL,
    claim_code_sha256 text NOT NULL, -- checked by the gateway, which is where a device claims itself
    claim_expires_at timestamptz NOT NULL,
    claimed_at timestamptz,
    online boolean NOT NULL DEFAULT false,
    link_changed_at timestamptz,
    link_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT devices_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT devices_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT devices_claim_life CHECK (claim_expires_at <= claim_issued_at + interval '24 hours')
);
CREATE INDEX devices_machine_idx ON devices (tenant_id, machine_id);
CALL tenant_wall('devices', 'SELECT, INSERT, UPDATE');

CREATE TABLE device_health ( -- the newest sample of each device
    tenant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    at timestamptz NOT NULL,
    firmware text,
    uptime_s bigint NOT NULL,
    free_bytes bigint,
    rssi_dbm integer,
    journal_bytes bigint,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT device_health_pkey PRIMARY KEY (tenant_id, device_id),
    CONSTRAINT device_health_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
) WITH (fillfactor = 50);
CALL tenant_wall('device_health', 'SELECT, INSERT, UPDATE');
