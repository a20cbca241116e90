-- What is sold where, at which price.

CREATE TABLE products (
    tenant_id uuid NOT NULL CONSTRAINT products_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL CONSTRAINT products_name_length CHECK (length(name) BETWEEN 1 AND 120),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT products_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX products_list_idx ON products (tenant_id, name, id);
CALL tenant_wall('products', 'SELECT, INSERT, UPDATE');

CREATE TABLE planograms (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    version integer NOT NULL,
    effective_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT planograms_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT planograms_version_key UNIQUE (tenant_id, machine_id, version),
    CONSTRAINT planograms_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
);
CALL tenant_wall('planograms', 'SELECT, INSERT');

CREATE TABLE planogram_slots (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    planogram_id uuid NOT NULL,
    slot text NOT NULL CONSTRAINT planogram_slots_slot_form CHECK (slot ~ '^[A-Z][0-9]{1,2}$'),
    product_id uuid NOT NULL,
    device_id uuid NOT NULL,
    price_minor bigint NOT NULL CONSTRAINT planogram_slots_price_range CHECK (price_minor >= 0),
    capacity integer NOT NULL CONSTRAINT planogram_slots_capacity_range CHECK (capacity BETWEEN 0 AND 1000),
    par_level integer NOT NULL CONSTRAINT planogram_slots_par_range CHECK (par_level BETWEEN 0 AND capacity),
    CONSTRAINT planogram_slots_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT planogram_slots_slot_key UNIQUE (tenant_id, planogram_id, slot),
    CONSTRAINT planogram_slots_planogram_fkey FOREIGN KEY (tenant_id, planogram_id) REFERENCES planograms,
    CONSTRAINT planogram_slots_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products,
    CONSTRAINT planogram_slots_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
);
CREATE INDEX planogram_slots_product_idx ON planogram_slots (tenant_id, product_id);
CREATE INDEX planogram_slots_device_idx ON planogram_slots (tenant_id, device_id);
CALL tenant_wall('planogram_slots', 'SELECT, INSERT');
