package pgreads

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Install does what is missing, once, and takes it away again.
func TestInstall(t *testing.T) {
	url := database(t, `CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA s;
		CREATE TABLE s."B" (id int) PARTITION BY LIST (id);
		CREATE TABLE s.b1 PARTITION OF s."B" FOR VALUES IN (1); CREATE VIEW v AS SELECT 1;
		CREATE TABLE ours (); COMMENT ON TABLE ours IS 'Freshet: stored responses'`)
	count := func(what string, got []string, want int) {
		t.Helper()
		if len(got) != want {
			t.Errorf("%s: %d steps, want %d: %s", what, len(got), want, strings.Join(got, ";\n"))
		}
	}
	triggers := func(want int) {
		t.Helper()
		conn := connect(t, url)
		defer conn.Close(context.Background())
		var got int
		conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").Scan(&got)
		if got != want {
			t.Errorf("there are %d triggers, want %d", got, want)
		}
	}
	count("a dry run", install(t, url, InstallOptions{DryRun: true}, "a", `s."B"`), 2+3*8)
	triggers(0)
	count("the first", install(t, url, InstallOptions{}, "a"), 2+8)
	count("again", install(t, url, InstallOptions{}, "a"), 0)
	count("all", install(t, url, InstallOptions{}, EachTable), 2*8)
	triggers(12)
	run(t, url, `DROP TRIGGER freshet_truncate ON a; ALTER TABLE s."B" DISABLE TRIGGER freshet_insert;
		CREATE OR REPLACE FUNCTION freshet.changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`)
	count("what is missing", install(t, url, InstallOptions{}, EachTable), 1+2+1)
	count("remove one", install(t, url, InstallOptions{Remove: true}, "a"), 4)
	count("remove all", install(t, url, InstallOptions{Remove: true}, EachTable), 8+2)
	count("remove all again", install(t, url, InstallOptions{Remove: true}, EachTable), 0)
	triggers(0)

	conn := connect(t, url)
	defer conn.Close(context.Background())
	for name, want := range map[string]string{
		"v": "v is no table", "c": "there is no table c", "a; DROP TABLE a": "a; DROP TABLE a",
		`"`: `table "`, "": "table",
	} {
		if _, err := Install(t.Context(), conn, []string{"a", name}, InstallOptions{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("install on %q: %v", name, err)
		}
	}
	triggers(0)
}

// What a statement changes is announced at most once, in at most 8000 bytes, when it is committed;
// and nothing fails for it.
func TestNotifications(t *testing.T) {
	url := database(t, `CREATE TABLE a (id text PRIMARY KEY, n int DEFAULT 0); CREATE TABLE nokey (n int);
		CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE other_parent (id2 int);
		CREATE TABLE child (n int PRIMARY KEY) INHERITS (parent, other_parent)`)
	install(t, url, InstallOptions{}, "a", "nokey", "parent", "other_parent")
	listener, writer := connect(t, url), connect(t, url)
	defer listener.Close(context.Background())
	defer writer.Close(context.Background())
	if _, err := listener.Exec(t.Context(), "LISTEN freshet_changes; LISTEN ends"); err != nil {
		t.Fatal(err)
	}
	const rows = "INSERT INTO a SELECT 'r' || i FROM generate_series(1, %d) i"
	for _, k := range []struct{ sql, want string }{
		{"INSERT INTO a VALUES ('x'), ('y')", `{"keys": [["x"], ["y"]], "tables": ["a"]}`},
		{"UPDATE a SET id = 'z' WHERE id = 'y'", `{"keys": [["y"], ["z"]], "tables": ["a"]}`},
		{"UPDATE a SET n = 1 WHERE id = 'none'", ""},
		{"BEGIN; DELETE FROM a; ROLLBACK", ""},
		{"DELETE FROM a", `{"keys": [["x"], ["z"]], "tables": ["a"]}`},
		{fmt.Sprintf(rows, 65), `{"tables": ["a"]}`},
		{"UPDATE a SET n = 2 WHERE id <> 'r1'", "64"},
		{"UPDATE a SET n = 2", `{"tables": ["a"]}`},
		{"TRUNCATE a", `{"tables": ["a"]}`},
		{"INSERT INTO a VALUES (repeat('l', 2000)), (repeat('m', 2600))", "2"},
		{"INSERT INTO a SELECT repeat(chr(64 + i), 2000) FROM generate_series(1, 5) i", `{"tables": ["a"]}`},
		{"INSERT INTO nokey VALUES (1)", `{"tables": ["nokey"]}`},
		{"DELETE FROM nokey WHERE n = 2", ""},
		{"INSERT INTO child VALUES (1, 2, 3)", `{"keys": [["3"]], "tables": ["other_parent", "parent"]}`},
		{"SET session_replication_role = replica; INSERT INTO nokey VALUES (3); RESET session_replication_role",
			`{"tables": ["nokey"]}`},
		{"SET search_path = pg_temp; DELETE FROM public.nokey; RESET search_path", `{"tables": ["nokey"]}`},
		{"TRUNCATE a; DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO a VALUES (i); END LOOP; END $$", "101"},
	} {
		if _, err := writer.Exec(t.Context(), k.sql+"; NOTIFY ends"); err != nil {
			t.Fatalf("%s: %v", k.sql, err)
		}
		var got []string
		for {
			n, err := listener.WaitForNotification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n.Channel == "ends" {
				break
			}
			got = append(got, n.Payload)
		}
		all := strings.Join(got, "\n")
		if keys := strings.Count(all, `["`) - strings.Count(all, `"tables"`); all != k.want &&
			fmt.Sprint(keys) != k.want && fmt.Sprint(len(got)) != k.want {
			t.Errorf("%s announces %q, want %q", k.sql, got, k.want)
		}
	}
}

// Install does not wait for long for who uses a table.
func TestInstallOnATableInUse(t *testing.T) {
	url := database(t, "CREATE TABLE a (id int PRIMARY KEY)")
	user, conn := connect(t, url), connect(t, url)
	defer conn.Close(context.Background())
	defer user.Close(context.Background())
	if _, err := user.Exec(t.Context(), "BEGIN; INSERT INTO a VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lockTimeout = "10ms"
	defer func() { lockTimeout = "3s" }()
	if _, err := Install(ctx, conn, []string{"a"}, InstallOptions{}); err == nil || !strings.Contains(err.Error(),
		"lock timeout") {
		t.Errorf("install on a table in use: %v", err)
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regnamespace('freshet') IS NOT NULL").Scan(&there); err != nil || there {
		t.Errorf("a half of it is left: %t, %v", there, err)
	}
}
