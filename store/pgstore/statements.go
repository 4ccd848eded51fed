package pgstore

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statements are our SQL, with the names of our tables in it. Each is a transaction of its own,
// so that now() is when it began; it has no time zone, whatever the session's.
//
// What sweeps goes by the table's number, so that caches in different schemas do not wait for each
// other.
type statements struct {
	table string // quoted, that of values

	get, exists, set, delete, ttl, expire string
	list, flush, sweep, lock, unlock      string
	peek, reclaim                         string
	head, since, append, begin, forget    string
	note, anew                            string
	renew, members, leave                 string
	channel, describe                     string
}

// valueSQL have :values for the table of values, :oid for its number.
var valueSQL = statements{
	get:    `SELECT value FROM :values WHERE key = $1 AND expires > now()`,
	exists: `SELECT EXISTS (SELECT FROM :values WHERE key = $1 AND expires > now())`,
	set: `INSERT INTO :values (key, value, expires) VALUES ($1, $2, now() + $3::bigint * interval '1 microsecond')
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`,
	delete: `DELETE FROM :values WHERE key = $1 RETURNING expires > now()`,
	ttl:    `SELECT (extract(epoch FROM expires - now()) * 1000000)::bigint FROM :values WHERE key = $1 AND expires > now()`,
	expire: `UPDATE :values SET expires = now() + $2::bigint * interval '1 microsecond' WHERE key = $1 AND expires > now()`,

	// From $1 on and below $2; see rangeOf.
	list: `SELECT key FROM :values WHERE key >= $1 AND key < $2 AND expires > now() ORDER BY key LIMIT $3`,
	// Rows are locked in the order of their keys, so that two flushes do not wait for each other.
	flush: `WITH batch AS MATERIALIZED (
			SELECT key FROM :values WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3
		), locked AS MATERIALIZED (
			SELECT key, expires > now() AS alive FROM :values
			WHERE key >= $1 AND key <= (SELECT max(key) FROM batch) ORDER BY key FOR UPDATE
		), gone AS (
			DELETE FROM :values v USING locked WHERE v.key = locked.key RETURNING locked.alive
		)
		SELECT (SELECT coalesce(max(key), '') FROM batch), (SELECT count(*) FROM gone WHERE alive)`,
	peek: `SELECT key, substring(value FOR $4), octet_length(value)::bigint, expires FROM :values
		WHERE key >= $1 AND key < $2 AND expires > now() ORDER BY key LIMIT $3`,
	reclaim: `WITH locked AS MATERIALIZED (
			SELECT v.key, octet_length(v.value) AS size FROM :values v
			JOIN unnest($1::text[], $2::timestamptz[]) AS dead (key, expires) ON v.key = dead.key AND v.expires = dead.expires
			ORDER BY v.key FOR UPDATE OF v
		), gone AS (
			DELETE FROM :values v USING locked WHERE v.key = locked.key RETURNING locked.size
		)
		SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone`,
	// The lock ends with the statement. It is asked for before any row is looked at.
	sweep: `DELETE FROM :values WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM :values
			WHERE expires <= now() AND (SELECT pg_try_advisory_xact_lock(hashtextextended('~sweep~', :oid)))
			ORDER BY expires LIMIT $1 FOR UPDATE SKIP LOCKED))`,
	// A token that is there is of this very call, whose first answer was lost.
	lock: `INSERT INTO :values AS v (key, value, expires) VALUES ($1, $2, now() + $3::bigint * interval '1 microsecond')
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
		WHERE v.expires <= now() OR v.value = excluded.value RETURNING true`,
	unlock: `DELETE FROM :values WHERE key = $1 AND value = $2 RETURNING expires > now()`,

	describe: `SELECT current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery(),
		current_setting('transaction_read_only')::bool,
		array(SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i) WHERE to_regclass(name) IS NULL ORDER BY i),
		array(SELECT concat(privilege, ' on ', name) FROM unnest($1::text[]) AS t(name),
			unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(privilege)
			WHERE NOT has_table_privilege(to_regclass(name), privilege)),
		coalesce(obj_description(to_regclass(($1::text[])[1]), 'pg_class'), '')`,
}

