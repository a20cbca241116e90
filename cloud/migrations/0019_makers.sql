-- Whoever loses a right loses what they made by it, so it must be known whose that is.

ALTER TABLE api_keys
    ADD COLUMN kept_by uuid, -- who has answered for it since its maker has gone
    ADD CONSTRAINT api_keys_kept_by_fkey FOREIGN KEY (tenant_id, kept_by) REFERENCES actors;
CREATE INDEX api_keys_kept_by_idx ON api_keys (tenant_id, kept_by);

ALTER TABLE invitations
    ADD COLUMN inviter_id uuid, -- of a user or an API key; none of those that an older version made meanwhile
    ADD CONSTRAINT invitations_inviter_fkey FOREIGN KEY (tenant_id, inviter_id) REFERENCES actors;
CREATE INDEX invitations_inviter_idx ON invitations (tenant_id, inviter_id);

-- Of those there are, the audit log knows the inviters.
ALTER TABLE invitations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE actors NO FORCE ROW LEVEL SECURITY;
UPDATE invitations i SET inviter_id = e.actor_id
    FROM audit_entries e JOIN actors a ON a.tenant_id = e.tenant_id AND a.id = e.actor_id
    WHERE e.tenant_id = i.tenant_id AND e.action = 'user_invited' AND e.subject_kind = 'invitation'
        AND e.subject_id = i.id::text;
ALTER TABLE actors FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;

-- A second factor that shall take the place of the one in force: it counts from its first code on.
ALTER TABLE user_secrets
    ADD COLUMN totp_next_seed text, -- encrypted
    ADD COLUMN totp_next_until timestamptz,
    ADD COLUMN totp_next_session uuid, -- that asked for it: no other is shown the seed
    ADD CONSTRAINT user_secrets_totp_next_seed_encrypted
        CHECK (totp_next_seed IS NULL OR encryption_key_of(totp_next_seed) <> '');

-- Who sees single machines of a site sees the site, and counts its changes on when they instruct a device there. But
-- what it is called and where it stands is not theirs to write. No policy can say so: it knows no columns.
CREATE FUNCTION refuse_part_of_site() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'who sees a part of a site does not write it' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER sites_written_whole BEFORE UPDATE OF name, address, latitude, longitude, currency ON sites
    FOR EACH ROW WHEN (NOT (sees_all() OR in_scope(OLD.id))) EXECUTE FUNCTION refuse_part_of_site();
