package accesslog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lineAt(second int, target string) string {
	return fmt.Sprintf("192.0.2.1 - - [%s] \"GET %s HTTP/1.1\" 200 5\n",
		noon.Add(time.Duration(second)*time.Second).Format("02/Jan/2006:15:04:05 -0700"), target)
}

func targets(t *testing.T, next func() (*Record, error)) string {
	t.Helper()
	var all []string
	for {
		rec, err := next()
		if err == io.EOF {
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec.Target)
	}
}

func TestLogsAreReadInTheOrderOfTime(t *testing.T) {
	folder := t.TempDir()
	file := func(name string, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var sources []Source
	for _, name := range []string{
		file("access.log", lineAt(20, "/5")+lineAt(21, "/7")),
		file("access.log.1", "torn\n"+lineAt(10, "/3")+lineAt(11, "/4")),
		file("access.log.2.gz", string(zipped(lineAt(0, "/1")+lineAt(1, "/2")))),
		file("empty.log", ""), file("torn.log", "torn\n"), "-",
	} {
		sources = append(sources, File(name, strings.NewReader(lineAt(20, "/6")+lineAt(30, "/8"))))
	}
	logs, err := Open(sources)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if got := targets(t, logs.Next); got != "/1 /2 /3 /4 /5 /6 /7 /8" {
		t.Errorf("order %s", got)
	}
	if s := logs.Skipped(); s.Read != 8 || s.Lines != 2 {
		t.Errorf("skipped %+v", s)
	}
	if _, err := Open([]Source{File(filepath.Join(folder, "none.log"), nil)}); err == nil || !strings.Contains(err.Error(), "none.log") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Open([]Source{File(folder, nil)}); err == nil {
		t.Error("a folder is no log")
	}
}

func TestWindowPutsInOrder(t *testing.T) {
	log := lineAt(10, "/2") + lineAt(5, "/1") + lineAt(11, "/3") + lineAt(11, "/4") + lineAt(60,
		"/6") + lineAt(20, "/5") + lineAt(0, "/late") + lineAt(61, "/7")
	w := NewWindow(NewReader("log", strings.NewReader(log)).Next)
	last := time.Time{}
	got := targets(t, func() (*Record, error) {
		rec, err := w.Next()
		if err == nil && rec.Time.Before(last) {
			t.Errorf("%s at %v, behind %v", rec.Target, rec.Time, last)
		}
		if err == nil {
			last = rec.Time
		}
		return rec, err
	})
	if got != "/1 /2 /3 /4 /5 /late /6 /7" || w.Late() != 1 {
		t.Errorf("order %s, %d late", got, w.Late())
	}
}

func TestWindowIsBounded(t *testing.T) {
	n := 0
	w := NewWindow(func() (*Record, error) { n++; return &Record{Time: noon}, nil })
	for range 100_000 {
		if _, err := w.Next(); err != nil || len(w.kept) > windowRecords {
			t.Fatal(err, len(w.kept))
		}
	}
	if n > 100_000+windowRecords {
		t.Errorf("it has read %d records for 100000", n)
	}
}
