package pgreads

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A listener that has lost the database has missed what changed meanwhile: all that was read there
// goes, and nothing that is read is stored before it hears again.
func TestListenerThatWasCutOff(t *testing.T) {
	url := shopDatabase(t)
	server := testserver.SharedPostgres(t)
	proxy := testserver.Proxy(t, server.Addr)
	a := newApp(t, url, strings.Replace(url, server.Addr, proxy.Addr, 1), Options{})
	a.page("/", "SELECT name FROM product WHERE id = $1", 160)
	a.page("/other", "SELECT name FROM product WHERE id = $1", 161)
	a.stored("/", "/other")
	a.pageOf("/elsewhere", func(ctx context.Context, w io.Writer) { // as another process has stored it
		middleware.FromContext(ctx).Tag(policy.DatabaseTag(a.tracer.name))
	})

	proxy.Refuse()
	eventually(t, "the loss is noticed", func() bool { return !a.tracer.touch.Load() })
	eventually(t, "what was stored is stale", func() bool { _, hit := a.get("/"); return !hit })
	run(t, url, "UPDATE product SET name = 'new' WHERE id = 160")
	if body, _ := a.get("/"); body != "page\nnew\n" {
		t.Errorf("while nobody hears, the page is %q", body)
	}
	if _, hit := a.get("/"); hit {
		t.Error("a page was stored while nobody heard of changes")
	}
	a.stored("/elsewhere")
	proxy.Pass()
	eventually(t, "what was stored meanwhile goes", func() bool { _, hit := a.get("/elsewhere"); return !hit })
	a.stored("/")
	before := a.runs.Load()
	a.get("/other")
	if body, _ := a.get("/"); body != "page\nnew\n" || a.runs.Load() == before {
		t.Errorf("when the listener is back, the page is %q, and the other one was kept", body)
	}
	run(t, url, "UPDATE product SET name = 'newer' WHERE id = 160")
	eventually(t, "the listener hears", func() bool { body, _ := a.get("/"); return body == "page\nnewer\n" })
}

// So has one whose server has gone without a word.
func TestListenerThatHearsNothing(t *testing.T) {
	url := shopDatabase(t)
	server := testserver.SharedPostgres(t)
	proxy := testserver.Proxy(t, server.Addr)
	a := newApp(t, url, strings.Replace(url, server.Addr, proxy.Addr, 1),
		Options{checkEvery: 20 * time.Millisecond, answerIn: 500 * time.Millisecond})
	proxy.Hang()
	eventually(t, "the loss is noticed", func() bool { return !a.tracer.touch.Load() })
	proxy.Pass()
	eventually(t, "the listener is back", a.tracer.touch.Load)
}

// What a view reads may change, and a table may get another name or another key: the catalog is
// read anew, and until then what is new is taken for anything.
func TestCatalogThatChanges(t *testing.T) {
	url := database(t, `CREATE TABLE one (id int PRIMARY KEY, a int); CREATE TABLE two (id int PRIMARY KEY, a int);
		CREATE TABLE secret (id int PRIMARY KEY); ALTER TABLE two ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON two USING (id NOT IN (SELECT id FROM secret));
		CREATE VIEW v AS SELECT a FROM one; INSERT INTO one VALUES (1, 1); INSERT INTO two VALUES (1, 1)`)
	install(t, url, InstallOptions{}, "one", "secret")
	a := newApp(t, url, url, Options{})
	a.page("/view", "SELECT * FROM v")
	a.page("/policy", "SELECT * FROM two WHERE id = $1", 1)
	a.stored("/view", "/policy")
	goes := func(path, sql string) {
		t.Helper()
		a.stored(path)
		run(t, url, sql)
		eventually(t, path+" goes after "+sql, func() bool { _, hit := a.get(path); return !hit })
	}
	goes("/policy", "INSERT INTO secret VALUES (2)")
	goes("/view", "UPDATE one SET a = 2")

	run(t, url, `ALTER TABLE one RENAME TO first; ALTER TABLE first RENAME id TO key;
		CREATE OR REPLACE VIEW v AS SELECT a FROM two`)
	a.page("/renamed", "SELECT a FROM first WHERE key = $1", 1)
	goes("/renamed", "UPDATE first SET a = 3 WHERE key = 1") // which is in no catalog yet
	install(t, url, InstallOptions{}, "two")                 // has it read
	a.heard()
	goes("/view", "UPDATE two SET a = 3")
	goes("/renamed", "UPDATE first SET a = 4 WHERE key = 1")
	a.stored("/renamed")
	run(t, url, "INSERT INTO first VALUES (9)")
	a.heard()
	if _, hit := a.get("/renamed"); !hit {
		t.Error("a row of the renamed table went with another one")
	}
	run(t, url, "ALTER TABLE first ADD b int DEFAULT 7")
	goes("/renamed", `NOTIFY freshet_changes, '{"reload": true}'`)
}

