-- Which release of a zone was told last, and when first: a gateway that has lost its ledger tells it once more.
ALTER TABLE zones
    ADD COLUMN release_id uuid,
    ADD COLUMN released_at timestamptz,
    ADD CONSTRAINT zones_release_told CHECK ((release_id IS NULL) = (released_at IS NULL));
