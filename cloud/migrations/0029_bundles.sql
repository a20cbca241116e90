-- Codes of a bundle, which is carried to a site that has no internet yet, live longer than those of a sheet.

ALTER TABLE claim_codes
    ADD COLUMN carried boolean NOT NULL DEFAULT false, -- in a bundle
    DROP CONSTRAINT claim_codes_life,
    ADD CONSTRAINT claim_codes_life
        CHECK (expires_at <= created_at + CASE WHEN carried THEN interval '30 days' ELSE interval '24 hours' END);
ALTER TABLE devices
    ADD COLUMN claim_carried boolean NOT NULL DEFAULT false, -- the code is on the sheet of a bundle
    DROP CONSTRAINT devices_claim_life,
    ADD CONSTRAINT devices_claim_life
        CHECK (claim_expires_at <= claim_issued_at + CASE WHEN claim_carried THEN interval '30 days' ELSE interval '24 hours' END);
