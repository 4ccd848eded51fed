package settings

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGet(t *testing.T) {
	l := Loader{Keys: []string{"listen", "max-bytes", "timeout", "store-cookies", "hosts", "tries",
		"unset"}}
	s, err := l.Load(written(t, "listen = http://127.0.0.1:8080/#top", "freshet.max_bytes = 64 MiB",
		"timeout = 90",
		"hosts = a b,", "  c", "tries = 3"), []string{"FRESHET_TIMEOUT=1m",
		"FRESHET_STORE_COOKIES=Yes"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, s, "listen", "", Text, "http://127.0.0.1:8080/#top")
	same(t, s, "max-bytes", 0, Bytes, 64<<20)
	same(t, s, "timeout", 0, Duration, time.Minute)
	same(t, s, "STORE_COOKIES", false, Bool, true)
	same(t, s, "tries", 0, Int, 3)
	same(t, s, "unset", 7, Int, 7)
	if hosts, err := Get(s, "hosts", nil, List); err != nil || !slices.Equal(hosts, []string{"a", "b", "c"}) {
		t.Errorf("hosts: %q %v", hosts, err)
	}
	if _, err := Get(s, "lisen", "", Text); err == nil || !strings.Contains(err.Error(), "lisen") {
		t.Errorf("a key that was not declared: %v", err)
	}
}

func same[T comparable](t *testing.T, s *Settings, key string, byDefault T, parse func(string) (T,
	error), want T) {
	t.Helper()
	if got, err := Get(s, key, byDefault, parse); err != nil || got != want {
		t.Errorf("%s: %v %v, want %v", key, got, err, want)
	}
}

func TestGetSaysWhatIsAllowed(t *testing.T) {
	l := Loader{Keys: []string{"key"}}
	tests := []struct {
		value string
		get   func(*Settings) error
		says  string
	}{
		{"maybe", func(s *Settings) error { _, err := Get(s, "key", false, Bool); return err },
			"true and false"},
		{"", func(s *Settings) error { _, err := Get(s, "key", false, Bool); return err },
			"true and false"},
		{"1.5", func(s *Settings) error { _, err := Get(s, "key", 0, Int); return err },
			"whole number"},
		{"-5s", func(s *Settings) error { _, err := Get(s, "key", 0, Duration); return err },
			"not negative"},
		{"5 minutes", func(s *Settings) error { _, err := Get(s, "key", 0, Duration); return err },
			"30s"},
		{"99999999999", func(s *Settings) error {
			_, err := Get(s, "key", 0, Duration)
			return err
		}, "30s"},
		{"-1", func(s *Settings) error { _, err := Get(s, "key", 0, Bytes); return err }, "64KiB"},
		{"1.5GiB", func(s *Settings) error { _, err := Get(s, "key", 0, Bytes); return err },
			"64KiB"},
		{"9999999999G", func(s *Settings) error { _, err := Get(s, "key", 0, Bytes); return err },
			"64KiB"},
		{"4 apples", func(s *Settings) error { _, err := Get(s, "key", 0, Bytes); return err },
			"64KiB"},
	}
	for _, test := range tests {
		s, err := l.Load("", []string{"FRESHET_KEY=" + test.value})
		if err != nil {
			t.Fatal(err)
		}
		err = test.get(s)
		if err == nil {
			t.Errorf("%q is accepted", test.value)
			continue
		}
		for _, want := range []string{"environment variable FRESHET_KEY", `"` + test.value + `"`,
			test.says} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: the error does not say %q: %v", test.value, want, err)
			}
		}
	}
}

func TestPasswordsStayOutOfMessages(t *testing.T) {
	s, err := Loader{Keys: []string{"store"}}.Load("",
		[]string{"FRESHET_STORE=redis://me:secret@host:1/0"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Get(s, "store", 0, Int)
	if err == nil || strings.Contains(err.Error(), "secret") ||
		!strings.Contains(err.Error(), "redis://me:***@host:1/0") {
		t.Errorf("%v", err)
	}
}

func TestFlagsOverEnvironmentOverFileOverDefaults(t *testing.T) {
	var listen, upstream, name, mode string
	var timeout time.Duration
	var cookies bool
	fs := flag.NewFlagSet("proxy", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&listen, "listen", "default", "")
	fs.StringVar(&upstream, "upstream", "default", "")
	fs.StringVar(&name, "name", "default", "")
	fs.StringVar(&mode, "mode", "default", "")
	fs.DurationVar(&timeout, "timeout", 0, "how long the upstream may take")
	fs.BoolVar(&cookies, "store-cookies", false, "")
	if err := fs.Parse([]string{"--listen", "flag"}); err != nil {
		t.Fatal(err)
	}
	var keys []string
	fs.VisitAll(func(f *flag.Flag) { keys = append(keys, f.Name) })
	s, err := Loader{Keys: keys}.Load(written(t, "listen=file", "upstream=file", "name=file",
		"timeout=5s",
		"store_cookies=on"),
		[]string{"FRESHET_LISTEN=environment", "FRESHET_UPSTREAM=environment"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flags(fs); err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]string{{listen, "flag"}, {upstream, "environment"}, {name, "file"},
		{mode, "default"}} {
		if at[0] != at[1] {
			t.Errorf("from the %s, want from the %s", at[0], at[1])
		}
	}
	if timeout != 5*time.Second || !cookies {
		t.Errorf("timeout %v, cookies %v", timeout, cookies)
	}

	fs = flag.NewFlagSet("proxy", flag.ContinueOnError)
	fs.DurationVar(&timeout, "timeout", 0, "how long the upstream may take")
	fs.BoolVar(&cookies, "store-cookies", false, "")
	s, err = Loader{Keys: keys}.Load(written(t, "", "timeout=soon", "store-cookies=some"), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Flags(fs)
	for _, want := range []string{"freshet.ini:2: timeout", `"soon"`,
		"duration: how long the upstream may take",
		"freshet.ini:3: store-cookies", "true and false"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

// Settings, flags and rules read a length of time alike.
func TestDurationsHaveDaysAndWeeks(t *testing.T) {
	for text, want := range map[string]time.Duration{"1d": 24 * time.Hour, " 2w ": 336 * time.Hour,
		"0d": 0, "106751d": 106751 * 24 * time.Hour, "36h": 36 * time.Hour} {
		if got, err := Duration(text); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"d", "w", "-1d", "+1d", "1.5d", "1d12h", "1 d", "1D", "106752d",
		"15251w", "99999999999999999999d"} {
		if got, err := Duration(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
