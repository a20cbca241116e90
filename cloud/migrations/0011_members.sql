-- Who belongs to a tenant, as what, and which part of it they see.

CREATE TABLE memberships (
    tenant_id uuid NOT NULL CONSTRAINT memberships_tenant_fkey REFERENCES tenants,
    user_id uuid NOT NULL CONSTRAINT memberships_user_fkey REFERENCES users,
    role text NOT NULL CONSTRAINT memberships_role_known
        CHECK (role IN ('owner', 'admin', 'operator', 'technician', 'finance', 'viewer')),
    sites uuid[] NOT NULL DEFAULT '{}',    -- neither sites nor machines: all of the tenant
    machines uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT memberships_pkey PRIMARY KEY (tenant_id, user_id),
    CONSTRAINT memberships_owner_sees_all CHECK (role <> 'owner' OR (sites = '{}' AND machines = '{}'))
);
CREATE INDEX memberships_user_idx ON memberships (user_id);
CALL tenant_wall('memberships', 'SELECT, INSERT, UPDATE, DELETE');
CREATE POLICY own ON memberships FOR SELECT USING (user_id = current_person());

CREATE POLICY colleagues ON users FOR SELECT USING (
    EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = current_tenant() AND m.user_id = users.id)
);

-- A person may read which tenants they belong to; a platform admin may read the names of all.
CREATE POLICY members ON tenants FOR SELECT USING (
    EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = tenants.tenant_id AND m.user_id = current_person())
);
CREATE POLICY platform ON tenants FOR SELECT USING (
    EXISTS (SELECT 1 FROM users u WHERE u.id = current_person() AND u.is_platform_admin)
);

CREATE TABLE invitations (
    tenant_id uuid NOT NULL CONSTRAINT invitations_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    email text NOT NULL CONSTRAINT invitations_email_length CHECK (length(email) BETWEEN 3 AND 254),
    email_key text NOT NULL,
    role text NOT NULL CONSTRAINT invitations_role_known
        CHECK (role IN ('owner', 'admin', 'operator', 'technician', 'finance', 'viewer')),
    sites uuid[] NOT NULL DEFAULT '{}',
    machines uuid[] NOT NULL DEFAULT '{}',
    secret_sha256 text NOT NULL CONSTRAINT invitations_secret_key UNIQUE,
    invited_by text NOT NULL, -- name
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT invitations_pkey PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX invitations_open_key ON invitations (tenant_id, email_key)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CALL tenant_wall('invitations', 'SELECT, INSERT, UPDATE');
CALL found_by_secret('invitations');

-- The step by which a platform admin acts in a tenant: for a reason, for a while, and seen by the tenant.
CREATE TABLE platform_visits (
    tenant_id uuid NOT NULL CONSTRAINT platform_visits_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    user_id uuid NOT NULL CONSTRAINT platform_visits_user_fkey REFERENCES users,
    reason text NOT NULL CONSTRAINT platform_visits_reason_length CHECK (length(reason) BETWEEN 10 AND 500),
    began_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT platform_visits_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT platform_visits_short CHECK (ends_at <= began_at + interval '1 hour')
);
CREATE INDEX platform_visits_user_idx ON platform_visits (user_id);
CALL tenant_wall('platform_visits', 'SELECT, INSERT, UPDATE');
CREATE POLICY own ON platform_visits FOR SELECT USING (user_id = current_person());
