-- Asked once a second by every instance: the gateways of a tenant are looked at once, however many endpoints it has.
CREATE OR REPLACE FUNCTION tenants_with_webhook_work(at timestamptz) RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM begin_keeping();
    RETURN QUERY
    WITH told AS MATERIALIZED (SELECT DISTINCT tenant_id FROM webhook_endpoints WHERE state = 'enabled')
    SELECT t.tenant_id FROM told t
    WHERE EXISTS (SELECT FROM webhook_endpoints e
            JOIN webhook_deliveries d ON d.tenant_id = e.tenant_id AND d.endpoint_id = e.id
            WHERE e.tenant_id = t.tenant_id AND e.state = 'enabled' AND d.state = 'waiting' AND d.next_at <= at)
        OR EXISTS (SELECT FROM gateways g
            LEFT JOIN webhook_cursors c ON c.tenant_id = g.tenant_id AND c.gateway_id = g.id
            WHERE g.tenant_id = t.tenant_id AND (g.epoch, g.seq) > (coalesce(c.epoch, 0), coalesce(c.seq, 0)));
END $$;
