package servertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// nextVersion is a backend as the next version would use it, with a format of entries of its own:
// it reads those of today as well. It counts what is removed.
type nextVersion struct {
	store.Backend
	later   bool
	removed *atomic.Int64
}

// versionAt is where an entry's version is.
const versionAt = 4

func (b nextVersion) Unwrap() any { return b.Backend }

func (b nextVersion) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := b.Backend.Get(ctx, key)
	if b.later && len(value) > versionAt && value[versionAt] == 3 {
		value[versionAt] = 2
	}
	return value, err
}

func (b nextVersion) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		b.removed.Add(1)
	}
	if b.later && len(value) > versionAt {
		value = bytes.Clone(value)
		value[versionAt]++
	}
	return b.Backend.Set(ctx, key, value, ttl)
}

func (b nextVersion) Delete(ctx context.Context, key string) (bool, error) {
	b.removed.Add(1)
	return b.Backend.Delete(ctx, key)
}

// rollOut is two processes, one of this version and one of the next, over one store.
type rollOut struct {
	t       *testing.T
	stores  []*open.Store // of this version, and of the next
	caches  []*middleware.Cache
	pages   []http.Handler
	content atomic.Int64 // what the handlers answer
	runs    atomic.Int64
	removed atomic.Int64
	begun   store.Numbered
}

const (
	now, next  = 0, 1
	manyPages  = 4
	tagOfPages = "pages"
)

func newRollOut(t *testing.T, rawURL string) *rollOut {
	r := &rollOut{t: t}
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.runs.Add(1)
		fmt.Fprint(w, q.URL.Path, " ", r.content.Load())
	})
	for at := range 2 {
		s, err := open.URL(t.Context(), rawURL, open.Options{Guard: patient, Log: quiet,
			Wrap: func(b store.Backend) store.Backend { return nextVersion{b, at == next, &r.removed} }})
		if err != nil {
			t.Fatal(err)
		}
		c := middleware.New(s, middleware.Options{StoreTimeout: time.Minute, Log: quiet})
		t.Cleanup(func() {
			if err := c.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			s.Close()
		})
		r.stores, r.caches = append(r.stores, s), append(r.caches, c)
		r.pages = append(r.pages, c.With(policy.Policy{TTL: time.Hour, MaxWait: time.Minute,
			Tags: []string{tagOfPages}})(handler))
	}
	marks, _, err := r.stores[now].Journal().Since(t.Context(), 0)
	if err != nil || len(marks) == 0 {
		t.Fatalf("the journal begins with %v, %v", marks, err)
	}
	r.begun = marks[0]
	return r
}

// ask asks a process for a page, whose answer must not be older than the question.
func (r *rollOut) ask(process, page int) {
	r.t.Helper()
	least, path := r.content.Load(), fmt.Sprint("/", page)
	w := httptest.NewRecorder()
	r.pages[process].ServeHTTP(w, httptest.NewRequest("GET", "http://a.example"+path, nil))
	name, number, _ := strings.Cut(w.Body.String(), " ")
	if n, err := strconv.ParseInt(number, 10, 64); name != path || err != nil || n < least {
		r.t.Errorf("process %d answers %q for %s, and the cache says %q; want content %d or newer", process,
			w.Body, path, w.Header()["Cache-Status"], least)
	}
}

// round asks processes for all pages, one after the other.
func (r *rollOut) round(processes ...int) {
	r.t.Helper()
	for page := range manyPages {
		for _, p := range processes {
			r.ask(p, page)
		}
	}
}

// wantRuns holds the number of runs since the last call within bounds, for each page.
func (r *rollOut) wantRuns(after string, least, most int64) {
	r.t.Helper()
	if n := r.runs.Swap(0); n < least*manyPages || n > most*manyPages {
		r.t.Errorf("%s: the handler ran %d times for %d pages, want %d to %d for each", after, n, manyPages,
			least, most)
	}
}

