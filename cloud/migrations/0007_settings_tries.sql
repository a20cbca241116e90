-- How often a device has tried the settings that it was offered last.
ALTER TABLE device_settings_reports ADD COLUMN tries integer NOT NULL DEFAULT 0;
