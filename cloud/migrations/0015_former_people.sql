-- What is left of people who are nobody's any more: who belongs to no tenant, and who was invited and is not waited for.

ALTER TABLE users ADD COLUMN alone_since timestamptz; -- when it was first seen that they belong to nobody
CALL kept_by_owner('users', 'NOT is_platform_admin');
CALL kept_by_owner('memberships', 'true');
CALL kept_by_owner('user_secrets', 'true');
CALL kept_by_owner('recovery_codes', 'true');
CALL kept_by_owner('platform_visits', 'true');
ALTER POLICY keeper ON sessions USING (keeping()); -- those of somebody who goes do not wait for their end
ALTER POLICY keeper ON password_resets USING (keeping());
CALL kept_by_owner('invitations', 'least(expires_at, accepted_at, revoked_at) < now()');

-- Thirty days later what is known of them goes, all at once; how many rows it changed. Who visited a tenant stays: they
-- stand in its audit log.
CREATE FUNCTION forget_former_people() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    changed integer;
    more integer;
    former uuid[];
BEGIN
    PERFORM begin_keeping();
    UPDATE users u SET alone_since = CASE WHEN alone_since IS NULL THEN now() END
    WHERE (alone_since IS NULL) <> EXISTS (SELECT FROM memberships m WHERE m.user_id = u.id)
        AND NOT is_platform_admin;
    GET DIAGNOSTICS changed = ROW_COUNT;
    former := ARRAY(
        SELECT id FROM users u WHERE alone_since < now() - interval '30 days' AND NOT is_platform_admin
            AND NOT EXISTS (SELECT FROM platform_visits v WHERE v.user_id = u.id)
        LIMIT 500 FOR UPDATE);
    DELETE FROM user_secrets WHERE user_id = ANY (former);
    DELETE FROM recovery_codes WHERE user_id = ANY (former);
    DELETE FROM password_resets WHERE user_id = ANY (former);
    DELETE FROM sessions WHERE user_id = ANY (former);
    DELETE FROM users WHERE id = ANY (former);
    GET DIAGNOSTICS more = ROW_COUNT;
    changed := changed + more;
    DELETE FROM invitations WHERE least(expires_at, accepted_at, revoked_at) < now() - interval '30 days';
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN changed + more;
END $$;
REVOKE EXECUTE ON FUNCTION forget_former_people() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_former_people() TO larder_app;
