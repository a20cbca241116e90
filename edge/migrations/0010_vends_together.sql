-- A device whose power supply bears it takes several vends at once; more than four (shared.devices.MAX_AT_ONCE) none does.
DROP INDEX dispenses_open;
CREATE INDEX dispenses_open ON dispenses (device_id) WHERE state != 'ended';
CREATE TRIGGER dispenses_together BEFORE INSERT ON dispenses WHEN new.state != 'ended'
AND (SELECT count(*) FROM dispenses WHERE device_id = new.device_id AND state != 'ended') >= 4
BEGIN
    SELECT raise(ABORT, 'a device has four open dispenses at most');
END;
