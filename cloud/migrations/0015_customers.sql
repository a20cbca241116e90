-- People who asked a tenant for help. What is personal is encrypted; after it was erased the row stays, empty.

CREATE TABLE index_keys ( -- those that blind indexes may still need
    name text NOT NULL CONSTRAINT index_keys_pkey PRIMARY KEY,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE index_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON index_keys USING (true) WITH CHECK (true); -- names are no secrets
GRANT SELECT, INSERT, DELETE ON index_keys TO larder_app;

CREATE TABLE customer_settings ( -- of tenants that have chosen; others have the defaults of cloud/customers/service.py
    tenant_id uuid NOT NULL CONSTRAINT customer_settings_pkey PRIMARY KEY
        CONSTRAINT customer_settings_tenant_fkey REFERENCES tenants,
    country text NOT NULL CONSTRAINT customer_settings_country_form CHECK (country ~ '^[A-Z]{2}$'),
    keep_days integer NOT NULL CONSTRAINT customer_settings_keep_days_range CHECK (keep_days BETWEEN 1 AND 3650)
);
CALL tenant_wall('customer_settings', 'SELECT, INSERT, UPDATE');
CALL scope_wall('customer_settings', 'false'); -- who sees a part of the tenant has nothing to do with its customers

CREATE TABLE customers (
    tenant_id uuid NOT NULL CONSTRAINT customers_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text,
    phone text,       -- in E.164
    phone_index text, -- NAME.HEX: an index key's name, and the HMAC by which the phone is found
    upi_address text,
    created_at timestamptz NOT NULL,
    last_contact_at timestamptz NOT NULL,
    erased_at timestamptz,
    erased_because text CONSTRAINT customers_erased_because_known CHECK (erased_because IN ('request', 'retention')),
    CONSTRAINT customers_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT customers_phone_key UNIQUE (tenant_id, phone_index),
    CONSTRAINT customers_name_encrypted CHECK (name IS NULL OR encryption_key_of(name) <> ''),
    CONSTRAINT customers_phone_encrypted CHECK (phone IS NULL OR encryption_key_of(phone) <> ''),
    CONSTRAINT customers_upi_address_encrypted CHECK (upi_address IS NULL OR encryption_key_of(upi_address) <> ''),
    CONSTRAINT customers_phone_index_form CHECK (phone_index ~ '^[a-z0-9-]{1,16}\.[0-9a-f]{64}$'),
    CONSTRAINT customers_erased_or_known CHECK (
        CASE WHEN erased_at IS NULL THEN phone IS NOT NULL AND phone_index IS NOT NULL AND erased_because IS NULL
             ELSE num_nonnulls(name, phone, phone_index, upi_address) = 0 AND erased_because IS NOT NULL END)
);
CREATE INDEX customers_list_idx ON customers (tenant_id, last_contact_at DESC, id DESC);
CALL tenant_wall('customers', 'SELECT, INSERT, UPDATE');
CALL scope_wall('customers', 'false');

-- No foreign key to the order: those are forgotten by the month (0010_keeping.sql), and taken out of one month and put
-- into another. Whoever links one finds it first; a link to an order that is gone shows nothing.
CREATE TABLE customer_orders (
    tenant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    order_id uuid NOT NULL,
    linked_at timestamptz NOT NULL,
    CONSTRAINT customer_orders_pkey PRIMARY KEY (tenant_id, customer_id, order_id),
    CONSTRAINT customer_orders_customer_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers
);
CALL tenant_wall('customer_orders', 'SELECT, INSERT, DELETE');
CALL scope_wall('customer_orders', 'false');

CREATE TABLE customer_notes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    order_id uuid, -- about this one of the customer's
    text text NOT NULL,
    written_by uuid NOT NULL,
    written_at timestamptz NOT NULL,
    CONSTRAINT customer_notes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT customer_notes_customer_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    CONSTRAINT customer_notes_order_fkey FOREIGN KEY (tenant_id, customer_id, order_id) REFERENCES customer_orders,
    CONSTRAINT customer_notes_written_by_fkey FOREIGN KEY (tenant_id, written_by) REFERENCES actors,
    CONSTRAINT customer_notes_text_encrypted CHECK (encryption_key_of(text) <> '')
);
CREATE INDEX customer_notes_list_idx ON customer_notes (tenant_id, customer_id, written_at DESC, id DESC);
CREATE INDEX customer_notes_order_idx ON customer_notes (tenant_id, customer_id, order_id);
CREATE INDEX customer_notes_written_by_idx ON customer_notes (tenant_id, written_by);
CALL tenant_wall('customer_notes', 'SELECT, INSERT, DELETE');
GRANT UPDATE (text) ON customer_notes TO larder_app; -- with another key
CALL scope_wall('customer_notes', 'false');
