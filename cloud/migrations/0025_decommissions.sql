-- A machine that leaves first takes no new orders (cloud/catalog/rules.py); who wanted that, and who called it off.
ALTER TABLE machines
    ADD COLUMN state text NOT NULL DEFAULT 'selling' CONSTRAINT machines_state_known CHECK (state IN ('selling', 'draining'));

CREATE TABLE decommissions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    machine_id uuid NOT NULL,
    machine_version integer NOT NULL, -- from this one on it sells nothing
    reason text NOT NULL CONSTRAINT decommissions_reason_length CHECK (length(reason) BETWEEN 1 AND 300),
    begun_by uuid NOT NULL,
    begun_at timestamptz NOT NULL,
    called_off_by uuid,
    called_off_at timestamptz,
    CONSTRAINT decommissions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT decommissions_machine_fkey FOREIGN KEY (tenant_id, machine_id) REFERENCES machines,
    CONSTRAINT decommissions_beginner_fkey FOREIGN KEY (tenant_id, begun_by) REFERENCES actors,
    CONSTRAINT decommissions_caller_off_fkey FOREIGN KEY (tenant_id, called_off_by) REFERENCES actors,
    CONSTRAINT decommissions_called_off CHECK ((called_off_by IS NULL) = (called_off_at IS NULL))
);
CREATE UNIQUE INDEX decommissions_open_key ON decommissions (tenant_id, machine_id) WHERE called_off_at IS NULL;
CREATE INDEX decommissions_machine_idx ON decommissions (tenant_id, machine_id, begun_at DESC);
CREATE INDEX decommissions_beginner_idx ON decommissions (tenant_id, begun_by);
CREATE INDEX decommissions_caller_off_idx ON decommissions (tenant_id, called_off_by);
CALL tenant_wall('decommissions', 'SELECT, INSERT, UPDATE');
CALL scope_wall('decommissions', 'EXISTS (SELECT 1 FROM machines m WHERE m.tenant_id = decommissions.tenant_id AND m.id = decommissions.machine_id)');
