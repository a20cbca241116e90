-- The tables of sales by their UUIDv7, facts by the time they came. Whatever was put on these tables so far stays on
-- them: columns, checks, keys, indexes, policies, rights and rows.
--
-- Keys by id: (tenant_id, id) holds the partition key, so it is unique over all months, and composite foreign keys are
-- what they were. An id of a wrong clock lies in another month, and is found there all the same.
--
-- Facts: their key was (tenant_id, gateway_id, epoch, seq), and a key must hold the partition key, so received_at joins
-- it. That a fact is kept once was never the key's work: ingest adds only what follows the gateway's mark, and moves the
-- mark in the same statement while it holds the gateway's row locked. So that no other way leads round this, the mark
-- can only rise (gateways_mark_rises). Any other key would be worse: by gateway there is no month to drop, and the times
-- in a fact are the gateway's own. What reads facts (repeats, recall, replay) asks by gateway, epoch and seq, in all
-- months, each by its index. A dead letter has its fact's received_at, which is now() of the same transaction.

ALTER TABLE dead_letters NO FORCE ROW LEVEL SECURITY;
ALTER TABLE facts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE dead_letters ADD COLUMN received_at timestamptz;
UPDATE dead_letters d SET received_at = f.received_at
FROM facts f WHERE (f.tenant_id, f.gateway_id, f.epoch, f.seq) = (d.tenant_id, d.gateway_id, d.epoch, d.seq);
ALTER TABLE dead_letters
    DROP CONSTRAINT dead_letters_fact_fkey,
    DROP CONSTRAINT dead_letters_pkey,
    ALTER COLUMN received_at SET NOT NULL,
    ALTER COLUMN received_at SET DEFAULT now(),
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (tenant_id, gateway_id, epoch, seq) INCLUDE (received_at);
ALTER TABLE dead_letters FORCE ROW LEVEL SECURITY;
ALTER TABLE facts
    DROP CONSTRAINT facts_pkey,
    ADD CONSTRAINT facts_pkey PRIMARY KEY (tenant_id, gateway_id, epoch, seq, received_at);

CREATE SCHEMA unpartitioned;

-- Moves a table there, puts a partitioned one in its place, and fills it. Foreign keys are left to the caller.
CREATE PROCEDURE partition_by_month(plain text, key text) LANGUAGE plpgsql AS $$
DECLARE
    again text[];
    fill text;
    month date;
BEGIN
    SELECT ' WITH (' || array_to_string(reloptions, ', ') || ')' INTO fill FROM pg_class WHERE oid = plain::regclass;
    again := ARRAY(
        SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', plain, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = plain::regclass AND contype IN ('p', 'u')
    ) || ARRAY(
        SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
        WHERE i.indrelid = plain::regclass AND NOT EXISTS (
            SELECT FROM pg_constraint k WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid)
    ) || ARRAY(
        SELECT format('CREATE POLICY %I ON %I AS %s FOR %s TO %s', policyname, plain, permissive, cmd, array_to_string(roles, ', '))
            || coalesce(' USING (' || qual || ')', '') || coalesce(' WITH CHECK (' || with_check || ')', '')
        FROM pg_policies WHERE schemaname = 'public' AND tablename = plain
    ) || ARRAY(
        SELECT format('GRANT %s ON %I TO %s', privilege_type, plain, grantee::regrole)
        FROM pg_class, aclexplode(relacl) WHERE oid = plain::regclass AND grantee <> relowner
    );
    EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', plain);
    EXECUTE format('ALTER TABLE %I SET SCHEMA unpartitioned', plain);
    EXECUTE format('CREATE TABLE %I (LIKE unpartitioned.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)'
        ' PARTITION BY RANGE (%I)', plain, plain, key);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT%s', plain || '_other', plain, coalesce(fill, ''));
    CALL wall_partition((plain || '_other')::regclass);
    FOR month IN EXECUTE format(
        'SELECT DISTINCT date_trunc(''month'', %s, ''UTC'') AT TIME ZONE ''UTC'' FROM unpartitioned.%I'
        ' WHERE %1$s BETWEEN ''2020-01-01'' AND date_trunc(''month'', now(), ''UTC'')',
        CASE WHEN key = 'id' THEN 'uuid_extract_timestamp(id)' ELSE key END, plain)
    LOOP
        CALL add_partition(plain::regclass, month);
    END LOOP;
    EXECUTE format('INSERT INTO %I SELECT * FROM unpartitioned.%I', plain, plain);
    EXECUTE format('DROP TABLE unpartitioned.%I', plain);
    FOR i IN 1 .. cardinality(again) LOOP
        EXECUTE again[i];
    END LOOP;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', plain);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', plain);
END $$;

DO $$
DECLARE
    sales CONSTANT text[] := ARRAY['orders', 'vends', 'payments', 'credits', 'stock_movements'];
    taken_off text[];
    put_on text[];
    command text;
BEGIN
    SELECT array_agg(format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)),
           array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)))
    INTO taken_off, put_on
    FROM pg_constraint
    WHERE contype = 'f' AND (conrelid = ANY(sales::regclass[]) OR confrelid = ANY(sales::regclass[]));
    FOREACH command IN ARRAY taken_off LOOP
        EXECUTE command;
    END LOOP;
    FOREACH command IN ARRAY sales LOOP
        CALL partition_by_month(command, 'id');
    END LOOP;
    CALL partition_by_month('facts', 'received_at');
    FOREACH command IN ARRAY put_on LOOP
        EXECUTE command;
    END LOOP;
END $$;

DROP PROCEDURE partition_by_month;
DROP SCHEMA unpartitioned;

ALTER TABLE dead_letters
    ADD CONSTRAINT dead_letters_fact_fkey FOREIGN KEY (tenant_id, gateway_id, epoch, seq, received_at) REFERENCES facts;

CREATE FUNCTION refuse_lower_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the mark of gateway % would fall', old.id USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
CREATE TRIGGER gateways_mark_rises BEFORE UPDATE OF epoch, seq ON gateways
    FOR EACH ROW WHEN ((new.epoch, new.seq) < (old.epoch, old.seq)) EXECUTE FUNCTION refuse_lower_mark();
