-- Columns that are encrypted (cloud/encryption/columns.py): a value says with which key, `NAME.gAAAA…`.

-- The name of the key that a value is encrypted with; '' of one that is not.
CREATE FUNCTION encryption_key_of(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(substring(value FROM '^([a-z0-9-]{1,16})\.gAAAA'), '');

CREATE TABLE encryption_keys ( -- those that values may still need, and '' while some may not be encrypted yet
    name text NOT NULL CONSTRAINT encryption_keys_pkey PRIMARY KEY,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO encryption_keys (name) VALUES (''); -- PINs of instructions and settings of devices until now
ALTER TABLE encryption_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE encryption_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON encryption_keys USING (true) WITH CHECK (true); -- names are no secrets
GRANT SELECT, INSERT, DELETE ON encryption_keys TO larder_app;

-- Of the rows there are, those in plain stay until the next start encrypts them.
ALTER TABLE device_instructions ADD CONSTRAINT device_instructions_pin_encrypted
    CHECK (pin IS NULL OR encryption_key_of(pin) <> '') NOT VALID;
ALTER TABLE device_settings
    DROP CONSTRAINT device_settings_digest_right,
    ADD CONSTRAINT device_settings_signed_encrypted CHECK (encryption_key_of(signed) <> '') NOT VALID;
ALTER TABLE user_secrets
    ADD CONSTRAINT user_secrets_totp_seed_encrypted CHECK (totp_seed IS NULL OR encryption_key_of(totp_seed) <> '');
GRANT UPDATE (signed) ON device_settings TO larder_app; -- with another key

-- Changes have told settings in plain. They are told without from now on; sites with such changes get their full state.
ALTER TABLE sites NO FORCE ROW LEVEL SECURITY;
ALTER TABLE changes NO FORCE ROW LEVEL SECURITY;
UPDATE sites s SET pruned_change = last_change WHERE EXISTS (
    SELECT FROM changes c
    WHERE c.tenant_id = s.tenant_id AND c.site_id = s.id AND c.body::jsonb ->> 'kind' = 'settings_assigned'
);
DELETE FROM changes c USING sites s
    WHERE c.tenant_id = s.tenant_id AND c.site_id = s.id AND s.pruned_change = s.last_change;
ALTER TABLE sites FORCE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;
