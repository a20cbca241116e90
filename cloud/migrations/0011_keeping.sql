-- What of people and keys expires, and is deleted then.
CALL kept_by_owner('sessions', 'expires_at < now()');
CALL kept_by_owner('password_resets', 'expires_at < now()');
CALL kept_by_owner('access_tokens', 'expires_at < now()');

-- Those that have been renewed stay until they would have expired: shown once more, they tell of a theft.
CREATE FUNCTION forget_expired_identity() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    gone integer;
    more integer;
BEGIN
    PERFORM begin_keeping();
    DELETE FROM password_resets WHERE expires_at < now();
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM access_tokens WHERE expires_at < now();
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN gone + more;
END $$;
REVOKE EXECUTE ON FUNCTION forget_expired_identity() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_expired_identity() TO larder_app;
