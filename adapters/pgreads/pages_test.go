package pgreads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
)

const shop = `
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, price int NOT NULL DEFAULT 1);
CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	product int REFERENCES product ON DELETE CASCADE);
CREATE TABLE article (slug text PRIMARY KEY, body text);
CREATE TABLE session (token uuid PRIMARY KEY, seen int DEFAULT 0);
CREATE TABLE line (sale int, number int, note text, PRIMARY KEY (sale, number));
CREATE TABLE price (day date PRIMARY KEY, value int);
CREATE TABLE log (message text);
CREATE TABLE event (at int, id int, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20);
CREATE TABLE base (id int PRIMARY KEY, n int);
CREATE TABLE heir (code int PRIMARY KEY) INHERITS (base);
CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE word (name text COLLATE folded PRIMARY KEY, n int);
CREATE TABLE "Odd ""table""" ("the key" int PRIMARY KEY, a int);
CREATE VIEW cheap AS SELECT * FROM product WHERE price < 5;
CREATE VIEW cheaper AS SELECT * FROM cheap WHERE price < 3;
CREATE FUNCTION best() RETURNS SETOF product LANGUAGE sql STABLE AS 'SELECT * FROM product ORDER BY price LIMIT 1';
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * a';
CREATE FUNCTION total(p product) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM sale WHERE product = p.id';
CREATE VIEW hidden AS SELECT * FROM best();
INSERT INTO product SELECT i, 'product ' || i FROM generate_series(1, 200) i;
INSERT INTO sale (product) VALUES (1), (2);
INSERT INTO article VALUES ('a', 'one'), ('A', 'two');
INSERT INTO session VALUES ('00000000-0000-0000-0000-0000000000aa'), ('00000000-0000-0000-0000-0000000000bb');
INSERT INTO line VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z');
INSERT INTO price VALUES ('2026-01-01', 1), ('2026-01-02', 1);
INSERT INTO heir VALUES (1, 0, 5), (2, 0, 6);
INSERT INTO word VALUES ('abc', 0);
INSERT INTO event VALUES (1, 1), (11, 2);
INSERT INTO "Odd ""table""" VALUES (1), (2);
`

var shopTables = []string{"product", "sale", "article", "session", "line", "price", "log", "event",
	"base", "word", `"Odd ""table"""`}

