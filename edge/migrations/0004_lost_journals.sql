-- The journal the device said hello with, and (seen_epoch, seen_seq) how far that one goes; NULL before the first hello.
ALTER TABLE devices ADD COLUMN journal_id TEXT;
-- The highest (epoch, seq) given out when the device was last found to have lost a journal: that one had been told of
-- all up to here, the one after it knows nothing of what it does not reach itself.
ALTER TABLE devices ADD COLUMN lost_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN lost_seq INTEGER NOT NULL DEFAULT 0;
