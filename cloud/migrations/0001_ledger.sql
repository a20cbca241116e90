-- What was sold, paid and moved: projections of the gateways' facts. Money is in minor units of the currency beside it.
-- A fill factor below 100 leaves room to update a row in place while its order runs.

CREATE TABLE orders (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    rail text NOT NULL,
    currency text NOT NULL,
    total_minor bigint NOT NULL CONSTRAINT orders_total_range CHECK (total_minor >= 0),
    planogram_version integer NOT NULL,
    state text NOT NULL CONSTRAINT orders_state_known
        CHECK (state IN ('placed', 'authorised', 'dispensing', 'settled', 'cancelled', 'expired')),
    captured_minor bigint NOT NULL DEFAULT 0,
    given_back_minor bigint NOT NULL DEFAULT 0,
    placed_at timestamptz NOT NULL,
    ended_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT orders_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT orders_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
) WITH (fillfactor = 70);
CREATE INDEX orders_list_idx ON orders (tenant_id, placed_at DESC, id DESC);
CREATE INDEX orders_machine_idx ON orders (tenant_id, machine_id, placed_at DESC, id DESC);
CALL tenant_wall('orders', 'SELECT, INSERT, UPDATE');

CREATE TABLE order_lines (
    tenant_id uuid NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    slot text NOT NULL,
    product_id uuid NOT NULL,
    product_name text NOT NULL,
    price_minor bigint NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT order_lines_pkey PRIMARY KEY (tenant_id, order_id, line),
    CONSTRAINT order_lines_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders,
    CONSTRAINT order_lines_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
CREATE INDEX order_lines_product_idx ON order_lines (tenant_id, product_id);
CALL tenant_wall('order_lines', 'SELECT, INSERT');

CREATE TABLE vends (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    state text NOT NULL CONSTRAINT vends_state_known CHECK (state IN ('waiting', 'requested', 'done')),
    device_id uuid,
    device_epoch integer,
    device_seq bigint,
    cancel_reason text,
    outcome text CONSTRAINT vends_outcome_known
        CHECK (outcome IN ('dispensed', 'not_started', 'no_drop', 'cancelled', 'ambiguous')),
    evidence text, -- JSON as the device told it
    dispensed_unpaid boolean NOT NULL DEFAULT false,
    requested_at timestamptz,
    resolved_at timestamptz,
    CONSTRAINT vends_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT vends_line_fkey FOREIGN KEY (tenant_id, order_id, line) REFERENCES order_lines
) WITH (fillfactor = 60);
CREATE INDEX vends_line_idx ON vends (tenant_id, order_id, line);
CALL tenant_wall('vends', 'SELECT, INSERT, UPDATE');

CREATE TABLE payments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    rail text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    state text NOT NULL CONSTRAINT payments_state_known CHECK (state IN ('pending', 'authorised', 'settled', 'voided')),
    captured_minor bigint NOT NULL DEFAULT 0,
    given_back_minor bigint NOT NULL DEFAULT 0,
    attempted_at timestamptz NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT payments_order_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES orders,
    CONSTRAINT payments_never_exceeded CHECK (captured_minor + given_back_minor <= amount_minor)
) WITH (fillfactor = 60);
CREATE INDEX payments_order_idx ON payments (tenant_id, order_id);
CALL tenant_wall('payments', 'SELECT, INSERT, UPDATE');

CREATE TABLE credits ( -- coins and notes that went into a machine
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    device_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT credits_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT credits_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT credits_device_fkey FOREIGN KEY (tenant_id, device_id) REFERENCES devices
);
CREATE INDEX credits_machine_idx ON credits (tenant_id, machine_id, at);
CREATE INDEX credits_device_idx ON credits (tenant_id, device_id);
CALL tenant_wall('credits', 'SELECT, INSERT');

CREATE TABLE stock_instructions ( -- movements asked for here; applied when the gateway's fact of the same id has come
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    slot text NOT NULL,
    delta integer NOT NULL,
    reason text NOT NULL,
    applied_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_instructions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT stock_instructions_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
);
CREATE INDEX stock_instructions_machine_idx ON stock_instructions (tenant_id, machine_id, applied_at);
CALL tenant_wall('stock_instructions', 'SELECT, INSERT, UPDATE');

CREATE TABLE stock_movements (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    slot text NOT NULL,
    delta integer NOT NULL,
    reason text NOT NULL CONSTRAINT stock_movements_reason_known
        CHECK (reason IN ('vend', 'restock', 'count', 'waste', 'adjust', 'opening')),
    vend_id uuid,
    at timestamptz NOT NULL,
    CONSTRAINT stock_movements_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT stock_movements_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT stock_movements_vend_fkey FOREIGN KEY (tenant_id, vend_id) REFERENCES vends
);
CREATE INDEX stock_movements_machine_idx ON stock_movements (tenant_id, machine_id, slot, at);
CREATE INDEX stock_movements_vend_idx ON stock_movements (tenant_id, vend_id) WHERE vend_id IS NOT NULL;
CALL tenant_wall('stock_movements', 'SELECT, INSERT');

CREATE TABLE stock ( -- the sum of a slot's movements, kept with them in one transaction
    tenant_id uuid NOT NULL,
    machine_id uuid NOT NULL,
    slot text NOT NULL,
    quantity integer NOT NULL DEFAULT 0,
    suspect boolean NOT NULL DEFAULT false,
    sensed_empty boolean,
    CONSTRAINT stock_pkey PRIMARY KEY (tenant_id, machine_id, slot),
    CONSTRAINT stock_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
) WITH (fillfactor = 50);
CALL tenant_wall('stock', 'SELECT, INSERT, UPDATE');