// Pages go when what they read has changed, by whichever statement, and when nothing else has.
func TestPagesGoWithTheirRows(t *testing.T) {
	url := shopDatabase(t)
	a := newApp(t, url, url, Options{Also: map[string][]string{"hidden": {"product"}}})
	other := connect(t, url)
	defer other.Close(context.Background())
	args := func(all ...any) []any { return all }
	const byID = "SELECT * FROM product WHERE id = $1"
	pages := map[string]struct {
		sql  string
		args []any
		goes []string // statements after which it goes; each is undone by itself or by the next
		stay []string
	}{
		"a row": {byID, args(42),
			[]string{"UPDATE product SET price = price + 1 WHERE id = 42", "DELETE FROM product WHERE id = 42",
				"INSERT INTO product VALUES (42, 'anew')", "UPDATE product SET id = 1042 WHERE id = 42",
				"UPDATE product SET id = 42 WHERE id = 1042", "UPDATE product SET price = price + 1",
				"INSERT INTO product VALUES (42, '') ON CONFLICT (id) DO UPDATE SET price = 0",
				"UPDATE product SET name = name WHERE id < 50"},
			[]string{"UPDATE product SET price = price + 1 WHERE id = 43", "SELECT 1",
				"UPDATE product SET id = 42 WHERE false",
				"DELETE FROM sale WHERE product = 2"}},
		"a row, by another type": {byID, args("42"), []string{"UPDATE product SET price = 2 WHERE id = 42"}, nil},
		"a row, by an alias": {
			"SELECT p.name FROM public.product AS p WHERE p.price > 0 AND p.id = $1 ORDER BY 1",
			args(int64(42)),
			[]string{"UPDATE product SET price = 3 WHERE id = 42"},
			[]string{"UPDATE product SET price = 3 WHERE id = 43"},
		},
		"a row, by a named value": {
			"SELECT * FROM product WHERE id = @id",
			args(pgx.NamedArgs{"id": 42}),
			[]string{"UPDATE product SET price = 4 WHERE id = 42"},
			[]string{"UPDATE product SET price = 4 WHERE id = 43"},
		},
		"rows": {
			"SELECT * FROM product WHERE id = ANY($1)",
			args([]int32{41, 42}),
			[]string{"UPDATE product SET price = 5 WHERE id = 42"},
			[]string{"UPDATE product SET price = 5 WHERE id = 43"},
		},
		"more rows": {
			"SELECT * FROM product WHERE id IN ($1, 42)",
			args(41),
			[]string{"UPDATE product SET price = 6 WHERE id = 42"},
			[]string{"UPDATE product SET price = 6 WHERE id = 43"},
		},
		"a row by its text": {
			"SELECT * FROM article WHERE slug = $1",
			args("a"),
			[]string{"UPDATE article SET body = '' WHERE slug = 'a'"},
			[]string{"UPDATE article SET body = '' WHERE slug = 'A'"},
		},
		"a row by its UUID": {
			"SELECT * FROM session WHERE token = $1",
			args("00000000-0000-0000-0000-0000000000AA"),
			[]string{"UPDATE session SET seen = 1 WHERE token = '00000000-0000-0000-0000-0000000000aa'"},
			[]string{"UPDATE session SET seen = 1 WHERE token = '00000000-0000-0000-0000-0000000000bb'"},
		},
		"a row by its bytes": {
			"SELECT * FROM session WHERE token = $1",
			args([16]byte{15: 0xaa}),
			[]string{"UPDATE session SET seen = 1 WHERE token = '00000000-0000-0000-0000-0000000000aa'"},
			[]string{"UPDATE session SET seen = 1 WHERE token = '00000000-0000-0000-0000-0000000000bb'"},
		},
		"a row by two columns": {
			"SELECT * FROM line WHERE number = $2 AND sale = $1",
			args(1, 2),
			[]string{"UPDATE line SET note = '' WHERE sale = 1 AND number = 2"},
			[]string{"UPDATE line SET note = '' WHERE sale = 1 AND number = 1"},
		},
		"rows by half a key": {
			"SELECT * FROM line WHERE sale = $1",
			args(1),
			[]string{"UPDATE line SET note = '' WHERE sale = 2"},
			nil,
		},
		"a row by a date": {
			"SELECT * FROM price WHERE day = $1",
			args("2026-01-01"),
			[]string{"UPDATE price SET value = 2 WHERE day = '2026-01-01'"},
			nil,
		},
		"an odd name": {
			`SELECT * FROM "Odd ""table""" WHERE "the key" = $1`,
			args(1),
			[]string{`UPDATE "Odd ""table""" SET a = 1 WHERE "the key" = 1`},
			[]string{`UPDATE "Odd ""table""" SET a = 1 WHERE "the key" = 2`},
		},
		"a table without a key": {
			"SELECT * FROM log",
			nil,
			[]string{"INSERT INTO log VALUES ('a')", "TRUNCATE log"},
			[]string{"DELETE FROM log WHERE false"},
		},
		"a list": {
			"SELECT * FROM product ORDER BY price LIMIT 3",
			nil,
			[]string{"UPDATE product SET price = 7 WHERE id = 43"},
			[]string{"INSERT INTO log VALUES ('b')"},
		},
		"a cascade": {
			"SELECT * FROM sale WHERE id = 1",
			nil,
			[]string{"DELETE FROM product WHERE id = 1"},
			nil,
		},
		"a view of a view": {
			"SELECT * FROM cheaper",
			nil,
			[]string{"UPDATE product SET price = 8 WHERE id = 43"},
			[]string{"INSERT INTO log VALUES ('c')"},
		},
		"a function": {
			"SELECT * FROM best()",
			nil,
			[]string{"UPDATE product SET price = 9 WHERE id = 43", "INSERT INTO log VALUES ('d')"},
			nil,
		},
		"what is like a column": {
			"SELECT p.total FROM product p WHERE id = $1",
			args(42),
			[]string{"INSERT INTO sale (product) VALUES (42)"},
			nil,
		},
		"a function that reads nothing": {
			"SELECT twice(id), lower(name), coalesce(price, 0) FROM product WHERE id = $1",
			args(42),
			[]string{"UPDATE product SET price = 10 WHERE id = 42"},
			[]string{"UPDATE product SET price = 10 WHERE id = 43"},
		},
		"a view that hides a table": {
			"SELECT * FROM hidden",
			nil,
			[]string{"UPDATE product SET price = 11 WHERE id = 43"},
			nil,
		},
		"a partitioned table": {
			"SELECT * FROM event WHERE id = $1 AND at = $2",
			args(1, 1),
			[]string{"UPDATE event_1 SET note = 'a'", "UPDATE event SET note = 'b' WHERE id = 1"},
			[]string{"UPDATE event_2 SET note = 'a'"},
		},
		"what another table inherits": {
			"SELECT * FROM base WHERE id = $1",
			args(1),
			[]string{"UPDATE heir SET n = 1 WHERE code = 5"},
			nil,
		},
		"a word in another case": {
			"SELECT * FROM word WHERE name = $1",
			args("ABC"),
			[]string{"UPDATE word SET n = 1"},
			nil,
		},
		"a partition": {
			"SELECT * FROM event_1",
			nil,
			[]string{"UPDATE event SET note = 'c' WHERE id = 1"},
			nil,
		},
		"what cannot be read": {"EXPLAIN SELECT 1", nil, []string{"INSERT INTO log VALUES ('e')"}, nil},
		"what PostgreSQL has": {
			"SELECT count(*) FROM pg_class",
			nil,
			nil,
			[]string{"INSERT INTO log VALUES ('f')"},
		},
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			path := "/page"
			a.page(path, page.sql, page.args...)
			for _, statement := range append(page.stay, page.goes...) {
				a.stored(path)
				runIn(t, other, statement)
				a.heard()
				_, stayed := a.get(path)
				if want := len(page.stay) > 0; stayed != want {
					t.Errorf("%s: stayed: %t, want %t", statement, stayed, want)
				}
				if len(page.stay) > 0 {
					page.stay = page.stay[1:]
				}
			}
			a.cache.InvalidateAll(t.Context())
		})
	}
}

