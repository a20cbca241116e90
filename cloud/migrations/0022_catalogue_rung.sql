-- Processes keep what people and programs read of the catalogue: whoever changes that tells them, by whatever way they come.
CREATE FUNCTION ring_catalogue() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('larder', 'catalogue ' || coalesce(NEW.tenant_id, OLD.tenant_id));
    RETURN NULL;
END $$;
CREATE TRIGGER products_rung AFTER INSERT OR DELETE OR UPDATE ON products FOR EACH ROW EXECUTE FUNCTION ring_catalogue();
CREATE TRIGGER machines_rung AFTER INSERT OR DELETE OR UPDATE ON machines FOR EACH ROW EXECUTE FUNCTION ring_catalogue();
