-- Tables that are partitioned by month, in UTC. Two kinds of key:
--   a UUIDv7 (orders and what belongs to them): a month is the ids made in it, by the clock of whoever made them;
--   a point in time (facts, health samples).
-- TABLE_YYYY_MM is a month, TABLE_other all that lies in no month there is: ids made under a clock of 1970 or 2099.

CREATE FUNCTION first_id(month date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- The owner of the tables stands before the wall like anybody else, but in the procedures that look after all tenants'
-- rows: these set app.keeper. To the application the setting means nothing: the policy is the owner's alone.
CREATE FUNCTION keeping() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.keeper', true), '') = 'on';

CREATE PROCEDURE kept_by_owner(walled regclass, kept text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY keeper ON %s TO CURRENT_USER USING (keeping() AND %s) WITH CHECK (keeping())', walled, kept);
END $$;

-- A partition is reached through its table, whose policies hold then. Nobody is granted it by its own name, and were
-- somebody, its own wall would stand before them.
CREATE PROCEDURE wall_partition(partition regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', partition);
END $$;

CREATE FUNCTION partition_name(partitioned regclass, month date) RETURNS text LANGUAGE sql STABLE
    RETURN format('%s_%s', partitioned, to_char(month, 'YYYY_MM'));

-- Does nothing if the month is there. TABLE_other must hold no row of it. Attached rather than created in place: that lets others read and write on.
CREATE PROCEDURE add_partition(partitioned regclass, month date) LANGUAGE plpgsql AS $$
DECLARE
    name CONSTANT text := partition_name(partitioned, month);
    next CONSTANT date := month + interval '1 month';
    options text;
    is_by_id boolean;
    bounds text[];
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT a.atttypid = 'uuid'::regtype INTO STRICT is_by_id
    FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = partitioned;
    bounds := CASE WHEN is_by_id THEN ARRAY[first_id(month)::text, first_id(next)::text]
        ELSE ARRAY[month || ' 00:00+00', next || ' 00:00+00'] END;
    SELECT ' WITH (' || array_to_string(reloptions, ', ') || ')' INTO options
    FROM pg_class WHERE oid = (partitioned || '_other')::regclass;
    EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)%s', name, partitioned, coalesce(options, ''));
    CALL wall_partition(name::regclass);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partitioned, name, bounds[1], bounds[2]);
END $$;