// Statements that go by a name, in batches, in a transaction, or through database/sql count as well;
// those whose context says Ignore do not.
func TestWaysToRead(t *testing.T) {
	url := shopDatabase(t)
	a := newApp(t, url, url, Options{})
	const byID = "SELECT name FROM product WHERE id = $1"
	ways := map[string]func(ctx context.Context, conn *pgx.Conn) error{
		"prepared": func(ctx context.Context, conn *pgx.Conn) error {
			if _, err := conn.Prepare(ctx, "by id", byID); err != nil {
				return err
			}
			return conn.QueryRow(ctx, "by id", 42).Scan(new(string))
		},
		"prepared-once": func(ctx context.Context, conn *pgx.Conn) error {
			if _, err := conn.Prepare(ctx, "get", byID); err != nil {
				return err
			}
			if _, err := conn.Prepare(ctx, "get", "SELECT body FROM article WHERE slug = $1"); err == nil {
				return errors.New("a name was given twice")
			}
			return conn.QueryRow(ctx, "get", 42).Scan(new(string))
		},
		"batch": func(ctx context.Context, conn *pgx.Conn) error {
			b := &pgx.Batch{}
			b.Queue("SELECT 1")
			b.Queue(byID, 42)
			return conn.SendBatch(ctx, b).Close()
		},
		"transaction": func(ctx context.Context, conn *pgx.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				return tx.QueryRow(ctx, byID, 42).Scan(new(string))
			})
		},
		"simple": func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(ctx, byID, pgx.QueryExecModeSimpleProtocol, 42).Scan(new(string))
		},
		"ignored": func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(Ignore(ctx), byID, 42).Scan(new(string))
		},
	}
	for name, way := range ways {
		a.pageOf("/"+name, func(ctx context.Context, w io.Writer) {
			conn, err := a.pool.Acquire(ctx)
			if err == nil {
				err = way(ctx, conn.Conn())
				conn.Release()
			}
			if err != nil {
				panic(err)
			}
		})
		a.stored("/" + name)
	}
	check := func(change string, stay bool) {
		t.Helper()
		run(t, url, change)
		a.heard()
		for name := range ways {
			if _, hit := a.get("/" + name); hit != (stay || name == "ignored") {
				t.Errorf("%s after %s: %t", name, change, hit)
			}
		}
	}
	check("UPDATE product SET price = 2 WHERE id = 43", true)
	check("UPDATE product SET price = 2 WHERE id = 42", false)
}

// What pgx prepares for its own cache is not remembered: an app that writes values into its SQL has
// another text each time.
func TestStatementsOfPgxCacheAreNotRemembered(t *testing.T) {
	config, err := pgx.ParseConfig(shopDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	New(config, Options{})
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	remembered := func() int {
		names, _ := conn.PgConn().CustomData()[prepared].(map[string]string)
		return len(names)
	}
	for i := range 10 {
		sql := fmt.Sprintf("SELECT count(*) FROM product WHERE price = %d", i)
		if err := conn.QueryRow(t.Context(), sql).Scan(new(int)); err != nil {
			t.Fatal(err)
		}
	}
	if n := remembered(); n > 0 {
		t.Errorf("%d texts are remembered", n)
	}
	if _, err := conn.Prepare(t.Context(), "count", "SELECT count(*) FROM product"); err != nil {
		t.Fatal(err)
	}
	if n := remembered(); n != 1 {
		t.Errorf("%d texts are remembered, want the one that has a name", n)
	}
}

// A page that has read a row before its change, and is stored after everybody has heard of that, is
// not used.
func TestPageThatIsStoredAfterTheNotification(t *testing.T) {
	url := shopDatabase(t)
	a := newApp(t, url, url, Options{})
	late, read, goOn := true, make(chan struct{}), make(chan struct{})
	a.pageOf("/", func(ctx context.Context, w io.Writer) {
		a.query(ctx, w, "SELECT name FROM product WHERE id = $1", 150)
		if late {
			late = false
			close(read)
			<-goOn
		}
	})
	done := make(chan string)
	go func() {
		body, _ := a.get("/")
		done <- body
	}()
	<-read
	run(t, url, "UPDATE product SET name = 'new' WHERE id = 150")
	a.heard()
	close(goOn)
	if body := <-done; body != "page\nproduct 150\n" {
		t.Errorf("the first reader got %q", body)
	}
	for i, hit := range []bool{false, true} {
		if body, got := a.get("/"); body != "page\nnew\n" || got != hit {
			t.Errorf("reader %d got %q, hit %t", i+2, body, got)
		}
	}
}
