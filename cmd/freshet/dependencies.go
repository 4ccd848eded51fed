package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/adapters/pgreads"
	"github.com/freshet-go/freshet/store/open"
	"github.com/freshet-go/freshet/store/pgstore"
)

// dependencies are what the tables of an app's database are to announce.
type dependencies struct {
	tables   []string // nil: none of this
	database string   // a URL; empty: the store's
	remove   bool
}

// readTables reads names of tables as SQL has them, with commas between.
func readTables(text string) (tables []string, err error) {
	quoted, begin := false, 0
	for i := range len(text) + 1 {
		switch {
		case i < len(text) && text[i] == '"':
			quoted = !quoted
		case i == len(text) || text[i] == ',' && !quoted:
			name := strings.TrimSpace(text[begin:i])
			if begin = i + 1; name == "" {
				return nil, errors.New("the name of a table is empty: allowed are names as SQL " +
					`has them, with commas between (product,shop."Order"), or * for all`)
			}
			tables = append(tables, name)
		}
	}
	return tables, nil
}

// check returns an error if the flags do not go together.
func (d *dependencies) check() error {
	switch {
	case d.tables != nil:
		return nil
	case d.database != "":
		return errors.New("--database is where the tables of --dependencies are: name those, or, " +
			"for the cache's own tables, the store with --store URL")
	case d.remove:
		return errors.New("--remove goes with --dependencies, which names the tables")
	}
	return nil
}

// conn returns how pgx connects to the database, and what it is called.
func (d *dependencies) conn(store open.Choice) (conn, called string, err error) {
	url, called := d.database, "--database"
	if url == "" {
		url, called = store.URL, store.String()
	}
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return "", "", fmt.Errorf("%s is no PostgreSQL, whose tables --dependencies are for: name "+
			"the app's database with --database postgres://…", called)
	}
	c, err := pgstore.ParseURL(url)
	return c.Conn, called, err
}

// migrateDependencies has the tables announce their changes, or not any more.
func migrateDependencies(ctx context.Context, f *storeFlags, stdout io.Writer) error {
	text, called, err := f.depends.conn(f.choice)
	if err != nil {
		return badChoice{err}
	}
	conn, err := pgx.Connect(ctx, text)
	if err != nil {
		return fmt.Errorf("%s: %s", called, strings.Join(strings.Fields(err.Error()), " "))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	o := pgreads.InstallOptions{Remove: f.depends.remove, DryRun: f.dryRun}
	steps, err := pgreads.Install(ctx, conn, f.depends.tables, o)
	switch {
	case err != nil:
		return err
	case f.json:
		printJSON(stdout, migrated{f.dryRun, append([]string{}, steps...)})
	case len(steps) == 0:
		fmt.Fprintln(stdout, "nothing to do")
	}
	for _, step := range steps {
		first, _, more := strings.Cut(step, "\n")
		switch {
		case f.json:
		case f.dryRun: // for psql
			fmt.Fprintln(stdout, step+";")
		case more:
			fmt.Fprintf(stdout, "done: %s …\n", first)
		default:
			fmt.Fprintf(stdout, "done: %s\n", first)
		}
	}
	return nil
}
