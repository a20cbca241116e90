-- The originals: each file, and each record in it with its very text.

CREATE TABLE legacy_files (
    tenant_id uuid NOT NULL CONSTRAINT legacy_files_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    path text NOT NULL, -- below the folder that was moved
    kind text NOT NULL CONSTRAINT legacy_files_kind_known CHECK (kind IN ('records', 'picture')),
    sha256 text NOT NULL CONSTRAINT legacy_files_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint NOT NULL,
    machine_id uuid, -- of a picture
    object text, -- the archived file; NULL: it was empty, or has gone
    archive_key text, -- that it is encrypted with; NULL: nobody reads it any more
    imported_at timestamptz NOT NULL,
    CONSTRAINT legacy_files_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT legacy_files_file_key UNIQUE (tenant_id, path, sha256),
    CONSTRAINT legacy_files_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT legacy_files_object_fkey FOREIGN KEY (tenant_id, object) REFERENCES stored_objects,
    CONSTRAINT legacy_files_archive_key_encrypted CHECK (archive_key IS NULL OR encryption_key_of(archive_key) <> '')
);
CREATE INDEX legacy_files_machine_idx ON legacy_files (tenant_id, machine_id);
CREATE INDEX legacy_files_object_idx ON legacy_files (tenant_id, object);
CALL tenant_wall('legacy_files', 'SELECT, INSERT');
GRANT UPDATE (object, archive_key) ON legacy_files TO larder_app;
CALL scope_wall('legacy_files', 'false');
CALL kept_by_owner('legacy_files', 'true');

CREATE TABLE legacy_machines ( -- what a machine was called there
    tenant_id uuid NOT NULL CONSTRAINT legacy_machines_tenant_fkey REFERENCES tenants,
    source text NOT NULL,
    machine_id uuid NOT NULL,
    CONSTRAINT legacy_machines_pkey PRIMARY KEY (tenant_id, source),
    CONSTRAINT legacy_machines_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
);
CREATE INDEX legacy_machines_machine_idx ON legacy_machines (tenant_id, machine_id);
CALL tenant_wall('legacy_machines', 'SELECT, INSERT');
CALL scope_wall('legacy_machines', 'false');

CREATE TABLE legacy_records (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL, -- of an order: the order's
    source text NOT NULL, -- what the machine was called
    kind text NOT NULL CONSTRAINT legacy_records_kind_known CHECK (kind IN ('orders', 'inventory')),
    collection text NOT NULL, -- its key in the file; '' when the file was the list
    legacy_id text NOT NULL,
    occurrence integer NOT NULL, -- among the records of the file that call themselves so
    file_id uuid NOT NULL, -- where it was found last
    position integer NOT NULL, -- in that file
    product_id uuid, -- of an item of the inventory
    customer_id uuid,
    personal boolean NOT NULL, -- something in it may say something of a person
    odd text[] NOT NULL,
    original text, -- its text; NULL: erased
    fingerprint text, -- NAME.HEX: an index key's name, and the HMAC of the text; NULL: erased
    imported_at timestamptz NOT NULL,
    erased_at timestamptz,
    erased_because text CONSTRAINT legacy_records_erased_because_known CHECK (erased_because IN ('request', 'retention')),
    CONSTRAINT legacy_records_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT legacy_records_record_key UNIQUE (tenant_id, source, kind, legacy_id, occurrence),
    CONSTRAINT legacy_records_machine_fkey FOREIGN KEY (tenant_id, source) REFERENCES legacy_machines,
    CONSTRAINT legacy_records_file_fkey FOREIGN KEY (tenant_id, file_id) REFERENCES legacy_files,
    CONSTRAINT legacy_records_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products,
    CONSTRAINT legacy_records_customer_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    CONSTRAINT legacy_records_original_encrypted CHECK (original IS NULL OR encryption_key_of(original) <> ''),
    CONSTRAINT legacy_records_fingerprint_form CHECK (fingerprint ~ '^[a-z0-9-]{1,16}\.[0-9a-f]{64}$'),
    CONSTRAINT legacy_records_erased_or_known CHECK (
        CASE WHEN erased_at IS NULL THEN num_nulls(original, fingerprint) = 0 AND erased_because IS NULL
             ELSE num_nonnulls(original, fingerprint, customer_id) = 0 AND erased_because IS NOT NULL END)
);
CREATE INDEX legacy_records_file_idx ON legacy_records (tenant_id, file_id, position);
CREATE INDEX legacy_records_product_idx ON legacy_records (tenant_id, product_id);
CREATE INDEX legacy_records_customer_idx ON legacy_records (tenant_id, customer_id);
CREATE INDEX legacy_records_nobodys_idx ON legacy_records (tenant_id, imported_at)
    WHERE personal AND erased_at IS NULL AND customer_id IS NULL;
CALL tenant_wall('legacy_records', 'SELECT, INSERT, UPDATE');
CALL scope_wall('legacy_records', 'false');
CALL kept_by_owner('legacy_records', 'true');
