-- Answers to requests that create something or move money: the same request again gets the same answer.

CREATE TABLE kept_answers (
    tenant_id uuid NOT NULL CONSTRAINT kept_answers_tenant_fkey REFERENCES tenants,
    actor_id uuid NOT NULL, -- of a user or an API key: keys of one caller are nothing to another
    key uuid NOT NULL,
    request_sha256 bytea NOT NULL, -- of method, path and body
    status smallint NOT NULL,
    body text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kept_answers_pkey PRIMARY KEY (tenant_id, actor_id, key)
);
CREATE INDEX kept_answers_age_idx ON kept_answers (kept_at);
CALL tenant_wall('kept_answers', 'SELECT, INSERT');

-- Forgetting them is nobody's and everybody's: the owner of the table, and only he, sees old ones of all tenants, and
-- lends the application this one thing to do with them.
CREATE POLICY old_to_owner ON kept_answers TO CURRENT_USER USING (kept_at < now() - interval '24 hours');
CREATE FUNCTION forget_kept_answers(older_than interval, most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM kept_answers WHERE (tenant_id, actor_id, key) IN (
            SELECT tenant_id, actor_id, key FROM kept_answers WHERE kept_at < now() - older_than
            ORDER BY kept_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
REVOKE EXECUTE ON FUNCTION forget_kept_answers(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_kept_answers(interval, integer) TO larder_app;

-- Lists. Nearly all orders are settled, and found among all; the others have a small index of their own.
CREATE INDEX orders_unsettled_idx ON orders (tenant_id, state, placed_at DESC, id DESC) WHERE state <> 'settled';
CREATE INDEX orders_rail_idx ON orders (tenant_id, rail, placed_at DESC, id DESC);
CREATE INDEX releases_list_idx ON releases (tenant_id, published_at DESC, digest DESC);
CREATE INDEX machines_list_idx ON machines (tenant_id, name, id);
CREATE INDEX sites_list_idx ON sites (tenant_id, name, id);
