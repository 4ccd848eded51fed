package reload

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notes is a log that a test reads, and waits for.
type notes struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan string
}

func newNotes() *notes { return &notes{lines: make(chan string, 1000)} }

func (n *notes) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines <- string(line)
	return n.text.Write(line)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// until waits for a line that says text, and returns it.
func (n *notes) until(text string) string {
	for line := range n.lines {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

var records = settings.Loader{Resources: []string{"record"}, Keys: []string{"listen", "max-bytes",
	"token"}}

// watched is a Watcher of a file with that text.
func watched(t testing.TB, text string, o Options) (*Watcher, string, *notes) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "freshet.ini")
	write(t, file, text)
	n := newNotes()
	o.Loader, o.File, o.Log = records, file, slog.New(slog.NewTextHandler(n, nil))
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return w, file, n
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ttl is how long records live.
func ttl(s *settings.Settings) time.Duration {
	ttl, ok := s.Expires().Lookup("record", nil)
	if !ok {
		return -1
	}
	return ttl
}

const minute = "record_cache_expires_seconds = 60\n"

// Whatever is wrong with the new settings, the old ones stay, nobody is called, and the error says
// why.
func TestNothingChangesWhenSomethingIsWrong(t *testing.T) {
	for _, c := range []struct {
		story  string
		damage func(file string) error
		says   []string
	}{
		{"an unknown key", rewritten("record_cache_expires_seconds = 5\nfreshet.lisen = x\n"),
			[]string{"freshet.ini:2: freshet.lisen", "did you mean listen?"}},
		{"a doubled key", rewritten("record_cache_expires_seconds = " +
			"5\nrecord_cache_expires_seconds = 6\n"),
			[]string{"freshet.ini:1", "freshet.ini:2", "in conflict"}},
		{"out of range", rewritten("record_cache_expires_seconds = -1\n"), []string{"freshet.ini:1",
			`"-1"`, "from 0"}},
		{"one wrong among good ones", rewritten("record_cache_expires_seconds = " +
			"5\nblog.record_cache_expires_seconds = x\n"),
			[]string{"freshet.ini:2"}},
		{"of no resource", rewritten("page_cache_expires_seconds = 5\n"),
			[]string{"known are record"}},
		{"the file vanishes", os.Remove, []string{"freshet.ini", "no such file"}},
		{"a folder in its place", func(file string) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o700))
		},
			[]string{"freshet.ini", "directory"}},
		{"cut to nothing", rewritten(""), []string{"freshet.ini is empty", "leave a comment"}},
		{"cut within a line", rewritten("record_cache_expires_seconds = 6"),
			[]string{"its last line has no end"}},
		{"bytes that were never written", rewritten("record_cache_expires_seconds = 5\nlisten = " +
			"\x00\x00\n"),
			[]string{"freshet.ini:2", "not written to its end"}},
		{"not text", rewritten("\xff\xfe\n"), []string{"freshet.ini:1", "UTF-8"}},
		{"too long", rewritten(strings.Repeat("#\n", 1<<20)), []string{"1048576 bytes"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			w, file, n := watched(t, minute, Options{})
			called := 0
			w.OnChange(func(*settings.Settings) error { called++; return nil })
			before := w.Settings()
			if err := c.damage(file); err != nil {
				t.Fatal(err)
			}
			err := w.Reload()
			for _, text := range c.says {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("the error does not say %q: %v", text, err)
				}
			}
			if w.Settings() != before || ttl(w.Settings()) != time.Minute || called != 0 {
				t.Errorf("records live %v, and functions were called %d times", ttl(w.Settings()),
					called)
			}
			if log := n.String(); strings.Count(log, "the old ones stay") != 1 ||
				!strings.Contains(log, "level=ERROR") {
				t.Errorf("the log says %q", log)
			}

			os.Remove(file)
			write(t, file, "record_cache_expires_seconds = 7\n")
			if err := w.Reload(); err != nil || ttl(w.Settings()) != 7*time.Second || called != 1 {
				t.Errorf("once it was mended: %v, records live %v, %d calls", err,
					ttl(w.Settings()), called)
			}
		})
	}
}

func rewritten(text string) func(string) error {
	return func(file string) error { return os.WriteFile(file, []byte(text), 0o600) }
}

// A file that never ended in a line end may stay so.
func TestALastLineWithoutAnEnd(t *testing.T) {
	w, file, _ := watched(t, "record_cache_expires_seconds = 60", Options{})
	write(t, file, "record_cache_expires_seconds = 5")
	if err := w.Reload(); err != nil || ttl(w.Settings()) != 5*time.Second {
		t.Errorf("%v, records live %v", err, ttl(w.Settings()))
	}
	write(t, file, "# none\n")
	if err := w.Reload(); err != nil || ttl(w.Settings()) != -1 {
		t.Errorf("no settings but a comment: %v, records live %v", err, ttl(w.Settings()))
	}
}

