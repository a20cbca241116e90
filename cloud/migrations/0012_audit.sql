-- Who did what. Entries are added and never touched again: nobody is granted more, and a trigger stops the owner's slips.
-- Each tenant has one hash chain. The one with no tenant, whose id is all zeros, is of what is done outside of any.

-- The ids of all tenants, and nothing else of them, for work that goes through tenant by tenant.
CREATE POLICY listed ON tenants FOR SELECT TO CURRENT_USER
    USING (current_setting('app.listing', true) = 'tenants');
CREATE FUNCTION all_tenants() RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('app.listing', 'tenants', true);
    RETURN QUERY SELECT tenant_id FROM tenants;
    PERFORM set_config('app.listing', '', true);
END $$;
REVOKE ALL ON FUNCTION all_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION all_tenants() TO larder_app;

CREATE TABLE audit_chains ( -- the last entry of each; its row stays locked until the commit, so numbers have no gaps
    tenant_id uuid NOT NULL CONSTRAINT audit_chains_pkey PRIMARY KEY,
    number bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
) WITH (fillfactor = 50);
INSERT INTO audit_chains (tenant_id) SELECT all_tenants() UNION ALL SELECT '00000000-0000-0000-0000-000000000000';
CALL tenant_wall('audit_chains', 'SELECT, INSERT, UPDATE');

CREATE TABLE audit_entries (
    tenant_id uuid NOT NULL CONSTRAINT audit_entries_chain_fkey REFERENCES audit_chains,
    number bigint NOT NULL CONSTRAINT audit_entries_number_range CHECK (number > 0),
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid NOT NULL, -- no foreign key: the log outlives whom it names
    actor_name text NOT NULL,
    action text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    before text CONSTRAINT audit_entries_before_json CHECK (before IS JSON OBJECT), -- only what has changed
    after text CONSTRAINT audit_entries_after_json CHECK (after IS JSON OBJECT),
    request_id text NOT NULL,
    address text NOT NULL,
    hash bytea NOT NULL, -- SHA-256 of the hash before and of all columns as one JSON line (cloud/audit/rules.py)
    CONSTRAINT audit_entries_pkey PRIMARY KEY (tenant_id, number)
);
CREATE INDEX audit_entries_at_idx ON audit_entries (tenant_id, at);
CREATE INDEX audit_entries_actor_idx ON audit_entries (tenant_id, actor_id, number);
CREATE INDEX audit_entries_action_idx ON audit_entries (tenant_id, action, number);
CREATE INDEX audit_entries_subject_kind_idx ON audit_entries (tenant_id, subject_kind, number);
CREATE INDEX audit_entries_subject_id_idx ON audit_entries (tenant_id, subject_id, number);
CREATE INDEX audit_entries_request_idx ON audit_entries (tenant_id, request_id, number);
CALL tenant_wall('audit_entries', 'SELECT, INSERT');

CREATE TABLE audit_words ( -- by which entries are found; no foreign key: it would want one more index
    tenant_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT audit_words_pkey PRIMARY KEY (tenant_id, word, number)
);
CALL tenant_wall('audit_words', 'SELECT, INSERT');

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_entries_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_words_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_words
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_chains_kept BEFORE DELETE OR TRUNCATE ON audit_chains
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_chains_rise BEFORE UPDATE ON audit_chains
    FOR EACH ROW WHEN (NEW.number IS DISTINCT FROM OLD.number + 1 OR NEW.tenant_id IS DISTINCT FROM OLD.tenant_id)
    EXECUTE FUNCTION refuse_audit_change();

-- A tenant has its chain from its first moment: one without has lost it.
CREATE FUNCTION begin_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_chains (tenant_id) VALUES (NEW.tenant_id);
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_audited AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION begin_audit_chain();
