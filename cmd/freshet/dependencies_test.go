package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// migratesDependencies has tables of a database announce their changes, and not any more. The
// database is the store as well.
func migratesDependencies(t *testing.T, url string) {
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	const tables = `CREATE TABLE product (id int PRIMARY KEY); CREATE TABLE "a,b" (id int PRIMARY KEY)`
	if _, err := conn.Exec(t.Context(), tables); err != nil {
		t.Fatal(err)
	}
	named := func(args ...string) []string {
		return append([]string{"migrate", "--dependencies", `product, public."a,b"`}, args...)
	}
	here := []string{"--database", url}
	const last = `ALTER TABLE public."a,b" ENABLE ALWAYS TRIGGER freshet_truncate`
	says(t, exitOK, last+";\n", nil, named("--dry-run", "--database", url)...)
	says(t, exitOK, "done: "+last+"\n", nil, named("--store", url+"&pool_size=3")...)
	says(t, exitOK, "nothing to do", nil, named(here...)...)
	says(t, exitOK, `"steps": []`, nil, named("--json", "--database", url)...)
	says(t, exitOK, "nothing to do", nil, append([]string{"migrate", "--dependencies", "*"}, here...)...)
	says(t, exitOK, "done: DROP SCHEMA freshet", nil, append(named(here...), "--remove")...)
	_, script, _ := runs(t, nil, named("--dry-run", "--database", url)...)
	if _, err := conn.Exec(t.Context(), script); err != nil {
		t.Errorf("what a dry run prints is no script: %v", err)
	}
	says(t, exitOK, "nothing to do", nil, named(here...)...)
	says(t, exitFailed, "there is no table orders", nil, append([]string{"migrate", "--dependencies",
		"orders"}, here...)...)
}

func TestDependenciesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		said string
		args []string
	}{
		{"is no PostgreSQL", []string{"--dependencies", "a", "--store", "redis://:secret@h"}},
		{"is no PostgreSQL", []string{"--dependencies", "a", "--database", "mysql://u:secret@h"}},
		{"the name of a table is empty", []string{"--dependencies", "a,,b"}},
		{"the name of a table is empty", []string{"--dependencies", ""}},
		{"--dependencies", []string{"--database", "postgres://u:secret@h/a"}},
		{"--remove goes with --dependencies", []string{"--remove"}},
		{"pool_sise", []string{"--dependencies", "a", "--database", "postgres://u:secret@h/a?pool_sise=3"}},
	} {
		says(t, exitUsage, c.said, nil, append([]string{"migrate"}, c.args...)...)
	}
	says(t, exitFailed, "--database: ", nil, "migrate", "--dependencies", "a", "--database",
		"postgres://u:secret@127.0.0.1:1/a?sslmode=disable")
}

func TestReadTables(t *testing.T) {
	for text, want := range map[string]string{
		"a": "a", " a , b.c ": "a|b.c", `"a,b",c`: `"a,b"|c`, `"a"",b"`: `"a"",b"`, "*": "*", `"a,b`: `"a,b`,
		"": "?", "a,": "?", ",a": "?", "a, ,b": "?",
	} {
		tables, err := readTables(text)
		if err != nil {
			tables = []string{"?"}
		}
		if !slices.Equal(tables, strings.Split(want, "|")) {
			t.Errorf("%q names %q, want %q", text, tables, want)
		}
	}
}
