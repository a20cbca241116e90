-- What came up from gateways, as it came, and what has to go down to them.

-- Facts have no foreign key to gateways: ingest holds the gateway's row locked, nobody may delete one, and 500 checks a
-- batch would cost a quarter of its time.
CREATE TABLE facts (
    tenant_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    event text NOT NULL,
    line bytea NOT NULL,  -- byte for byte what the gateway committed
    hash bytea NOT NULL,  -- the gateway's hash chain at this fact
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT facts_pkey PRIMARY KEY (tenant_id, gateway_id, epoch, seq)
);
CALL tenant_wall('facts', 'SELECT, INSERT');

CREATE TABLE dead_letters ( -- facts that were kept but could not take effect
    tenant_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    tries integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz,
    CONSTRAINT dead_letters_pkey PRIMARY KEY (tenant_id, gateway_id, epoch, seq),
    CONSTRAINT dead_letters_fact_fkey FOREIGN KEY (tenant_id, gateway_id, epoch, seq) REFERENCES facts
);
CALL tenant_wall('dead_letters', 'SELECT, INSERT, UPDATE');

CREATE TABLE fact_conflicts ( -- another history told for facts already taken: refused, and kept for people to see
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    line bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fact_conflicts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT fact_conflicts_told_key UNIQUE (tenant_id, gateway_id, epoch, seq, hash),
    CONSTRAINT fact_conflicts_gateway_fkey FOREIGN KEY (tenant_id, gateway_id) REFERENCES gateways
);
CALL tenant_wall('fact_conflicts', 'SELECT, INSERT');

CREATE TABLE changes ( -- numbers rise per site in commit order: they are given under the site's row lock
    tenant_id uuid NOT NULL,
    site_id uuid NOT NULL,
    number bigint NOT NULL,
    body text NOT NULL, -- JSON of shared.sync.ChangeBody
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT changes_pkey PRIMARY KEY (tenant_id, site_id, number),
    CONSTRAINT changes_site_fkey FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
CALL tenant_wall('changes', 'SELECT, INSERT, DELETE');