// journalSQL have :marks and :heads for the tables, too. A transaction that has locked a journal's
// row in :heads is alone in changing it, so that numbers become visible in their order.
var journalSQL = statements{
	channel: `SELECT 'freshet_' || (:oid)::text`,
	// A new number is the clock's, in microseconds, or the one after the last, whichever is
	// greater: a server that has lost the newest marks, as a standby may that takes over, gives no
	// number out again.
	append: `WITH at AS (SELECT :timeline AS timeline, :durable AS durable), next AS (
			INSERT INTO :heads AS h (prefix, head, previous, forgotten, marks, bytes)
			SELECT $1, clock + $5::bigint, clock, clock, $5::bigint, $6::bigint FROM (SELECT :clock AS clock) AS c, at
			WHERE NOT EXISTS (SELECT FROM :heads t WHERE t.prefix = :noted AND t.head NOT IN (0, at.timeline))
			ON CONFLICT (prefix) DO UPDATE SET head = greatest(h.head, :clock) + $5::bigint,
				previous = h.head, marks = h.marks + $5::bigint, bytes = h.bytes + $6::bigint
			RETURNING head, previous, marks, bytes
		), made AS (
			INSERT INTO :marks (prefix, number, previous, kind, soft, name)
			SELECT $1, head - $5::bigint + i, CASE i WHEN 1 THEN previous ELSE head - $5::bigint + i - 1 END, kind, soft, name
			FROM next, unnest($2::smallint[], $3::boolean[], $4::bytea[]) WITH ORDINALITY AS m (kind, soft, name, i)
		)
		SELECT head, marks, bytes, pg_notify('freshet_' || (:oid)::text, head || ' ' || $1),
			(SELECT durable FROM at) FROM next`,
	head: `SELECT head FROM :heads WHERE prefix = $1`,
	// The first $3 marks after $2, or fewer: those before which there are less than $4 bytes of names.
	since: `WITH at AS (SELECT :timeline AS timeline)
		SELECT h.head, h.forgotten, at.timeline, t.head, coalesce(t.previous, 0), m.number, m.previous, m.kind, m.soft, m.name
		FROM at CROSS JOIN :heads h LEFT JOIN :heads t ON t.prefix = :noted
			LEFT JOIN LATERAL (
				SELECT *, sum(octet_length(name)) OVER (ORDER BY number ROWS UNBOUNDED PRECEDING)
					- octet_length(name) AS before
				FROM (SELECT * FROM :marks WHERE prefix = h.prefix AND number > greatest($2::bigint, h.forgotten)
					ORDER BY number LIMIT $3::bigint) AS first
			) AS m ON m.before < $4::bigint
		WHERE h.prefix = $1 ORDER BY m.number`,
	// A second row in :heads notes for a journal the server's timeline in head, 0 where that is not
	// known, and the number of its newest beginning in previous: at first that up to which it knows of
	// nothing. A server that was a standby and took over has another timeline.
	note: `INSERT INTO :heads AS t (prefix, head, previous, forgotten, marks, bytes)
		SELECT :noted, timeline, forgotten, 0, 0, 0 FROM (SELECT :timeline AS timeline) AS at, :heads
		WHERE prefix = $1 AND timeline IS NOT NULL
		ON CONFLICT (prefix) DO UPDATE SET head = excluded.head WHERE t.head = 0`,
	// The journal begins anew if its server has another timeline than the one noted, or if its head is
	// below $2, which is 0 or a number that it gave out; one that is a day ahead of the clock it did
	// not. Of several at once one does: it has both rows, in this order.
	anew: `WITH at AS (SELECT coalesce(:timeline, 0) AS timeline, :clock AS clock, :durable AS durable), journal AS (
			SELECT head FROM :heads WHERE prefix = $1 FOR UPDATE
		), due AS (
			SELECT timeline, head, CASE WHEN $2::bigint > clock + 86400000000 THEN 0 ELSE $2::bigint END AS above, clock, durable
			FROM at, journal
		), noted AS (
			INSERT INTO :heads AS t (prefix, head, previous, forgotten, marks, bytes)
			SELECT :noted, timeline, greatest(clock, head, above) + 1, head, 0, 0 FROM due
			WHERE head < above OR EXISTS (SELECT FROM :heads t WHERE t.prefix = :noted AND t.head NOT IN (0, due.timeline))
			ON CONFLICT (prefix) DO UPDATE
				SET head = excluded.head, previous = excluded.previous, forgotten = excluded.forgotten
				WHERE t.head NOT IN (0, excluded.head) OR excluded.forgotten < (SELECT above FROM due)
			RETURNING previous AS number, forgotten AS after
		), next AS (
			UPDATE :heads h SET head = number, previous = after, marks = h.marks + 1, bytes = h.bytes + length(after::text)
			FROM noted WHERE h.prefix = $1
		), made AS (
			INSERT INTO :marks (prefix, number, previous, kind, soft, name)
			SELECT $1, number, after, :begins, false, convert_to(after::text, 'UTF8') FROM noted
		)
		SELECT pg_notify('freshet_' || (:oid)::text, number || ' ' || $1), (SELECT durable FROM due) FROM noted`,
	begin: `INSERT INTO :heads (prefix, head, previous, forgotten, marks, bytes)
		SELECT $1, clock, clock, clock, 0, 0 FROM (SELECT :clock AS clock) AS c
		ON CONFLICT (prefix) DO NOTHING`,
	// The oldest $4 marks, if there are more than $2 or they have more than $3 bytes.
	forget: `WITH head AS (
			SELECT prefix FROM :heads WHERE prefix = $1 AND (marks > $2 OR bytes > $3) FOR UPDATE
		), gone AS (
			DELETE FROM :marks WHERE prefix = $1 AND number = ANY (ARRAY(
				SELECT number FROM :marks WHERE prefix = $1 AND EXISTS (SELECT FROM head) ORDER BY number LIMIT $4))
			RETURNING number, octet_length(name) AS size
		), sums AS (
			SELECT max(number) AS newest, count(*) AS marks, sum(size) AS bytes FROM gone HAVING count(*) > 0
		)
		UPDATE :heads h SET forgotten = greatest(h.forgotten, newest), marks = h.marks - sums.marks, bytes = h.bytes - sums.bytes
		FROM sums WHERE h.prefix = $1 RETURNING h.marks, h.bytes`,
}

