-- Sums of sales, kept by ingest in the transaction that makes them true, and never dropped. All that becomes of an order
-- counts in the hour (UTC), and the day, in which it was placed. Money is in minor units of the currency beside it.

CREATE TABLE sales_hours (
    tenant_id uuid NOT NULL,
    machine_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    dispensed integer NOT NULL DEFAULT 0, -- units, as all outcomes that follow
    not_started integer NOT NULL DEFAULT 0,
    no_drop integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    ambiguous integer NOT NULL DEFAULT 0,
    captured_minor bigint NOT NULL DEFAULT 0,
    given_back_minor bigint NOT NULL DEFAULT 0,
    CONSTRAINT sales_hours_pkey PRIMARY KEY (tenant_id, machine_id, hour, currency),
    CONSTRAINT sales_hours_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
) WITH (fillfactor = 70);
CREATE INDEX sales_hours_hour_idx ON sales_hours (tenant_id, hour);
CALL tenant_wall('sales_hours', 'SELECT, INSERT, UPDATE');

CREATE TABLE sales_days ( -- the same by the day
    tenant_id uuid NOT NULL,
    machine_id uuid NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    dispensed integer NOT NULL DEFAULT 0,
    not_started integer NOT NULL DEFAULT 0,
    no_drop integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    ambiguous integer NOT NULL DEFAULT 0,
    captured_minor bigint NOT NULL DEFAULT 0,
    given_back_minor bigint NOT NULL DEFAULT 0,
    CONSTRAINT sales_days_pkey PRIMARY KEY (tenant_id, machine_id, day, currency),
    CONSTRAINT sales_days_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines
) WITH (fillfactor = 70);
CREATE INDEX sales_days_day_idx ON sales_days (tenant_id, day);
CALL tenant_wall('sales_days', 'SELECT, INSERT, UPDATE');

CREATE TABLE product_days ( -- units of one product by the day, and the prices of those dispensed
    tenant_id uuid NOT NULL,
    machine_id uuid NOT NULL,
    product_id uuid NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    dispensed integer NOT NULL DEFAULT 0,
    not_started integer NOT NULL DEFAULT 0,
    no_drop integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    ambiguous integer NOT NULL DEFAULT 0,
    sold_minor bigint NOT NULL DEFAULT 0,
    CONSTRAINT product_days_pkey PRIMARY KEY (tenant_id, machine_id, product_id, day, currency),
    CONSTRAINT product_days_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT product_days_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products
) WITH (fillfactor = 70);
CREATE INDEX product_days_day_idx ON product_days (tenant_id, day);
CREATE INDEX product_days_product_idx ON product_days (tenant_id, product_id);
CALL tenant_wall('product_days', 'SELECT, INSERT, UPDATE');

-- What was sold so far. The wall stands before the owner too (FORCE): open it for this step.
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY;
ALTER TABLE vends NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sales_hours NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sales_days NO FORCE ROW LEVEL SECURITY;
ALTER TABLE product_days NO FORCE ROW LEVEL SECURITY;
INSERT INTO sales_hours
SELECT o.tenant_id, o.machine_id, date_trunc('hour', o.placed_at, 'UTC'), o.currency, count(*), sum(v.dispensed),
       sum(v.not_started), sum(v.no_drop), sum(v.cancelled), sum(v.ambiguous), sum(o.captured_minor), sum(o.given_back_minor)
FROM orders o CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'dispensed') AS dispensed,
           count(*) FILTER (WHERE outcome = 'not_started') AS not_started,
           count(*) FILTER (WHERE outcome = 'no_drop') AS no_drop,
           count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE outcome = 'ambiguous') AS ambiguous
    FROM vends WHERE vends.tenant_id = o.tenant_id AND vends.order_id = o.id) AS v
GROUP BY 1, 2, 3, 4;
INSERT INTO sales_days
SELECT tenant_id, machine_id, (hour AT TIME ZONE 'UTC')::date, currency, sum(orders), sum(dispensed), sum(not_started),
       sum(no_drop), sum(cancelled), sum(ambiguous), sum(captured_minor), sum(given_back_minor)
FROM sales_hours GROUP BY 1, 2, 3, 4;
INSERT INTO product_days
SELECT o.tenant_id, o.machine_id, v.product_id, (o.placed_at AT TIME ZONE 'UTC')::date, o.currency,
       count(*) FILTER (WHERE v.outcome = 'dispensed'), count(*) FILTER (WHERE v.outcome = 'not_started'),
       count(*) FILTER (WHERE v.outcome = 'no_drop'), count(*) FILTER (WHERE v.outcome = 'cancelled'),
       count(*) FILTER (WHERE v.outcome = 'ambiguous'),
       coalesce(sum(v.price_minor) FILTER (WHERE v.outcome = 'dispensed'), 0)
FROM orders o JOIN vends v ON v.tenant_id = o.tenant_id AND v.order_id = o.id
WHERE v.outcome IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
ALTER TABLE product_days FORCE ROW LEVEL SECURITY;
ALTER TABLE sales_days FORCE ROW LEVEL SECURITY;
ALTER TABLE sales_hours FORCE ROW LEVEL SECURITY;
ALTER TABLE vends FORCE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
