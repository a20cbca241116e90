-- Answers to requests that create something or move money: the same request again gets the same answer.

CREATE TABLE kept_answers (
    tenant_id uuid NOT NULL CONSTRAINT kept_answers_tenant_fkey REFERENCES tenants,
    actor_id uuid NOT NULL, -- of a user or an API key: keys of one caller are nothing to another
    key uuid NOT NULL,
    request_sha256 bytea NOT NULL, -- of method, path and body
    status smallint NOT NULL,
    body text NOT NULL, -- encrypted: the secret of a new API key may be in it
    kept_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kept_answers_pkey PRIMARY KEY (tenant_id, actor_id, key),
    CONSTRAINT kept_answers_body_encrypted CHECK (encryption_key_of(body) <> '')
);
CREATE INDEX kept_answers_age_idx ON kept_answers (kept_at);
CALL tenant_wall('kept_answers', 'SELECT, INSERT');
GRANT UPDATE (body) ON kept_answers TO larder_app; -- with another key
CALL kept_by_owner('kept_answers', 'kept_at < now() - interval ''48 hours''');

CREATE FUNCTION forget_kept_answers() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
BEGIN
    PERFORM begin_keeping();
    DELETE FROM kept_answers WHERE kept_at < now() - interval '48 hours';
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
REVOKE EXECUTE ON FUNCTION forget_kept_answers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_kept_answers() TO larder_app;

-- Lists. Nearly all orders are settled, and found among all; the others have a small index of their own.
CREATE INDEX orders_unsettled_idx ON orders (tenant_id, state, placed_at DESC, id DESC) WHERE state <> 'settled';
CREATE INDEX orders_rail_idx ON orders (tenant_id, rail, placed_at DESC, id DESC);
CREATE INDEX releases_list_idx ON releases (tenant_id, published_at DESC, digest DESC);
CREATE INDEX machines_list_idx ON machines (tenant_id, name, id);
CREATE INDEX sites_list_idx ON sites (tenant_id, name, id);
