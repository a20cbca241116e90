-- A record may stand in all that was ever found in its file's folder: in an older state of the file, and in a leftover.
CREATE FUNCTION legacy_folder(path text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(path, '[^/]*$', '');

-- As in 0010_keeping.sql, and with an order its lines and its original go; an archived file that may hold it is read by
-- nobody any more. Its object is let go of by whoever erases people (cloud/erasure).
CREATE OR REPLACE FUNCTION forget_orders(before date, at_most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    first CONSTANT date := bygone(before, '1 year');
    doomed orders[];
BEGIN
    PERFORM begin_keeping();
    doomed := ARRAY(
        SELECT o FROM orders o
        WHERE o.received_at < first::timestamp AT TIME ZONE 'UTC'
            AND (o.id < first_id(first) OR o.id >= first_id((this_month() + interval '1 year')::date))
        LIMIT least(at_most, 10000));
    DELETE FROM stock_movements m USING unnest(doomed) o, vends v
    WHERE v.tenant_id = o.tenant_id AND v.order_id = o.id AND m.tenant_id = v.tenant_id AND m.vend_id = v.id;
    DELETE FROM vends v USING unnest(doomed) o WHERE v.tenant_id = o.tenant_id AND v.order_id = o.id;
    DELETE FROM payments p USING unnest(doomed) o WHERE p.tenant_id = o.tenant_id AND p.order_id = o.id;
    DELETE FROM order_lines l USING unnest(doomed) o WHERE l.tenant_id = o.tenant_id AND l.order_id = o.id;
    WITH gone AS (
        DELETE FROM legacy_records r USING unnest(doomed) o WHERE r.tenant_id = o.tenant_id AND r.id = o.id
        RETURNING r.tenant_id, r.file_id
    )
    UPDATE legacy_files f SET archive_key = NULL FROM legacy_files g JOIN gone ON gone.tenant_id = g.tenant_id AND gone.file_id = g.id
    WHERE f.tenant_id = g.tenant_id AND legacy_folder(f.path) = legacy_folder(g.path)
        AND f.kind = 'records' AND f.archive_key IS NOT NULL;
    DELETE FROM orders s USING unnest(doomed) o WHERE s.tenant_id = o.tenant_id AND s.id = o.id;
    RETURN cardinality(doomed);
END $$;
