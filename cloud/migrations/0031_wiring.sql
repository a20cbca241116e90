-- How a device was to be wired when a setup made it, until settings of its own say so.
ALTER TABLE devices
    ADD COLUMN wiring text CONSTRAINT devices_wiring_length CHECK (length(wiring) <= 24000); -- JSON (cloud/templates/rules.py)
