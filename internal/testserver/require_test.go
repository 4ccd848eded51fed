package testserver

import (
	"fmt"
	"strings"
	"testing"
)

// verdict is a test that notes how it ends. As the real one it leaves by way of a panic of its own.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper() {}

func (v *verdict) end(kind, format string, args ...any) {
	v.said = kind + fmt.Sprintf(format, args...)
	panic(v)
}

func (v *verdict) Skipf(format string, args ...any)  { v.end("skip: ", format, args...) }
func (v *verdict) Fatalf(format string, args ...any) { v.end("fail: ", format, args...) }
func (v *verdict) Fatal(args ...any)                 { v.end("fail: ", "%s", fmt.Sprint(args...)) }

func judge(t *testing.T, f func(testing.TB)) string {
	v := &verdict{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(v) {
				panic(r)
			}
		}()
		f(v)
	}()
	return v.said
}

func TestAbsentServers(t *testing.T) {
	starts := map[string]func(testing.TB){
		"redis-server": func(tb testing.TB) { SharedRedis(tb) },
		"memcached":    func(tb testing.TB) { Memcached(tb) },
	}
	t.Setenv("PATH", t.TempDir())
	for program, start := range starts {
		t.Setenv("FRESHET_TEST_SERVERS", "")
		if got := judge(t, start); got != "skip: "+program+" is not installed: `make test` "+
			"installs it" {
			t.Errorf("%s is absent: %q", program, got)
		}
		t.Setenv("FRESHET_TEST_SERVERS", "required")
		if got := judge(t, start); !strings.HasPrefix(got, "fail: "+program+" is not installed") {
			t.Errorf("%s is absent and required: %q", program, got)
		}
	}
}

// What the server says against its settings is what the developer needs to read.
func TestBadSettings(t *testing.T) {
	for program, bad := range map[string]struct {
		start func(testing.TB)
		says  string
	}{
		"redis-server": {func(tb testing.TB) { Redis(tb, "--no-such-word", "1") }, "no-such-word"},
		"memcached":    {func(tb testing.TB) { Memcached(tb, "-I", "no-such-size") }, "max size"},
		"postgres": {func(tb testing.TB) { Postgres(tb, "no_such_setting=1") },
			"no_such_setting"},
	} {
		Require(t, program)
		got := judge(t, bad.start)
		if !strings.HasPrefix(got, "fail: testserver: start ") ||
			!strings.Contains(strings.ToLower(got), bad.says) {
			t.Errorf("%s with a bad setting: %q does not tell of %q", program, got, bad.says)
		}
	}
}
