-- What looks after the data of all tenants. The application owns no table and sees one tenant at a time; these few
-- functions work as the owner, and this is all they can do: add coming months, and let go what has outlived its time.
-- However they are called, facts and sales of the last year, and health of the last month, stay.

CALL kept_by_owner('orders', 'true');
CALL kept_by_owner('vends', 'true');
CALL kept_by_owner('payments', 'true');
CALL kept_by_owner('credits', 'true');
CALL kept_by_owner('stock_movements', 'true');
CALL kept_by_owner('facts', 'true');
CALL kept_by_owner('dead_letters', 'true');
CALL kept_by_owner('health_samples', 'true');
CALL kept_by_owner('orders_other', 'true');
CALL kept_by_owner('vends_other', 'true');
CALL kept_by_owner('payments_other', 'true');
CALL kept_by_owner('credits_other', 'true');
CALL kept_by_owner('stock_movements_other', 'true');
CALL kept_by_owner('facts_other', 'true');
CALL kept_by_owner('health_samples_other', 'true');
CALL kept_by_owner('sessions', 'expires_at < now()');
CALL kept_by_owner('claim_codes', 'expires_at < now()');
CALL kept_by_owner('device_instructions', 'expires_at < now()');
CALL kept_by_owner('changes', 'created_at < now() - interval ''30 days''');
CALL kept_by_owner('sites', 'true');

CREATE FUNCTION begin_keeping() RETURNS text LANGUAGE sql
    RETURN set_config('app.keeper', 'on', true); -- to the end of the transaction

