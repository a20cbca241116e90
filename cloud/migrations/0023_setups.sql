-- A machine's way into service: what is gathered step by step, then done at once; and what machines may be made like.

ALTER TABLE sites
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC'
        CONSTRAINT sites_time_zone_length CHECK (length(time_zone) BETWEEN 1 AND 64),
    ADD COLUMN tax_basis_points integer NOT NULL DEFAULT 0 -- contained in prices; 1800 is 18 %
        CONSTRAINT sites_tax_range CHECK (tax_basis_points BETWEEN 0 AND 10000);
DROP TRIGGER sites_written_whole ON sites;
CREATE TRIGGER sites_written_whole
    BEFORE UPDATE OF name, address, latitude, longitude, currency, time_zone, tax_basis_points ON sites
    FOR EACH ROW WHEN (NOT (sees_all() OR in_scope(OLD.id))) EXECUTE FUNCTION refuse_part_of_site();

-- The certificate of the CA that the gateway made for its site, told with its claim: what its devices pin.
ALTER TABLE gateways ADD COLUMN ca_pem text;

CREATE TABLE setups (
    tenant_id uuid NOT NULL CONSTRAINT setups_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL CONSTRAINT setups_name_length CHECK (length(name) BETWEEN 1 AND 120),
    state text NOT NULL CONSTRAINT setups_state_known CHECK (state IN ('open', 'finished')),
    draft text NOT NULL CONSTRAINT setups_draft_encrypted CHECK (encryption_key_of(draft) <> ''), -- a Wi-Fi password is in it
    site_id uuid,    -- once it is finished
    gateway_id uuid, -- once it is finished
    made_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT setups_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT setups_site_fkey FOREIGN KEY (tenant_id, site_id) REFERENCES sites,
    CONSTRAINT setups_gateway_fkey FOREIGN KEY (tenant_id, gateway_id) REFERENCES gateways,
    CONSTRAINT setups_maker_fkey FOREIGN KEY (tenant_id, made_by) REFERENCES actors,
    CONSTRAINT setups_finished CHECK ((state = 'finished') = (finished_at IS NOT NULL)
        AND (state = 'finished') = (site_id IS NOT NULL) AND (state = 'finished') = (gateway_id IS NOT NULL))
);
CREATE INDEX setups_list_idx ON setups (tenant_id, created_at DESC, id DESC);
CREATE INDEX setups_state_idx ON setups (tenant_id, state, created_at DESC, id DESC);
CREATE INDEX setups_site_idx ON setups (tenant_id, site_id);
CREATE INDEX setups_gateway_idx ON setups (tenant_id, gateway_id);
CREATE INDEX setups_maker_idx ON setups (tenant_id, made_by);
CALL tenant_wall('setups', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE commissioning_reports ( -- what was seen when a machine went into service
    tenant_id uuid NOT NULL,
    machine_id uuid NOT NULL,
    setup_id uuid NOT NULL,
    signed text NOT NULL, -- JSON (shared/signed.py)
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT commissioning_reports_pkey PRIMARY KEY (tenant_id, machine_id),
    CONSTRAINT commissioning_reports_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT commissioning_reports_setup_fkey FOREIGN KEY (tenant_id, setup_id) REFERENCES setups,
    CONSTRAINT commissioning_reports_maker_fkey FOREIGN KEY (tenant_id, made_by) REFERENCES actors
);
CREATE INDEX commissioning_reports_setup_idx ON commissioning_reports (tenant_id, setup_id);
CREATE INDEX commissioning_reports_maker_idx ON commissioning_reports (tenant_id, made_by);
CALL tenant_wall('commissioning_reports', 'SELECT, INSERT');
CALL scope_wall('commissioning_reports', 'EXISTS (SELECT 1 FROM machines m WHERE m.tenant_id = commissioning_reports.tenant_id AND m.id = commissioning_reports.machine_id)');

CREATE TABLE machine_templates (
    tenant_id uuid NOT NULL CONSTRAINT machine_templates_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL CONSTRAINT machine_templates_name_length CHECK (length(name) BETWEEN 1 AND 120),
    outline text NOT NULL, -- JSON (cloud/setups/outline.py)
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    CONSTRAINT machine_templates_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT machine_templates_name_key UNIQUE (tenant_id, name)
);
CREATE INDEX machine_templates_list_idx ON machine_templates (tenant_id, name, id);
CALL tenant_wall('machine_templates', 'SELECT, INSERT, UPDATE, DELETE');
