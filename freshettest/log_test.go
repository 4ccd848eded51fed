package freshettest_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/freshettest"
)

// lines is a test that only notes what is said to it.
type lines struct {
	testing.TB
	logged, failed []string
}

func (l *lines) Helper()         {}
func (l *lines) Log(args ...any) { l.logged = append(l.logged, fmt.Sprint(args...)) }
func (l *lines) Errorf(format string, args ...any) {
	l.failed = append(l.failed, fmt.Sprintf(format, args...))
}

func TestLog(t *testing.T) {
	var got lines
	log := freshettest.Log(&got).With("a", 1).WithGroup("g")
	log.Debug("detail", "b", 2)
	log.Info("news", "b", 3)
	if len(got.failed) > 0 || len(got.logged) != 2 {
		t.Errorf("failed by %q; the test's log has %q", got.failed, got.logged)
	}
	log.Warn("advice", "b", 4)
	log.Log(t.Context(), slog.LevelError+1, "fault", "b", 5)
	if len(got.failed) != 2 || len(got.logged) != 2 {
		t.Fatalf("failed by %q; the test's log has %q", got.failed, got.logged)
	}
	for i, want := range []string{"msg=advice a=1 g.b=4", "msg=fault a=1 g.b=5"} {
		if !strings.Contains(got.failed[i], want) {
			t.Errorf("failed by %q, want %q in it", got.failed[i], want)
		}
	}
}
