-- Who asks how often, over all processes. Not worth a log: after a crash of the server all buckets are full again.
CREATE UNLOGGED TABLE token_buckets (
    key text CONSTRAINT token_buckets_pkey PRIMARY KEY,
    level double precision NOT NULL, -- tokens in it at filled_at
    filled_at timestamptz NOT NULL,
    full_at timestamptz NOT NULL     -- from then on the row says no more than none would
);
CREATE INDEX token_buckets_full_at_idx ON token_buckets (full_at);

-- The application reaches it through the function alone, which works as the owner.
ALTER TABLE token_buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE token_buckets FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON token_buckets TO CURRENT_USER USING (true) WITH CHECK (true);

-- Takes up to `wanted` whole tokens out of a bucket, none if it holds less than `needed`; what is left then.
-- One call in a hundred clears away some buckets that have filled up.
CREATE FUNCTION take_tokens(
    bucket text, capacity double precision, refill_per_s double precision, needed integer, wanted integer,
    OUT granted integer, OUT remaining double precision
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO public.token_buckets AS b (key, level, filled_at, full_at) VALUES (bucket, capacity, at, at)
    ON CONFLICT (key) DO UPDATE SET -- another process may have been here since `at`
        level = least(capacity, b.level + refill_per_s * greatest(0, extract(epoch FROM at - b.filled_at))),
        filled_at = greatest(b.filled_at, at)
    RETURNING b.level INTO remaining;
    granted := CASE WHEN remaining >= needed THEN floor(least(remaining, wanted)) ELSE 0 END;
    remaining := remaining - granted;
    UPDATE public.token_buckets
    SET level = remaining, full_at = filled_at + make_interval(secs => (capacity - remaining) / refill_per_s)
    WHERE key = bucket;
    IF random() < 0.01 THEN
        DELETE FROM public.token_buckets WHERE key IN (
            SELECT key FROM public.token_buckets WHERE full_at < at LIMIT 200 FOR UPDATE SKIP LOCKED
        );
    END IF;
END $$;
REVOKE ALL ON FUNCTION take_tokens FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_tokens TO larder_app;
