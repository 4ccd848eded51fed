-- changed announces what a statement has changed in a table: by the keys of the rows, or by the
-- table alone if they are more than 64, if the table has no primary key, or if the transaction has
-- announced rows a hundred times. A notification has 8000 bytes at most. A partition's changes are
-- those of the table that it is a part of in the end. It fails no statement.
CREATE OR REPLACE FUNCTION freshet.changed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $freshet$
DECLARE
	most CONSTANT integer := 64;
	names jsonb := jsonb_build_array(TG_TABLE_NAME);
	columns text;
	found bigint;
	keys jsonb;
	sent integer;
	payload jsonb;
BEGIN
	IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = TG_RELID) THEN
		WITH RECURSIVE up (oid) AS (
			SELECT TG_RELID UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid)
		SELECT jsonb_agg(DISTINCT c.relname) INTO names FROM up JOIN pg_class c ON c.oid = up.oid
		WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.oid);
	END IF;
	payload := jsonb_build_object('tables', names);
	IF TG_OP <> 'TRUNCATE' THEN
		SELECT string_agg(quote_ident(a.attname) || '::text', ', ' ORDER BY k.position) INTO columns
		FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, position)
		JOIN pg_attribute a ON a.attrelid = TG_RELID AND a.attnum = k.number
		WHERE i.indrelid = TG_RELID AND i.indisprimary AND k.position <= i.indnkeyatts;
		EXECUTE replace(concat('SELECT count(*), jsonb_agg(DISTINCT k) FROM (',
			CASE WHEN TG_OP <> 'INSERT' THEN '(SELECT KEY FROM freshet_old LIMIT 128)' END,
			CASE WHEN TG_OP = 'UPDATE' THEN ' UNION ALL ' END,
			CASE WHEN TG_OP <> 'DELETE' THEN '(SELECT KEY FROM freshet_new LIMIT 128)' END,
			') changed (k)'), 'KEY', 'jsonb_build_array(' || coalesce(columns, '') || ')') INTO found, keys;
		IF found = 0 THEN
			RETURN NULL;
		END IF;
		sent := coalesce(nullif(current_setting('freshet.sent', true), ''), '0');
		IF columns IS NOT NULL AND found <= 2 * most AND jsonb_array_length(keys) <= most AND sent < 100
			AND octet_length(keys::text) + octet_length(names::text) < 7900 THEN
			payload := jsonb_build_object('tables', names, 'keys', keys);
			PERFORM set_config('freshet.sent', (sent + 1)::text, true);
		END IF;
	END IF;
	PERFORM pg_notify('freshet_changes', payload::text);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	PERFORM pg_notify('freshet_changes', coalesce(payload::text, '{}'));
	RETURN NULL;
END
$freshet$
