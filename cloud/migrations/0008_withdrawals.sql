-- A release that was withdrawn is assigned to nobody any more and has no files; that it was published stays on record.
ALTER TABLE releases
    ADD COLUMN withdrawn_at timestamptz,
    ADD COLUMN withdrawn_by uuid, -- API key
    ADD CONSTRAINT releases_withdrawn_key_fkey FOREIGN KEY (tenant_id, withdrawn_by) REFERENCES api_keys,
    ADD CONSTRAINT releases_withdrawn_by_somebody CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL));
CREATE INDEX releases_withdrawn_key_idx ON releases (tenant_id, withdrawn_by);
GRANT UPDATE (withdrawn_at, withdrawn_by) ON releases TO larder_app;
GRANT DELETE ON release_files TO larder_app;

CREATE TABLE site_releases ( -- what a person last wished for all devices of a site: for those that are claimed later, too
    tenant_id uuid NOT NULL,
    site_id uuid NOT NULL,
    digest text, -- none: each keeps what it runs
    assigned_by uuid NOT NULL, -- API key
    assigned_at timestamptz NOT NULL,
    CONSTRAINT site_releases_pkey PRIMARY KEY (tenant_id, site_id),
    CONSTRAINT site_releases_site_fkey FOREIGN KEY (tenant_id, site_id) REFERENCES sites,
    CONSTRAINT site_releases_release_fkey FOREIGN KEY (tenant_id, digest) REFERENCES releases,
    CONSTRAINT site_releases_key_fkey FOREIGN KEY (tenant_id, assigned_by) REFERENCES api_keys
);
CREATE INDEX site_releases_release_idx ON site_releases (tenant_id, digest);
CREATE INDEX site_releases_key_idx ON site_releases (tenant_id, assigned_by);
CALL tenant_wall('site_releases', 'SELECT, INSERT, UPDATE');
