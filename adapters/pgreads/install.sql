-- changed announces what a statement has changed in a table: by the keys of the rows, or by the
-- table alone if they are more than 64, if the table has no primary key, or if the transaction has
-- announced rows a hundred times. A notification has 8000 bytes at most. A partition's changes are
-- those of the table that it is a part of in the end. It fails no statement.
CREATE OR REPLACE FUNCTION freshet.changed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $freshet$
DECLARE
	most CONSTANT integer := 64;
	names jsonb;
	columns text;
	changed text;
	found bigint;
	keys jsonb;
	sent integer;
	payload text;
BEGIN
	WITH RECURSIVE up (oid) AS (
		SELECT TG_RELID UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid)
	SELECT jsonb_agg(DISTINCT c.relname) INTO names FROM up JOIN pg_class c ON c.oid = up.oid
	WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.oid);
	payload := jsonb_build_object('tables', names);
	IF TG_OP <> 'TRUNCATE' THEN
		SELECT string_agg(format('%I::text', a.attname), ', ' ORDER BY k.position) INTO columns
		FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, position)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
		WHERE i.indrelid = TG_RELID AND i.indisprimary AND k.position <= i.indnkeyatts;
		changed := concat_ws(' UNION ALL ',
			CASE WHEN TG_OP <> 'INSERT' THEN '(SELECT %1$s FROM freshet_old LIMIT %2$s)' END,
			CASE WHEN TG_OP <> 'DELETE' THEN '(SELECT %1$s FROM freshet_new LIMIT %2$s)' END);
		EXECUTE format('SELECT count(*) FROM (' || changed || ') changed', '', most + most) INTO found;
		IF found = 0 THEN
			RETURN NULL;
		END IF;
		sent := coalesce(nullif(current_setting('freshet.sent', true), ''), '0');
		IF columns IS NOT NULL AND found <= most + most AND sent < 100 THEN
			EXECUTE format('SELECT jsonb_agg(DISTINCT k) FROM (' || changed || ') changed (k)',
				format('jsonb_build_array(%s)', columns), most + most) INTO keys;
			IF jsonb_array_length(keys) <= most AND octet_length(payload || keys) < 7900 THEN
				payload := jsonb_build_object('tables', names, 'keys', keys);
				PERFORM set_config('freshet.sent', (sent + 1)::text, true);
			END IF;
		END IF;
	END IF;
	PERFORM pg_notify('freshet_changes', payload);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	PERFORM pg_notify('freshet_changes', coalesce(payload, '{}'));
	RETURN NULL;
END
$freshet$
