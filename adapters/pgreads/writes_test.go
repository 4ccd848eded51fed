package pgreads

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Random writes by two other programs: each page that read a changed row goes, and no other.
// FRESHET_TEST_SOAK has it make 10,000.
func TestRandomWrites(t *testing.T) {
	url := database(t, `CREATE TABLE item (id int PRIMARY KEY, version int NOT NULL DEFAULT 0);
		CREATE TABLE part (item int, number int, version int NOT NULL DEFAULT 0, PRIMARY KEY (item, number));`)
	install(t, url, InstallOptions{}, EachTable)
	a := newApp(t, url, url, Options{})
	writes, seed := 150, rand.Uint64()
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		writes = 10_000
	}
	w := &writer{t: t, app: a, random: rand.New(rand.NewPCG(seed, 0)),
		others: []*pgx.Conn{connect(t, url), connect(t, url)}}
	t.Log("seed", seed)
	for _, conn := range w.others {
		defer conn.Close(context.Background())
	}
	w.addPages()
	for range writes {
		w.write()
	}
	slices.Sort(w.gone)
	p99 := w.gone[len(w.gone)*99/100]
	t.Logf("%d writes: gone in %v (median), %v (p99), %v (worst); %d pages purged, %d missed, %d too many",
		writes, w.gone[len(w.gone)/2], p99, w.gone[len(w.gone)-1], w.purged, w.missed, w.over)
	if w.missed > 0 || 20*w.over > w.purged {
		t.Error("want none missed, and at most 5% too many")
	}
}

// items is how many rows each table has keys for.
const items = 16

type writer struct {
	t      *testing.T
	app    *app
	random *rand.Rand
	others []*pgx.Conn

	pages                map[string][]string // what each reads, as table:key
	gone                 []time.Duration
	purged, missed, over int
}

func (w *writer) addPages() {
	w.pages = make(map[string][]string)
	add := func(path string, reads []string, sql string, args ...any) {
		w.app.page(path, sql, args...)
		w.pages[path] = reads
	}
	var all []string
	for i := range items {
		item, part := fmt.Sprint("item:", i), fmt.Sprint("part:", i/4, ":", i%4)
		all = append(all, item)
		add(fmt.Sprint("/item/", i), []string{item}, "SELECT * FROM item WHERE id = $1", i)
		add(fmt.Sprint("/part/", i), []string{part}, "SELECT version FROM part p WHERE p.item = $1 AND number = $2",
			i/4, i%4)
		add(fmt.Sprint("/two/", i), []string{item, fmt.Sprint("item:", (i+1)%items)},
			"SELECT * FROM item WHERE id = ANY($1) ORDER BY id", []int{i, (i + 1) % items})
	}
	add("/all", all, "SELECT * FROM item ORDER BY id")
	for path := range w.pages {
		w.app.stored(path)
	}
}

// write makes a random change, and looks at all pages.
func (w *writer) write() {
	w.t.Helper()
	sql, changed := w.change()
	other := w.others[w.random.IntN(2)]
	if _, err := other.Exec(context.Background(), sql); err != nil {
		w.t.Fatal(sql, err)
	}
	committed := time.Now()
	depends := func(path string) bool {
		return slices.ContainsFunc(w.pages[path], func(read string) bool { return slices.Contains(changed, read) })
	}
	for path := range w.pages {
		for depends(path) && w.isThere(path) {
			if time.Since(committed) > 20*time.Second {
				w.t.Logf("%s is there after %s", path, sql)
				w.missed++
				break
			}
			time.Sleep(20 * time.Microsecond)
		}
	}
	w.gone = append(w.gone, time.Since(committed))
	for path := range w.pages {
		switch _, hit := w.app.get(path); {
		case depends(path):
			w.purged++
		case !hit:
			w.t.Logf("%s is gone after %s", path, sql)
			w.over++
			w.purged++
		}
	}
}

// isThere reports whether a page is stored and may be used.
func (w *writer) isThere(path string) bool {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Cache-Control", "only-if-cached")
	answer := httptest.NewRecorder()
	w.app.ServeHTTP(answer, r)
	return answer.Code == http.StatusOK
}

// change returns SQL, and the rows that it changes.
func (w *writer) change() (sql string, rows []string) {
	i, n := w.random.IntN(items), 1+w.random.IntN(3)
	for k := i; k < min(i+n, items); k++ {
		rows = append(rows, fmt.Sprint("item:", k))
	}
	switch w.random.IntN(6) {
	case 0:
		return fmt.Sprintf(`INSERT INTO part VALUES (%d, %d) ON CONFLICT (item, number)
			DO UPDATE SET version = part.version + 1`, i/4, i%4), []string{fmt.Sprint("part:", i/4, ":", i%4)}
	case 1:
		return fmt.Sprintf(`INSERT INTO item SELECT generate_series(%d, %d) ON CONFLICT (id)
			DO UPDATE SET version = item.version + 1`, i, min(i+n, items)-1), rows
	case 2:
		return fmt.Sprintf("WITH d AS (DELETE FROM item WHERE id = %d RETURNING *) SELECT * FROM d", i),
			w.ifThere(i)
	case 3:
		return fmt.Sprintf(`BEGIN; INSERT INTO item VALUES (%d) ON CONFLICT DO NOTHING; SAVEPOINT s;
			DELETE FROM item; ROLLBACK TO s; UPDATE item SET version = version + 1 WHERE id = %[1]d; COMMIT`,
			i), rows[:1]
	case 4:
		return "TRUNCATE part", w.all("part:", 4)
	}
	return fmt.Sprintf("BEGIN; UPDATE item SET version = version + 1 WHERE id = %d; ROLLBACK", i), nil
}

// all returns the rows that there may be in a table, with so many for each first column.
func (w *writer) all(table string, each int) (rows []string) {
	for i := range items {
		rows = append(rows, fmt.Sprint(table, i/each, ":", i%each))
	}
	return rows
}

// ifThere returns the row of an item, if there is one.
func (w *writer) ifThere(id int) (rows []string) {
	w.t.Helper()
	var there bool
	if err := w.others[0].QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM item WHERE id = $1)", id).
		Scan(&there); err != nil {
		w.t.Fatal(err)
	}
	if there {
		rows = []string{fmt.Sprint("item:", id)}
	}
	return rows
}