// durable has the transaction that evaluates it survive a crash of the server, also where its
// commits do not in general: an invalidation that was acknowledged stays.
const durable = `CASE WHEN current_setting('synchronous_commit') = 'off'
	THEN set_config('synchronous_commit', 'on', true) END`

// timeline is the number of the server's timeline, or NULL on a standby.
const timeline = `CASE WHEN pg_is_in_recovery() THEN NULL ELSE
	('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END`

// noTimeline stands for the timeline of a server that does not tell it.
const noTimeline = `NULL::bigint`

// statementsFor has the statements for a table, "name" or "schema.name", and for a way to ask for
// the timeline.
func statementsFor(table, timeline string) statements {
	name := func(suffix string) string {
		return pgx.Identifier(strings.Split(table+suffix, ".")).Sanitize()
	}
	in := strings.NewReplacer(
		":values", name(""), ":marks", name("_journal"), ":heads", name("_journal_head"),
		":members", name("_journal_members"), ":lease", leaseInterval,
		":oid", "'"+name("")+"'::regclass::oid::bigint",
		":clock", "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		":timeline", "("+timeline+")", ":durable", "("+durable+")",
		":noted", "'~timeline~' || $1", ":begins", strconv.Itoa(begins),
	).Replace
	v, j, m := valueSQL, journalSQL, memberSQL
	return statements{
		table: name(""),
		get:   in(v.get), exists: in(v.exists), set: in(v.set), delete: in(v.delete),
		ttl: in(v.ttl), expire: in(v.expire),
		list: in(v.list), flush: in(v.flush), sweep: in(v.sweep), lock: in(v.lock), unlock: in(v.unlock),
		peek: in(v.peek), reclaim: in(v.reclaim), describe: in(v.describe),
		channel: in(j.channel), append: in(j.append), head: in(j.head), since: in(j.since),
		begin: in(j.begin), forget: in(j.forget), note: in(j.note), anew: in(j.anew),
		renew: in(m.renew), members: in(m.members), leave: in(m.leave),
	}
}