// purge has a process invalidate the pages, and waits until both know.
func (r *rollOut) purge(process int) {
	r.t.Helper()
	r.content.Add(1)
	receipt, err := r.caches[process].InvalidateTag(r.t.Context(), tagOfPages)
	if err == nil {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		err = receipt.Wait(ctx)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// Processes of two versions share a store while one takes the place of the other: all answers are
// right, purges of either cover both, nobody removes what the other has stored, the journal goes
// on, and after two runs for each page all are hits.
func TestTwoVersionsShareAStore(t *testing.T) {
	for name, server := range sharedServers(t) {
		t.Run(name, func(t *testing.T) {
			rawURL, appendLater := server(t)
			r := newRollOut(t, rawURL)
			r.round(next)
			r.wantRuns("the next version fills", 1, 1)
			r.round(now)
			r.wantRuns("this version reads what it does not know", 1, 1)
			r.round(next, now)
			r.round(now, next)
			r.wantRuns("both have found each other", 0, 0)

			for _, process := range []int{now, next} {
				r.purge(process)
				r.round(now, next)
				r.wantRuns("a purge, and this version fills", 1, 1)
				r.purge(process)
				r.round(next, now, next)
				r.wantRuns("a purge, and the next version fills", 2, 2)
			}

			later := appendLater(t, r.stores[next].Prefix)
			r.purge(next) // by whose receipt both have seen the mark
			r.runs.Store(0)
			var clients sync.WaitGroup
			for i := range 24 {
				clients.Go(func() {
					for page := range manyPages {
						r.ask(i%2, (page+i)%manyPages)
					}
				})
			}
			clients.Wait()
			r.round(now)
			r.wantRuns("many clients at once", 1, 4)
			r.round(next, now)
			r.wantRuns("all is found", 0, 0)

			if n := r.removed.Load(); n > 0 {
				t.Errorf("%d values were removed", n)
			}
			// Memcached's journal says of a record that it does not know that all before is
			// forgotten.
			marks, _, err := r.stores[now].Journal().Since(t.Context(), 0)
			marks = slices.DeleteFunc(marks, func(m store.Numbered) bool {
				return m.Mark != store.Mark{Kind: store.MarkEverything} || m.Number == r.begun.Number
			})
			if err != nil || len(marks) != 1 || marks[0].Number != later {
				t.Errorf("the marks %+v cover everything, %v; want that of the later version, %d, alone: "+
					"the journal began anew", marks, err, later)
			}
		})
	}
}

// sharedServers have a URL of a store for two processes, with no near tier, and what appends a mark
// of a later version to its journal.
func sharedServers(t *testing.T) map[string]func(*testing.T) (string, func(*testing.T, string) uint64) {
	url := func(s *testserver.Server) string {
		join := "?"
		if strings.Contains(s.URL, "?") {
			join = "&"
		}
		return s.URL + join + fmt.Sprintf("near=0&prefix=versions-%d:&timeout=1m&dial_timeout=1m", prefixes.Add(1))
	}
	return map[string]func(*testing.T) (string, func(*testing.T, string) uint64){
		"files": func(t *testing.T) (string, func(*testing.T, string) uint64) {
			folder := t.TempDir()
			return "file://" + folder + "?near=0", func(t *testing.T, prefix string) uint64 {
				return laterInFile(t, folder+"/~journals", prefix)
			}
		},
		"redis": func(t *testing.T) (string, func(*testing.T, string) uint64) {
			s := testserver.SharedRedis(t)
			return url(s), func(t *testing.T, prefix string) uint64 { return laterInRedis(t, s, prefix) }
		},
		"postgresql": func(t *testing.T) (string, func(*testing.T, string) uint64) {
			s := testserver.SharedPostgres(t)
			rawURL := url(s)
			migrated(t, rawURL)
			return rawURL, func(t *testing.T, prefix string) uint64 { return laterInPostgres(t, s, prefix) }
		},
		"memcached": func(t *testing.T) (string, func(*testing.T, string) uint64) {
			s := testserver.SharedMemcached(t)
			return url(s), func(t *testing.T, prefix string) uint64 { return laterInMemcached(t, s, prefix) }
		},
	}
}

// laterInFile appends a record with a letter that is not known here.
func laterInFile(t *testing.T, folder, prefix string) (number uint64) {
	t.Helper()
	dir, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(folder + "/" + prefix + "~")
	if err != nil {
		t.Fatal(err)
	}
	number = binary.BigEndian.Uint64(b[8:])
	for rest := b[24:]; len(rest) > 0; rest = rest[22+binary.BigEndian.Uint32(rest):] {
		number = binary.BigEndian.Uint64(rest[4:])
	}
	const name = "of the future"
	sums := crc32.MakeTable(crc32.Castagnoli)
	r := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	r = append(binary.BigEndian.AppendUint64(r, number+1), 'q', 1)
	r = binary.BigEndian.AppendUint32(r, crc32.Checksum(r, sums))
	r = append(binary.BigEndian.AppendUint32(r, crc32.Checksum([]byte(name), sums)), name...)
	f, err := os.OpenFile(folder+"/"+prefix+"~", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(r)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return number + 1
}

// laterInRedis appends a record with a letter that is not known here, and a field more.
func laterInRedis(t *testing.T, s *testserver.Server, prefix string) (number uint64) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer client.Close()
	id, err := client.Eval(t.Context(), `
		local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
		local number = tonumber(string.match(last[1], '^%d+')) + 1
		return redis.call('XADD', KEYS[1], string.format('%.0f-0', number), 'm', 'qof the future',
			'b', string.format('%.0f', tonumber(last[2][4]) + 78), 'r', last[2][6], 'n', last[2][8], 'z', 'new')`,
		[]string{"{~journal~" + prefix + "}"}).Text()
	if err == nil {
		_, err = fmt.Sscanf(id, "%d-0", &number)
	}
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// laterInPostgres appends a row of a kind that is not known here.
func laterInPostgres(t *testing.T, s *testserver.Server, prefix string) (number uint64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var head int64
	if err := conn.QueryRow(t.Context(), `WITH next AS (
			UPDATE freshet_cache_journal_head SET previous = head, head = head + 1, marks = marks + 1
			WHERE prefix = $1 RETURNING head, previous
		) INSERT INTO freshet_cache_journal (prefix, number, previous, kind, soft, name)
		SELECT $1, head, previous, 77, false, 'of the future' FROM next
		RETURNING number`, prefix).Scan(&head); err != nil {
		t.Fatal(err)
	}
	return uint64(head)
}

// laterInMemcached appends a record of another version.
func laterInMemcached(t *testing.T, s *testserver.Server, prefix string) (number uint64) {
	t.Helper()
	client := memcache.New(s.Addr)
	defer client.Close()
	key := "~journal~" + prefix + "~"
	head, err := client.Get(key + "head")
	if err != nil {
		t.Fatal(err)
	}
	number, err = client.Increment(key+"head", 1)
	if err == nil {
		err = client.Add(&memcache.Item{Key: key + strconv.FormatUint(number, 10), Flags: head.Flags,
			Value: []byte("\x03of the future")})
	}
	if err != nil {
		t.Fatal(err)
	}
	return number
}