// When one of several refuses, those before it get the old settings again, and those behind it
// nothing.
func TestAllOrNothing(t *testing.T) {
	w, file, n := watched(t, minute, Options{})
	var first, second, third []time.Duration
	note := func(to *[]time.Duration, refuses time.Duration) {
		w.OnChange(func(s *settings.Settings) error {
			if *to = append(*to, ttl(s)); ttl(s) == refuses {
				return errors.New("the second does not want it")
			}
			return nil
		})
	}
	note(&first, -1)
	note(&second, 5*time.Second)
	note(&third, -1)
	write(t, file, "record_cache_expires_seconds = 5\n")
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "does not want it") {
		t.Errorf("error %v", err)
	}
	write(t, file, "record_cache_expires_seconds = 6\n")
	if err := w.Reload(); err != nil {
		t.Error(err)
	}
	s, m := time.Second, time.Minute
	if !slices.Equal(first, []time.Duration{5 * s, m, 6 * s}) ||
		!slices.Equal(second, []time.Duration{5 * s, 6 * s}) ||
		!slices.Equal(third, []time.Duration{6 * s}) {
		t.Errorf("they were called with %v, %v and %v", first, second, third)
	}
	if !strings.Contains(n.String(), `record_cache_expires_seconds = \"60\" becomes \"6\" (`) {
		t.Errorf("the log says %s", n)
	}
}

// A change in whose place something else counts asks for no restart.
func TestTheLogSaysWhatIsOverridden(t *testing.T) {
	w, file, n := watched(t, "listen = :80\nmax-bytes = 1\n", Options{Live: []string{"max-bytes"},
		Overridden: []string{"listen", "max-bytes"}})
	write(t, file, "listen = :81\nmax-bytes = 2\n")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"listen", "max-bytes"} {
		if says := "overrides: it does not count\" setting=" + key; !strings.Contains(n.String(), says) {
			t.Errorf("the log does not say %s:\n%s", says, n)
		}
	}
	if strings.Contains(n.String(), "restart") {
		t.Errorf("the log asks for a restart:\n%s", n)
	}
}

// The log says what has changed, hides what is secret, and what waits for a restart.
func TestTheLogSaysWhatHasChanged(t *testing.T) {
	w, file, n := watched(t, "listen = :80\ntoken = hush1\nmax-bytes = 1\n",
		Options{Live: []string{"max-bytes"}, Secrets: []string{"token"}})
	write(t, file, "listen = :81\ntoken = hush2\nmax-bytes = 2\na_b_record_cache_expires_seconds "+
		"= 3\n")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"changes=4", `listen = \":80\" becomes \":81\"`,
		`token = *** becomes ***`, `max-bytes = \"1\" becomes \"2\"`,
		`a_b_record_cache_expires_seconds = \"3\" is new`, "restart to use it\" setting=listen",
		"setting=token", "applies to each of its readings"} {
		if strings.Count(n.String(), says) != 1 {
			t.Errorf("the log does not say %s once:\n%s", says, n)
		}
	}
	if strings.Contains(n.String(), "setting=max-bytes") || strings.Contains(n.String(), "hush") {
		t.Errorf("the log says too much:\n%s", n)
	}
	if err := w.Reload(); err != nil || !strings.Contains(n.String(), "changes=0") {
		t.Errorf("asked again, with nothing new: %v\n%s", err, n)
	}
	write(t, file, "listen = :82\ntoken = hush2\nmax-bytes = 2\n"+strings.Repeat("#", 10)+"\n"+
		many(30))
	if err := w.Reload(); err != nil || !strings.Contains(n.String(), "and 12 more") {
		t.Errorf("many changes: %v\n%s", err, n)
	}
}

// What is set back to what it was at the start is in use: it asks for no restart.
func TestWhatIsSetBackNeedsNoRestart(t *testing.T) {
	w, file, n := watched(t, "listen = :80\ntoken = a\n", Options{})
	for _, text := range []string{"listen = :81\ntoken = b\n", "listen = :80\ntoken = c\n"} {
		write(t, file, text)
		if err := w.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	for says, times := range map[string]int{"restart to use it\" setting=listen": 1,
		"needs no restart\" setting=listen": 1, "restart to use it\" setting=token": 2,
		"needs no restart\" setting=token": 0} {
		if got := strings.Count(n.String(), says); got != times {
			t.Errorf("the log says %s %d times, want %d:\n%s", says, got, times, n)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("x", i+1) + ".record_cache_expires_seconds = 1\n")
	}
	return b.String()
}

func TestOpenRefuses(t *testing.T) {
	o := Options{Loader: records, File: filepath.Join(t.TempDir(), "missing.ini")}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "missing.ini") {
		t.Errorf("no file: %v", err)
	}
	write(t, o.File, "record_cache_expires_seconds = x\n")
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "missing.ini:1") {
		t.Errorf("a wrong value: %v", err)
	}
}

// Without a file, the environment alone is loaded; and what a pipe gave once cannot be read again.
func TestWhatCannotBeReadAnew(t *testing.T) {
	w, err := Open(Options{Loader: records,
		Environ: []string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=9"},
		Log:     slog.New(slog.DiscardHandler)})
	if err != nil || ttl(w.Settings()) != 9*time.Second {
		t.Fatalf("%v", err)
	}
	if err := w.Reload(); err != nil || ttl(w.Settings()) != 9*time.Second {
		t.Errorf("%v, records live %v", err, ttl(w.Settings()))
	}

	r, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.WriteString(write, minute)
	write.Close()
	name := filepath.Join("/dev/fd", strconv.FormatUint(uint64(r.Fd()), 10))
	w, err = Open(Options{Loader: records, File: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil || ttl(w.Settings()) != time.Minute {
		t.Fatalf("%v", err)
	}
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "cannot be read twice") ||
		ttl(w.Settings()) != time.Minute {
		t.Errorf("%v, records live %v", err, ttl(w.Settings()))
	}
}
