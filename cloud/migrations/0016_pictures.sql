-- Files of tenants, which lie in a folder or a bucket as TENANT/NAME, and the pictures of products.

CREATE TABLE stored_objects (
    tenant_id uuid NOT NULL CONSTRAINT stored_objects_tenant_fkey REFERENCES tenants,
    name text NOT NULL CONSTRAINT stored_objects_name_form CHECK (name ~ '^([0-9a-f]{64}|incoming/[0-9a-f-]{36})$'),
    bytes bigint NOT NULL CONSTRAINT stored_objects_bytes_range CHECK (bytes > 0),
    kept_until timestamptz, -- NULL: something refers to it
    CONSTRAINT stored_objects_pkey PRIMARY KEY (tenant_id, name)
);
CREATE INDEX stored_objects_kept_idx ON stored_objects (kept_until) WHERE kept_until IS NOT NULL;
CALL tenant_wall('stored_objects', 'SELECT, INSERT, UPDATE, DELETE');
CALL kept_by_owner('stored_objects', 'kept_until < now()');

CREATE FUNCTION tenants_with_expired_objects() RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM begin_keeping();
    RETURN QUERY SELECT DISTINCT tenant_id FROM stored_objects WHERE kept_until < now() ORDER BY tenant_id;
    PERFORM set_config('app.keeper', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION tenants_with_expired_objects() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_expired_objects() TO larder_app;

CREATE TABLE product_pictures (
    tenant_id uuid NOT NULL,
    product_id uuid NOT NULL,
    sha256 text NOT NULL CONSTRAINT product_pictures_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'), -- of what was sent
    media_type text NOT NULL, -- of what was sent
    bytes bigint NOT NULL CONSTRAINT product_pictures_bytes_range CHECK (bytes > 0), -- of what was sent
    width integer NOT NULL CONSTRAINT product_pictures_width_range CHECK (width > 0), -- of what was sent, upright
    height integer NOT NULL CONSTRAINT product_pictures_height_range CHECK (height > 0),
    put_at timestamptz NOT NULL,
    CONSTRAINT product_pictures_pkey PRIMARY KEY (tenant_id, product_id),
    CONSTRAINT product_pictures_product_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES products
);
CALL tenant_wall('product_pictures', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE product_picture_sizes (
    tenant_id uuid NOT NULL,
    product_id uuid NOT NULL,
    size text NOT NULL CONSTRAINT product_picture_sizes_size_known CHECK (size IN ('96', '320', '1024', 'full')),
    object text NOT NULL,
    width integer NOT NULL CONSTRAINT product_picture_sizes_width_range CHECK (width > 0),
    height integer NOT NULL CONSTRAINT product_picture_sizes_height_range CHECK (height > 0),
    CONSTRAINT product_picture_sizes_pkey PRIMARY KEY (tenant_id, product_id, size),
    CONSTRAINT product_picture_sizes_picture_fkey FOREIGN KEY (tenant_id, product_id) REFERENCES product_pictures,
    CONSTRAINT product_picture_sizes_object_fkey FOREIGN KEY (tenant_id, object) REFERENCES stored_objects
);
CREATE INDEX product_picture_sizes_object_idx ON product_picture_sizes (tenant_id, object);
CALL tenant_wall('product_picture_sizes', 'SELECT, INSERT, DELETE');
