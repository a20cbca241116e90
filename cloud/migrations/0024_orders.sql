-- Orders that were sold before Larder: their lines are known, and nobody knows what fell.

ALTER TABLE orders ADD COLUMN fulfilment text NOT NULL DEFAULT 'vends'
    CONSTRAINT orders_fulfilment_known CHECK (fulfilment IN ('vends', 'unknown_legacy'));
ALTER TABLE payments
    ADD COLUMN synthetic boolean NOT NULL DEFAULT false, -- made up by hand: no money has moved
    ADD COLUMN provider_reference text; -- the payment's id at its provider

-- No foreign key to the order, as in 0015_customers.sql: those are forgotten, and moved between months.
CREATE TABLE order_lines ( -- of orders without vends
    tenant_id uuid NOT NULL CONSTRAINT order_lines_tenant_fkey REFERENCES tenants,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    product_id uuid, -- NULL: it was deleted before it was taken over
    product_name text NOT NULL,
    price_minor bigint NOT NULL CONSTRAINT order_lines_price_range CHECK (price_minor >= 0),
    quantity integer NOT NULL CONSTRAINT order_lines_quantity_range CHECK (quantity >= 0),
    CONSTRAINT order_lines_pkey PRIMARY KEY (tenant_id, order_id, line),
    CONSTRAINT order_lines_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
CREATE INDEX order_lines_product_idx ON order_lines (tenant_id, product_id);
CALL tenant_wall('order_lines', 'SELECT, INSERT');
CALL scope_wall('order_lines', 'EXISTS (SELECT 1 FROM orders o WHERE o.tenant_id = order_lines.tenant_id AND o.id = order_lines.order_id)');
CALL kept_by_owner('order_lines', 'true');