// A tracer without Listen says once that changes reach no page, and what to call: not at the first
// statements, which may come before the app has begun to listen.
func TestListenThatIsNeverCalled(t *testing.T) {
	for _, c := range []struct {
		waits time.Duration
		lines int
	}{{time.Hour, 0}, {1, 1}} {
		var log bytes.Buffer
		a := newDeafApp(t, shopDatabase(t), Options{Log: slog.New(slog.NewTextHandler(&log, nil)),
			checkEvery: c.waits, Name: "shop"})
		a.page("/", "SELECT 1")
		for range 5 {
			a.get("/")
			a.cache.InvalidateURL(t.Context(), "http://example.com/")
		}
		if n := strings.Count(log.String(), "\n"); n != c.lines || a.runs.Load() != 5 ||
			n > 0 && !strings.Contains(log.String(), "go tracer.Listen(ctx, cache)") {
			t.Errorf("after %v and %d runs the log has %d lines: %s", c.waits, a.runs.Load(), n, &log)
		}
	}
}

// What comes to the channel and is no word of the trigger's means that anything may have changed.
func TestWrongNotifications(t *testing.T) {
	a := &app{tracer: &Tracer{name: "shop", log: discard}}
	for payload, want := range map[string]string{
		`{"tables": ["a", "b"], "keys": [["1"], ["2"]]}`: "*:shop:* a:1 a:* a:2 a:* b:1 b:* b:2 b:*",
		`{"tables": ["a"], "keys": [["1", "x:y"]]}`:      "*:shop:* a:1:x%3Ay a:*",
		`{"tables": ["a"]}`:                              "*:shop:* a",
		`{"tables": ["a"], "keys": [[]]}`:                "*:shop:* a",
		`{"reload": true}`:                               "",
		``:                                               "*:shop",
		`{}`:                                             "*:shop",
		`{"tables": [], "keys": [["1"]]}`:                "*:shop",
		`{"tables": "a"}`:                                "*:shop",
	} {
		if tags, _ := a.tracer.changed(payload); strings.Join(tags, " ") != want {
			t.Errorf("%s invalidates %q, want %q", payload, tags, want)
		}
	}
	q := &queue{all: "*", more: make(chan struct{}, 1)}
	for i := range 2 * maxPending {
		q.add(i == 0, time.Duration(i).String())
	}
	if tags := q.take(); len(tags) > maxPending || tags["*"] {
		t.Errorf("%d tags wait", len(tags))
	}
}

// Listen ends when its context does, also where there is no server.
func TestListenWithoutServer(t *testing.T) {
	proxy := testserver.Proxy(t, "127.0.0.1:1")
	proxy.Refuse()
	tracer := New(parseConfig(t, "postgres://a@"+proxy.Addr+"/shop"), Options{Log: discard})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		tracer.Listen(ctx)
		close(ended)
	}()
	eventually(t, "it listens", tracer.listening.Load)
	cancel()
	<-ended
}
