-- Whoever has done something that a record names: people and keys alike. They stay when the person or key is gone.

CREATE TABLE actors (
    tenant_id uuid NOT NULL CONSTRAINT actors_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL, -- of the user or the API key
    kind text NOT NULL CONSTRAINT actors_kind_known CHECK (kind IN ('user', 'api_key', 'platform', 'system')),
    name text NOT NULL,
    CONSTRAINT actors_pkey PRIMARY KEY (tenant_id, id)
);
CALL tenant_wall('actors', 'SELECT, INSERT, UPDATE');

ALTER TABLE api_keys
    ADD COLUMN scopes text[], -- permissions
    ADD COLUMN created_by uuid,
    ADD COLUMN last_used_at timestamptz;
ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE actors NO FORCE ROW LEVEL SECURITY;
-- Keys of before could do all there was.
UPDATE api_keys SET scopes = '{orders:read,inventory:read,catalog:read,devices:read,devices:instruct,devices:configure,gateways:read,firmware:read,firmware:write}';
INSERT INTO actors (tenant_id, id, kind, name) SELECT tenant_id, id, 'api_key', name FROM api_keys;
ALTER TABLE actors FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE api_keys
    ALTER COLUMN scopes SET NOT NULL,
    ADD CONSTRAINT api_keys_actor_fkey FOREIGN KEY (tenant_id, id) REFERENCES actors,
    ADD CONSTRAINT api_keys_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES actors;
CREATE INDEX api_keys_created_by_idx ON api_keys (tenant_id, created_by);
CREATE INDEX api_keys_list_idx ON api_keys (tenant_id, created_at DESC, id DESC);

ALTER TABLE firmware_assignments
    DROP CONSTRAINT firmware_assignments_key_fkey,
    ADD CONSTRAINT firmware_assignments_actor_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES actors;
ALTER TABLE device_instructions
    DROP CONSTRAINT device_instructions_asked_by_fkey,
    ADD CONSTRAINT device_instructions_asked_by_fkey FOREIGN KEY (tenant_id, asked_by) REFERENCES actors;
ALTER TABLE device_settings
    DROP CONSTRAINT device_settings_assigned_by_fkey,
    ADD CONSTRAINT device_settings_assigned_by_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES actors;
ALTER TABLE releases
    DROP CONSTRAINT releases_withdrawn_key_fkey,
    ADD CONSTRAINT releases_withdrawn_by_fkey FOREIGN KEY (tenant_id, withdrawn_by) REFERENCES actors;
ALTER TABLE site_releases
    DROP CONSTRAINT site_releases_key_fkey,
    ADD CONSTRAINT site_releases_actor_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES actors;

-- Short-lived tokens made with an API key, and those that renew them. A renewed one is never taken twice.
CREATE TABLE access_tokens (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    family uuid NOT NULL, -- all that came from one exchange of the key
    kind text NOT NULL CONSTRAINT access_tokens_kind_known CHECK (kind IN ('access', 'refresh')),
    scopes text[] NOT NULL,
    secret_sha256 text NOT NULL CONSTRAINT access_tokens_secret_key UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz, -- of a refresh token: it has been exchanged
    revoked_at timestamptz,
    CONSTRAINT access_tokens_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT access_tokens_api_key_fkey FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_keys
);
CREATE INDEX access_tokens_api_key_idx ON access_tokens (tenant_id, api_key_id);
CREATE INDEX access_tokens_family_idx ON access_tokens (tenant_id, family);
CREATE INDEX access_tokens_expiry_idx ON access_tokens (tenant_id, expires_at);
CALL tenant_wall('access_tokens', 'SELECT, INSERT, UPDATE, DELETE');
CALL found_by_secret('access_tokens');
