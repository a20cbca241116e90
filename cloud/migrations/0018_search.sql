-- The words of names, by whose beginnings machines and the like are found. An index on an expression would not do: under
-- row-level security only leakproof functions reach an index, and lower() is none.

CREATE FUNCTION search_words_of(name text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array(SELECT DISTINCT left(word, 64) FROM regexp_split_to_table(lower(name), '[[:space:][:punct:]]+') AS s (word)
                 WHERE word <> '' LIMIT 60);

CREATE TABLE search_words ( -- no foreign key: a trigger of each table keeps its words
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    word text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL, -- what of it somebody may see, its own table's walls decide
    CONSTRAINT search_words_pkey PRIMARY KEY (tenant_id, kind, word, subject_id)
);
CREATE INDEX search_words_subject_idx ON search_words (tenant_id, kind, subject_id);
CALL tenant_wall('search_words', 'SELECT, INSERT, DELETE');

CREATE FUNCTION keep_search_words() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM search_words w WHERE w.tenant_id = OLD.tenant_id AND w.kind = TG_ARGV[0] AND w.subject_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_words (tenant_id, kind, word, subject_id)
        SELECT NEW.tenant_id, TG_ARGV[0], word, NEW.id FROM unnest(search_words_of(NEW.name)) AS w (word);
    END IF;
    RETURN NULL;
END $$;

ALTER TABLE search_words NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    kind text;
    named text;
BEGIN
    FOREACH kind IN ARRAY '{machine,site,gateway,device,product}'::text[] LOOP
        named := kind || 's';
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('INSERT INTO search_words SELECT tenant_id, %L, word, id FROM %I, unnest(search_words_of(name)) AS w (word)', kind, named);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR DELETE OR UPDATE OF tenant_id, id, name ON %I FOR EACH ROW EXECUTE FUNCTION keep_search_words(%L)', named || '_found', named, kind);
    END LOOP;
END $$;
ALTER TABLE search_words FORCE ROW LEVEL SECURITY;
