-- Events told to other systems. Ingest writes nothing here: the facts are followed, each gateway's from a cursor on. They
-- are added and the gateway's mark is moved in one transaction that holds the gateway's row, so that whoever sees a mark
-- sees all facts up to it, and none is ever added below.

CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL CONSTRAINT webhook_endpoints_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    events text[] NOT NULL,
    state text NOT NULL CONSTRAINT webhook_endpoints_state_known CHECK (state IN ('enabled', 'disabled', 'deleted')),
    disabled_because text CONSTRAINT webhook_endpoints_reason_known CHECK (disabled_because IN ('asked', 'gone', 'failing')),
    secret text,                  -- encrypted, as is the next
    old_secret text,              -- signs beside it until old_secret_until
    old_secret_until timestamptz,
    since timestamptz NOT NULL,   -- it is told of facts that came then or later
    failing_since timestamptz,    -- nothing has got through since
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_endpoints_reason_given CHECK ((state = 'disabled') = (disabled_because IS NOT NULL)),
    CONSTRAINT webhook_endpoints_secret_there CHECK ((state = 'deleted') = (secret IS NULL)),
    CONSTRAINT webhook_endpoints_secret_encrypted CHECK (secret IS NULL OR encryption_key_of(secret) <> ''),
    CONSTRAINT webhook_endpoints_old_secret_encrypted CHECK (old_secret IS NULL OR encryption_key_of(old_secret) <> '')
);
CREATE INDEX webhook_endpoints_list_idx ON webhook_endpoints (tenant_id, created_at DESC, id DESC);
CREATE INDEX webhook_endpoints_enabled_idx ON webhook_endpoints (tenant_id, id) WHERE state = 'enabled';
CALL tenant_wall('webhook_endpoints', 'SELECT, INSERT, UPDATE');
CALL kept_by_owner('webhook_endpoints', 'true');

CREATE TABLE webhook_cursors ( -- how far each gateway's facts have been followed; none: not at all
    tenant_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT webhook_cursors_pkey PRIMARY KEY (tenant_id, gateway_id),
    CONSTRAINT webhook_cursors_gateway_fkey FOREIGN KEY (tenant_id, gateway_id) REFERENCES gateways
) WITH (fillfactor = 50);
CALL tenant_wall('webhook_cursors', 'SELECT, INSERT, UPDATE');
CALL kept_by_owner('webhook_cursors', 'true');
CREATE POLICY listed ON gateways FOR SELECT TO CURRENT_USER USING (keeping()); -- to compare marks and cursors

CREATE TABLE webhook_events (
    tenant_id uuid NOT NULL CONSTRAINT webhook_events_tenant_fkey REFERENCES tenants,
    id uuid NOT NULL,  -- what receivers know it by
    type text NOT NULL,
    body text NOT NULL, -- byte for byte what is sent each time
    created_at timestamptz NOT NULL,
    CONSTRAINT webhook_events_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX webhook_events_age_idx ON webhook_events (created_at);
CALL tenant_wall('webhook_events', 'SELECT, INSERT');
CALL kept_by_owner('webhook_events', 'true');

CREATE TABLE webhook_deliveries ( -- of one event to one endpoint
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL, -- its event's
    state text NOT NULL CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('waiting', 'delivered', 'dead')),
    sending boolean NOT NULL DEFAULT false, -- by somebody who has it until next_at, and then has died
    tries integer NOT NULL DEFAULT 0,    -- since it was put in line
    attempts integer NOT NULL DEFAULT 0, -- in all
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_deliveries_endpoint_fkey FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints,
    CONSTRAINT webhook_deliveries_event_fkey FOREIGN KEY (tenant_id, event_id) REFERENCES webhook_events
) WITH (fillfactor = 70);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (tenant_id, endpoint_id, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_sending_idx ON webhook_deliveries (tenant_id, endpoint_id, next_at) WHERE sending;
CREATE INDEX webhook_deliveries_list_idx ON webhook_deliveries (tenant_id, endpoint_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_state_idx ON webhook_deliveries (tenant_id, endpoint_id, state, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_event_idx ON webhook_deliveries (tenant_id, event_id);
CALL tenant_wall('webhook_deliveries', 'SELECT, INSERT, UPDATE');
CALL kept_by_owner('webhook_deliveries', 'true');

CREATE TABLE webhook_attempts (
    tenant_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status smallint, -- of the answer, if there was one
    problem text,    -- why it did not count
    answer text NOT NULL, -- its first KB
    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (tenant_id, delivery_id, number),
    CONSTRAINT webhook_attempts_delivery_fkey FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries
);
CALL tenant_wall('webhook_attempts', 'SELECT, INSERT');
CALL kept_by_owner('webhook_attempts', 'true');

-- The tenants, and nothing else of them, for which there is something to follow or to send at this moment.
CREATE FUNCTION tenants_with_webhook_work(at timestamptz) RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM begin_keeping();
    RETURN QUERY SELECT DISTINCT e.tenant_id FROM webhook_endpoints e
    WHERE e.state = 'enabled' AND (
        EXISTS (SELECT FROM webhook_deliveries d WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.id
            AND d.state = 'waiting' AND d.next_at <= at)
        OR EXISTS (SELECT FROM gateways g
            LEFT JOIN webhook_cursors c ON c.tenant_id = g.tenant_id AND c.gateway_id = g.id
            WHERE g.tenant_id = e.tenant_id AND (g.epoch, g.seq) > (coalesce(c.epoch, 0), coalesce(c.seq, 0))));
END $$;

-- At most so many events from before `before`, at least a week ago, with their deliveries and the attempts at these; and
-- deleted endpoints of which nothing is left. How many events.
CREATE FUNCTION forget_webhooks(before date, at_most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    doomed webhook_events[];
BEGIN
    PERFORM begin_keeping();
    IF before IS NULL OR before > now() - interval '7 days' THEN
        RAISE EXCEPTION 'what is younger than a week is kept' USING ERRCODE = 'insufficient_privilege';
    END IF;
    doomed := ARRAY(
        SELECT v FROM webhook_events v WHERE v.created_at < before::timestamp AT TIME ZONE 'UTC'
        ORDER BY v.created_at LIMIT least(at_most, 10000));
    DELETE FROM webhook_attempts a USING unnest(doomed) v, webhook_deliveries d
    WHERE d.tenant_id = v.tenant_id AND d.event_id = v.id AND a.tenant_id = d.tenant_id AND a.delivery_id = d.id;
    DELETE FROM webhook_deliveries d USING unnest(doomed) v WHERE d.tenant_id = v.tenant_id AND d.event_id = v.id;
    DELETE FROM webhook_events s USING unnest(doomed) v WHERE s.tenant_id = v.tenant_id AND s.id = v.id;
    DELETE FROM webhook_endpoints e WHERE e.state = 'deleted' AND NOT EXISTS (
        SELECT FROM webhook_deliveries d WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.id);
    RETURN cardinality(doomed);
END $$;

REVOKE EXECUTE ON FUNCTION tenants_with_webhook_work(timestamptz), forget_webhooks(date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_webhook_work(timestamptz), forget_webhooks(date, integer) TO larder_app;
