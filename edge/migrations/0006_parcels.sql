-- Which files a device may fetch, and so which files have to be kept.
CREATE TABLE parcel_permits (
    device_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (device_id, purpose, digest)
) STRICT, WITHOUT ROWID;
