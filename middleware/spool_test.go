package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// A test runs this binary again, with a folder in the environment, to have a process that is cut
// off from its journal: it answers a POST, invalidates a tag, says so, and waits to be killed.
const spoolVariable = "FRESHET_MIDDLEWARE_TEST_SPOOL"

func init() {
	folder, ok := os.LookupEnv(spoolVariable)
	if !ok {
		return
	}
	j := &lostJournal{Journal: memjournal.New()}
	j.away.Store(true)
	c := middleware.New(memstore.New(64<<20), middleware.Options{Journal: j, SpoolFolder: folder,
		Log: slog.New(slog.DiscardHandler)})
	save := c.With(policy.Policy{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRecorder()
	save.ServeHTTP(r, httptest.NewRequest("POST", "http://example.com/saved", nil))
	_, err := c.InvalidateTag(context.Background(), "pages")
	fmt.Println(r.Code, r.Header().Get("Cache-Status"), errors.Is(err, middleware.ErrUnsent))
	select {}
}

// A process that is cut off answers a POST with 200 and is killed. The next one with its folder
// sends the invalidation, and a third one, which has never heard of either, serves nothing that it
// covers.
func TestKilledWithUnsentInvalidations(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), spoolVariable+"="+folder)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	child.Process.Kill()
	child.Wait()
	if want := "200 Freshet; fwd=method; fwd-status=200; detail=unsent true\n"; line != want {
		t.Fatalf("the process says %q, %v; want %q", line, err, want)
	}
	synctest.Test(t, func(t *testing.T) {
		pages := memstore.New(64 << 20)
		defer pages.Close()
		j := memjournal.New()
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).Tag(strings.Trim(r.URL.Path, "/"))
			io.WriteString(w, "page")
		})
		third := newCacheOn(t, pages, middleware.Options{Journal: j}).With(policy.Policy{
			TTL: time.Hour})(app)
		for _, url := range []string{"/saved", "/pages", "/other"} {
			get(third, url)
			status(t, get(third, url), "hit; ttl=3600")
		}
		second := middleware.New(pages, middleware.Options{Journal: j, Log: discard,
			SpoolFolder: folder})
		synctest.Wait()
		for _, url := range []string{"/saved", "/pages"} {
			status(t, get(third, url), "fwd=uri-miss; fwd-status=200; stored")
		}
		status(t, get(third, "/other"), "hit; ttl=3600")
		if err := second.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if left, err := os.ReadDir(folder); len(left) > 0 || err != nil {
		t.Errorf("left are %v, %v", left, err)
	}
}

// At the end a process says where its unsent invalidations are, and frees them for the next one.
func TestShutdownLeavesTheSpool(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	pages := memstore.New(64 << 20)
	defer pages.Close()
	j := &lostJournal{Journal: memjournal.New()}
	log, said := logger()
	c := middleware.New(pages, middleware.Options{Journal: j, SpoolFolder: folder, Log: log})
	j.away.Store(true)
	if _, err := c.InvalidateTag(t.Context(), "pages"); !errors.Is(err, middleware.ErrUnsent) {
		t.Errorf("%v", err)
	}
	err := c.Shutdown(t.Context())
	if !errors.Is(err, middleware.ErrUnsent) || !strings.Contains(err.Error(), "spooled in "+folder) ||
		!strings.Contains(said(), "the next process with this spool sends them") {
		t.Errorf("%v, and the log says\n%s", err, said())
	}
	j.away.Store(false)
	if _, err := j.Journal.Append(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := middleware.New(pages, middleware.Options{Journal: j, SpoolFolder: folder, Log: discard})
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if marks, _, err := j.Since(t.Context(), 0); len(marks) != 1 || marks[0].Mark != tag("pages") {
		t.Errorf("the journal has %v, %v", marks, err)
	}
}

// namedJournal is one that takes nothing, and has a name.
type namedJournal struct{ *lostJournal }

func (namedJournal) JournalName() string { return "redis://one/0" }

// The files of a spool name their journal, so that two journals in one folder do not mix.
func TestSpooledForAJournal(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "spool")
	pages := memstore.New(64 << 20)
	defer pages.Close()
	j := namedJournal{&lostJournal{Journal: memjournal.New()}}
	j.away.Store(true)
	c := newCacheOn(t, pages, middleware.Options{Journal: j, SpoolFolder: folder})
	if _, err := c.InvalidateTag(t.Context(), "pages"); !errors.Is(err, middleware.ErrUnsent) {
		t.Fatal(err)
	}
	files, err := filepath.Glob(folder + "/*")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if content, err := os.ReadFile(files[0]); !strings.Contains(string(content), "redis://one/0") {
		t.Errorf("the spool has %q, %v", content, err)
	}
	j.away.Store(false)
}

// A folder that will not do is an error at the start, and none where nothing is ever spooled.
func TestASpoolFolderThatWillNotDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pages := memstore.New(64 << 20)
	defer pages.Close()
	for _, o := range []middleware.Options{{}, {Journal: memjournal.New(), ReadOnly: true}} {
		o.SpoolFolder = file
		newCacheOn(t, pages, o)
	}
	defer func() {
		want := "freshet: New: Options.SpoolFolder: " + file + " is not a folder"
		if v, _ := recover().(string); !strings.HasPrefix(v, want) {
			t.Errorf("New: %q, want %q", v, want)
		}
	}()
	newCacheOn(t, pages, middleware.Options{Journal: memjournal.New(), SpoolFolder: file})
}
