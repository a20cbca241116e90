-- Webhooks outlive the right by which they were made, so it must be known by whom.

ALTER TABLE webhook_endpoints
    ADD COLUMN created_by uuid, -- a user or an API key; none of those that an older version made meanwhile
    ADD CONSTRAINT webhook_endpoints_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES actors;
CREATE INDEX webhook_endpoints_created_by_idx ON webhook_endpoints (tenant_id, created_by);

-- Of those there are, the audit log knows the makers.
ALTER TABLE webhook_endpoints NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE actors NO FORCE ROW LEVEL SECURITY;
UPDATE webhook_endpoints w SET created_by = e.actor_id
    FROM audit_entries e JOIN actors a ON a.tenant_id = e.tenant_id AND a.id = e.actor_id
    WHERE e.tenant_id = w.tenant_id AND e.action = 'webhook_created' AND e.subject_kind = 'webhook'
        AND e.subject_id = w.id::text;
ALTER TABLE actors FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