-- One month of every table. What lies in TABLE_other though it is of this month (a gateway's clock was ahead) is taken
-- out with all that refers to it, and put back once the month is there: so nothing blocks a month, and none is missed.
-- The caller keeps writers out meanwhile.
CREATE PROCEDURE add_month(month date) LANGUAGE plpgsql AS $$
DECLARE
    low CONSTANT uuid := first_id(month);
    high CONSTANT uuid := first_id((month + interval '1 month')::date);
    since CONSTANT timestamptz := month::timestamp AT TIME ZONE 'UTC';
    until CONSTANT timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    placed CONSTANT orders[] := ARRAY(SELECT o::orders FROM orders_other o WHERE id >= low AND id < high);
    inserted CONSTANT credits[] := ARRAY(SELECT c::credits FROM credits_other c WHERE id >= low AND id < high);
    told CONSTANT facts[] := ARRAY(
        SELECT f::facts FROM facts_other f WHERE received_at >= since AND received_at < until);
    dead CONSTANT dead_letters[] := ARRAY(
        SELECT d FROM unnest(told) f JOIN dead_letters d USING (tenant_id, gateway_id, epoch, seq, received_at));
    measured CONSTANT health_samples[] := ARRAY(
        SELECT h::health_samples FROM health_samples_other h WHERE begin_at >= since AND begin_at < until);
    paid CONSTANT payments[] := ARRAY(
        SELECT p::payments FROM payments_other p WHERE id >= low AND id < high
        UNION SELECT p FROM unnest(placed) o JOIN payments p ON p.tenant_id = o.tenant_id AND p.order_id = o.id);
    asked CONSTANT vends[] := ARRAY(
        SELECT v::vends FROM vends_other v WHERE id >= low AND id < high
        UNION SELECT v FROM unnest(placed) o JOIN vends v ON v.tenant_id = o.tenant_id AND v.order_id = o.id);
    moved CONSTANT stock_movements[] := ARRAY(
        SELECT m::stock_movements FROM stock_movements_other m WHERE id >= low AND id < high
        UNION SELECT m FROM unnest(asked) v JOIN stock_movements m ON m.tenant_id = v.tenant_id AND m.vend_id = v.id);
BEGIN
    DELETE FROM stock_movements s USING unnest(moved) m WHERE s.tenant_id = m.tenant_id AND s.id = m.id;
    DELETE FROM credits_other WHERE id >= low AND id < high;
    DELETE FROM payments s USING unnest(paid) p WHERE s.tenant_id = p.tenant_id AND s.id = p.id;
    DELETE FROM vends s USING unnest(asked) v WHERE s.tenant_id = v.tenant_id AND s.id = v.id;
    DELETE FROM orders_other WHERE id >= low AND id < high;
    DELETE FROM dead_letters s USING unnest(dead) d
    WHERE s.tenant_id = d.tenant_id AND s.gateway_id = d.gateway_id AND s.epoch = d.epoch AND s.seq = d.seq;
    DELETE FROM facts_other WHERE received_at >= since AND received_at < until;
    DELETE FROM health_samples_other WHERE begin_at >= since AND begin_at < until;
    CALL add_partition('orders', month);
    CALL add_partition('vends', month);
    CALL add_partition('payments', month);
    CALL add_partition('credits', month);
    CALL add_partition('stock_movements', month);
    CALL add_partition('facts', month);
    CALL add_partition('health_samples', month);
    INSERT INTO orders SELECT * FROM unnest(placed);
    INSERT INTO vends SELECT * FROM unnest(asked);
    INSERT INTO payments SELECT * FROM unnest(paid);
    INSERT INTO credits SELECT * FROM unnest(inserted);
    INSERT INTO stock_movements SELECT * FROM unnest(moved);
    INSERT INTO facts SELECT * FROM unnest(told);
    INSERT INTO dead_letters SELECT * FROM unnest(dead);
    INSERT INTO health_samples SELECT * FROM unnest(measured);
END $$;

CREATE FUNCTION this_month() RETURNS date LANGUAGE sql STABLE
    RETURN date_trunc('month', now(), 'UTC') AT TIME ZONE 'UTC';

-- This month and the next ones, where they are missing, and months in which facts came before anybody added them; how
-- many it added.
CREATE FUNCTION keep_months(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    added integer := 0;
    month date;
BEGIN
    PERFORM begin_keeping();
    IF ahead NOT BETWEEN 0 AND 12 OR ahead IS NULL THEN
        RAISE EXCEPTION 'at most a year ahead' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock('keep_months(integer)'::regprocedure::oid::bigint);
    FOR month IN
        SELECT (this_month() + further * interval '1 month')::date FROM generate_series(0, ahead) AS further
        UNION SELECT (date_trunc('month', received_at, 'UTC') AT TIME ZONE 'UTC')::date FROM facts_other
    LOOP
        IF to_regclass(partition_name('health_samples', month)) IS NULL THEN
            -- Facts first, as ingest does: whoever holds one of the others then has ended.
            LOCK TABLE facts, orders, vends, payments, credits, stock_movements, health_samples IN SHARE ROW EXCLUSIVE MODE;
            CALL add_month(month);
            added := added + 1;
        END IF;
    END LOOP;
    RETURN added;
END $$;

-- The begin of the month in which `before` lies. Raises unless that is at least so long ago.
CREATE FUNCTION bygone(before date, age interval) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF before IS NULL OR before > now() - age THEN
        RAISE EXCEPTION 'what is younger than % is kept', age USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN date_trunc('month', before);
END $$;

-- The months of a table that end before this one begins, the oldest first.
CREATE FUNCTION months_before(partitioned regclass, first date) RETURNS date[] LANGUAGE sql STABLE
    RETURN ARRAY(
        SELECT to_date(right(c.relname, 7), 'YYYY_MM')
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = partitioned AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
            AND to_date(right(c.relname, 7), 'YYYY_MM') < first
        ORDER BY 1
    );

CREATE PROCEDURE drop_partition(partitioned regclass, month date) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %I', partitioned, partition_name(partitioned, month));
    EXECUTE format('DROP TABLE %I', partition_name(partitioned, month));
END $$;

-- Health samples of all months that ended before `before`, and those under wrong clocks that came before; how many months.
CREATE FUNCTION forget_health(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    first CONSTANT date := bygone(before, '30 days');
    months CONSTANT date[] := months_before('health_samples', first);
    month date;
BEGIN
    PERFORM begin_keeping();
    FOREACH month IN ARRAY months LOOP
        CALL drop_partition('health_samples', month);
    END LOOP;
    DELETE FROM health_samples_other WHERE received_at < first::timestamp AT TIME ZONE 'UTC';
    RETURN cardinality(months);
END $$;

-- Facts of all months that ended before `before`; how many months. A month with a dead letter that waits for its replay
-- stays, whole.
CREATE FUNCTION forget_facts(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    dropped integer := 0;
    month date;
BEGIN
    PERFORM begin_keeping();
    FOREACH month IN ARRAY months_before('facts', bygone(before, '1 year')) LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM dead_letters WHERE replayed_at IS NULL AND received_at >= month::timestamp AT TIME ZONE 'UTC'
                AND received_at < (month + interval '1 month') AT TIME ZONE 'UTC');
        DELETE FROM dead_letters WHERE received_at >= month::timestamp AT TIME ZONE 'UTC'
            AND received_at < (month + interval '1 month') AT TIME ZONE 'UTC';
        CALL drop_partition('facts', month);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- At most so many orders that were placed and came before the month of `before`, with their vends, payments and the
-- movements of these; how many orders. Under a clock far ahead, when they came is all that counts.
CREATE FUNCTION forget_orders(before date, at_most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
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
    DELETE FROM orders s USING unnest(doomed) o WHERE s.tenant_id = o.tenant_id AND s.id = o.id;
    RETURN cardinality(doomed);
END $$;

-- Months of sales that ended before `before` and in which no order, vend or payment is left; how many. Movements of
-- stock and credits go with the month: nothing refers to them, and stock has their sum.
CREATE FUNCTION drop_sold_months(before date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    dropped integer := 0;
    month date;
    low uuid;
    high uuid;
BEGIN
    PERFORM begin_keeping();
    FOREACH month IN ARRAY months_before('orders', bygone(before, '1 year')) LOOP
        low := first_id(month);
        high := first_id((month + interval '1 month')::date);
        CONTINUE WHEN EXISTS (SELECT FROM orders WHERE id >= low AND id < high)
            OR EXISTS (SELECT FROM vends WHERE id >= low AND id < high)
            OR EXISTS (SELECT FROM payments WHERE id >= low AND id < high);
        CALL drop_partition('stock_movements', month);
        CALL drop_partition('credits', month);
        CALL drop_partition('payments', month);
        CALL drop_partition('vends', month);
        CALL drop_partition('orders', month);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- Rows that have expired and are of no use to anybody; how many.
CREATE FUNCTION forget_expired() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
    more integer;
BEGIN
    PERFORM begin_keeping();
    DELETE FROM sessions WHERE expires_at < now();
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM claim_codes WHERE expires_at < now() - interval '30 days';
    GET DIAGNOSTICS more = ROW_COUNT;
    gone := gone + more;
    UPDATE device_instructions SET pin = NULL WHERE pin IS NOT NULL AND expires_at < now();
    GET DIAGNOSTICS more = ROW_COUNT;
    gone := gone + more;
    -- A gateway that has been away for longer than its changes is told the full state.
    WITH old AS (
        SELECT tenant_id, site_id, max(number) AS number FROM changes
        WHERE created_at < now() - interval '90 days' GROUP BY 1, 2
    ), marked AS (
        UPDATE sites s SET pruned_change = greatest(pruned_change, old.number) FROM old
        WHERE s.tenant_id = old.tenant_id AND s.id = old.site_id
    )
    DELETE FROM changes c USING old
    WHERE c.tenant_id = old.tenant_id AND c.site_id = old.site_id AND c.number <= old.number;
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN gone + more;
END $$;

REVOKE EXECUTE ON FUNCTION keep_months(integer), forget_health(date), forget_facts(date), forget_orders(date, integer),
    drop_sold_months(date), forget_expired() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_months(integer), forget_health(date), forget_facts(date), forget_orders(date, integer),
    drop_sold_months(date), forget_expired() TO larder_app;

SELECT keep_months(2);
