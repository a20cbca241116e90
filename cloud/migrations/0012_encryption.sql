-- Columns that are encrypted (cloud/encryption/columns.py): a value says with which key, `NAME.gAAAA…`.

-- The name of the key that a value is encrypted with; '' of one that is not.
CREATE FUNCTION encryption_key_of(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(substring(value FROM '^([a-z0-9-]{1,16})\.gAAAA'), '');

CREATE TABLE encryption_keys ( -- those that values may still need, and '' while some may not be encrypted yet
    name text NOT NULL CONSTRAINT encryption_keys_pkey PRIMARY KEY,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO encryption_keys (name) VALUES (''); -- PINs of instructions until now
ALTER TABLE encryption_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE encryption_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON encryption_keys USING (true) WITH CHECK (true); -- names are no secrets
GRANT SELECT, INSERT, DELETE ON encryption_keys TO larder_app;

-- Of the rows there are, those in plain stay until the next start encrypts them.
ALTER TABLE device_instructions ADD CONSTRAINT device_instructions_pin_encrypted
    CHECK (pin IS NULL OR encryption_key_of(pin) <> '') NOT VALID;
