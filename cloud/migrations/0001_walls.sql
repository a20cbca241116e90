-- The wall between tenants. Every table with a tenant_id goes through tenant_wall(), in this and all later migrations.

-- The role the application works as: it owns nothing and no wall lets it by.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'larder_app') THEN
        CREATE ROLE larder_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server was migrated at the same moment
END $$;
GRANT larder_app TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO larder_app;
GRANT SELECT ON tortoise_migrations TO larder_app;

-- No tenant set, or '' as a pooled connection leaves it behind, means no rows.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant', true), '')::uuid;

CREATE PROCEDURE tenant_wall(walled regclass, rights text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', walled);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', walled);
    EXECUTE format('GRANT %s ON %s TO larder_app', rights, walled);
END $$;

-- Whoever shows a secret may read the one row that holds its hash, to learn which tenant it belongs to.
CREATE PROCEDURE found_by_secret(walled regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($policy$
        CREATE POLICY by_secret ON %s FOR SELECT USING (secret_sha256 = current_setting('app.secret_sha256', true))
    $policy$, walled);
END $$;
