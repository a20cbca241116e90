-- People stand outside tenants: one person may belong to several. Their rows are behind a wall of their own: a unit of
-- work sees those of the person it works for (`app.user`), and the one row that a secret or an address opens.

CREATE FUNCTION current_person() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user', true), '')::uuid;

-- The wall of a table whose rows belong to one person each, named by column `person`.
CREATE PROCEDURE personal_wall(walled regclass, person text, rights text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', walled);
    EXECUTE format('CREATE POLICY own ON %s USING (%I = current_person()) WITH CHECK (%I = current_person())', walled, person, person);
    EXECUTE format('GRANT %s ON %s TO larder_app', rights, walled);
END $$;

CREATE TABLE users (
    id uuid NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    email text NOT NULL CONSTRAINT users_email_length CHECK (length(email) BETWEEN 3 AND 254),
    email_key text NOT NULL CONSTRAINT users_email_key UNIQUE, -- the address folded: how they are found
    name text NOT NULL CONSTRAINT users_name_length CHECK (length(name) BETWEEN 1 AND 120),
    is_platform_admin boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CALL personal_wall('users', 'id', 'SELECT, INSERT');
GRANT UPDATE (email, email_key, name) ON users TO larder_app; -- nobody makes themselves a platform admin
CREATE POLICY by_address ON users FOR SELECT
    USING (email_key = nullif(current_setting('app.email', true), ''));
CREATE POLICY made_plain ON users AS RESTRICTIVE FOR INSERT WITH CHECK (NOT is_platform_admin);

CREATE TABLE user_secrets ( -- apart from `users`, since colleagues see those
    user_id uuid NOT NULL CONSTRAINT user_secrets_pkey PRIMARY KEY CONSTRAINT user_secrets_user_fkey REFERENCES users,
    password_hash text, -- Argon2id; none until one was chosen
    totp_seed text, -- encrypted
    totp_confirmed_at timestamptz, -- none: it was shown and no code of it yet
    totp_last_step bigint NOT NULL DEFAULT 0, -- the newest time step of which a code was taken: none is taken twice
    changed_at timestamptz NOT NULL DEFAULT now()
);
CALL personal_wall('user_secrets', 'user_id', 'SELECT, INSERT, UPDATE');

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL CONSTRAINT recovery_codes_user_fkey REFERENCES users,
    code_sha256 text NOT NULL,
    used_at timestamptz,
    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_sha256)
);
CALL personal_wall('recovery_codes', 'user_id', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE password_resets (
    id uuid NOT NULL CONSTRAINT password_resets_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT password_resets_user_fkey REFERENCES users,
    secret_sha256 text NOT NULL CONSTRAINT password_resets_secret_key UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX password_resets_user_idx ON password_resets (user_id);
CALL personal_wall('password_resets', 'user_id', 'SELECT, INSERT, UPDATE, DELETE');
CALL found_by_secret('password_resets');

DROP TABLE sessions; -- of browsers that showed an API key: people sign in as themselves now
CREATE TABLE sessions (
    id uuid NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT sessions_user_fkey REFERENCES users,
    secret_sha256 text NOT NULL CONSTRAINT sessions_secret_key UNIQUE,
    acts_for uuid CONSTRAINT sessions_tenant_fkey REFERENCES tenants, -- the tenant whose pages it shows
    second_factor_at timestamptz, -- when it was last shown
    address text NOT NULL,
    agent text NOT NULL,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_user_idx ON sessions (user_id);
CREATE INDEX sessions_tenant_idx ON sessions (acts_for);
CALL personal_wall('sessions', 'user_id', 'SELECT, INSERT, UPDATE, DELETE');
CALL found_by_secret('sessions');

-- The ids of all users, and nothing else of them, for work that goes through user by user.
CREATE POLICY listed ON users FOR SELECT TO CURRENT_USER USING (current_setting('app.listing', true) = 'users');
CREATE FUNCTION all_users() RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('app.listing', 'users', true);
    RETURN QUERY SELECT id FROM users;
    PERFORM set_config('app.listing', '', true);
END $$;
REVOKE ALL ON FUNCTION all_users() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION all_users() TO larder_app;
