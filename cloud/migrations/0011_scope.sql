-- The wall inside a tenant: who belongs to some of its sites or machines sees no others. A unit of work names them in
-- `app.scope` (ids with commas between them); empty means all, which is what ingest and the owner work with.
-- Each policy is restrictive: it takes away from what the tenant's wall has left. Those of a site's or device's rows
-- lean on the policy of the machine or device that they belong to, so the rule itself stands once.

CREATE FUNCTION sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.scope', true), '') = '';
CREATE FUNCTION in_scope(id uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN id = ANY (string_to_array(current_setting('app.scope', true), ',')::uuid[]);

CREATE PROCEDURE scope_wall(walled regclass, rule text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY scope ON %s AS RESTRICTIVE USING (sees_all() OR %s) WITH CHECK (sees_all() OR %s)', walled, rule, rule);
END $$;

CALL scope_wall('machines', 'in_scope(id) OR in_scope(site_id)');
CALL scope_wall('sites', 'in_scope(id) OR EXISTS (SELECT 1 FROM machines m WHERE m.tenant_id = sites.tenant_id AND m.site_id = sites.id)');

DO $$
DECLARE
    walled text;
BEGIN
    FOREACH walled IN ARRAY '{planograms,devices,orders,credits,stock_instructions,stock_movements,stock,sales_hours,sales_days,product_days}'::text[] LOOP
        CALL scope_wall(walled::regclass, format('EXISTS (SELECT 1 FROM machines m WHERE m.tenant_id = %I.tenant_id AND m.id = %I.machine_id)', walled, walled));
    END LOOP;
    FOREACH walled IN ARRAY '{device_health,health_samples,firmware_assignments,device_firmware,zones,device_instructions,device_settings,device_settings_reports}'::text[] LOOP
        CALL scope_wall(walled::regclass, format('EXISTS (SELECT 1 FROM devices d WHERE d.tenant_id = %I.tenant_id AND d.id = %I.device_id)', walled, walled));
    END LOOP;
    FOREACH walled IN ARRAY '{vends,payments}'::text[] LOOP
        CALL scope_wall(walled::regclass, format('EXISTS (SELECT 1 FROM orders o WHERE o.tenant_id = %I.tenant_id AND o.id = %I.order_id)', walled, walled));
    END LOOP;
    FOREACH walled IN ARRAY '{gateways,changes,site_releases}'::text[] LOOP
        CALL scope_wall(walled::regclass, format('EXISTS (SELECT 1 FROM sites s WHERE s.tenant_id = %I.tenant_id AND s.id = %I.site_id)', walled, walled));
    END LOOP;
    FOREACH walled IN ARRAY '{claim_codes,facts,dead_letters,fact_conflicts}'::text[] LOOP
        CALL scope_wall(walled::regclass, format('EXISTS (SELECT 1 FROM gateways g WHERE g.tenant_id = %I.tenant_id AND g.id = %I.gateway_id)', walled, walled));
    END LOOP;
END $$;
CALL scope_wall('planogram_slots', 'EXISTS (SELECT 1 FROM planograms p WHERE p.tenant_id = planogram_slots.tenant_id AND p.id = planogram_slots.planogram_id)');
