-- Processes keep in mind what keys, tokens and gateways may do: whoever changes that tells them, by whatever way they come.
CREATE FUNCTION ring_callers() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('larder', 'callers ' || OLD.tenant_id);
    RETURN NULL;
END $$;
CREATE TRIGGER api_keys_rung AFTER DELETE OR UPDATE OF tenant_id, id, name, secret_sha256, scopes, expires_at, revoked_at
    ON api_keys FOR EACH ROW EXECUTE FUNCTION ring_callers();
CREATE TRIGGER access_tokens_rung AFTER DELETE OR UPDATE OF tenant_id, api_key_id, secret_sha256, scopes, expires_at, revoked_at
    ON access_tokens FOR EACH ROW EXECUTE FUNCTION ring_callers();
CREATE TRIGGER gateways_rung AFTER DELETE OR UPDATE OF tenant_id, id, site_id, public_key, revoked_at
    ON gateways FOR EACH ROW EXECUTE FUNCTION ring_callers();
