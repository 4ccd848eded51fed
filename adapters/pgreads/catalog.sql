-- query: relations
SELECT c.oid, n.nspname IN ('pg_catalog', 'information_schema'), c.relname::text, c.relkind::text, (
	SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled IN ('O', 'A')
	AND t.tgname IN ('freshet_insert', 'freshet_update', 'freshet_delete', 'freshet_truncate')), (
	SELECT md5(string_agg(concat(a.attname, a.atttypid), ' ' ORDER BY a.attnum)) FROM pg_catalog.pg_attribute a
	WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname <> 'pg_catalog')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1
-- query: keys
SELECT i.indrelid, a.attname::text, CASE WHEN a.atttypid IN (20, 21, 23) THEN 'i' WHEN a.atttypid = 2950 THEN 'u'
	WHEN a.atttypid IN (25, 1043) AND coalesce(o.collisdeterministic, false) THEN 't' ELSE '' END
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, position)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
WHERE i.indisprimary AND k.position <= i.indnkeyatts ORDER BY i.indrelid, k.position
-- query: parents
SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY 1, 2
-- query: uses
SELECT r.ev_class, d.refclassid = 'pg_catalog.pg_proc'::regclass, d.refobjid
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
AND d.objid = r.oid AND d.refclassid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass)
WHERE d.refobjid <> r.ev_class
UNION SELECT p.polrelid, d.refclassid = 'pg_catalog.pg_proc'::regclass, d.refobjid
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass
AND d.objid = p.oid AND d.refclassid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass)
WHERE d.refobjid <> p.polrelid ORDER BY 1, 2, 3
-- query: functions
SELECT p.oid, p.proname::text, p.pronargs = 1 AND t.typtype IN ('c', 'p')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
WHERE p.provolatile <> 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND p.prorettype NOT IN (2279, 3838) ORDER BY 1
-- query: names
SELECT array_agg(DISTINCT proname::text) FROM pg_catalog.pg_proc
-- query: keywords
SELECT array_agg(word ORDER BY word) FROM pg_catalog.pg_get_keywords() WHERE catcode IN ('R', 'C')
