package open

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// masters are keys in hex, for the tests.
var masters = []string{
	"6d79206669727374206b65792c20616e6420736f6d65206d6f726520627974aa",
	"6d79207365636f6e64206b65792c20616e6420736f6d65206d6f726520627974",
	"6d79207468697264206b65792c20616e6420736f6d65206d6f72652062797461",
}

func keyFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// opened opens a store of files and nothing near, which ends with the test.
func opened(t *testing.T, rawURL string, o Options) *Store {
	t.Helper()
	o.Near = -1
	s, err := URL(t.Context(), rawURL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func keep(t *testing.T, s store.Store, text string) {
	t.Helper()
	e := &store.Entry{Key: "page of " + text, Body: []byte(text), Header: map[string][]string{
		"X-Secret": {text}}}
	if err := s.Set(t.Context(), e.Key, e, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func kept(t *testing.T, s store.Store, text string) bool {
	t.Helper()
	e, err := s.Get(t.Context(), "page of "+text)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil && string(e.Body) == text
}

// contains reports whether a file in the folder, or its name, has the text.
func contains(t *testing.T, folder, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = found || strings.Contains(name, text) || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A key from a file, from the environment or from the program encrypts what lies in the folder; two
// processes with one key share it, and the next key reads it.
func TestEncryptedFiles(t *testing.T) {
	t.Setenv("TEST_MASTER_KEY", masters[0])
	first, err := sealedstore.ParseKey(masters[0])
	if err != nil {
		t.Fatal(err)
	}
	second, err := sealedstore.ParseKey(masters[1])
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	rawURL := "file://" + folder
	plain := opened(t, rawURL, Options{})
	keep(t, plain, "S3CR3T in the clear")
	if !contains(t, folder, "S3CR3T in the clear") {
		t.Fatal("control: without a key, the text is not found")
	}
	if _, err := store.Flush(t.Context(), plain.Backend, plain.Prefix); err != nil {
		t.Fatal(err)
	}

	one := opened(t, rawURL+"?encryption_key=file:"+keyFile(t, masters[0]+"\n"), Options{})
	keep(t, one, "S3CR3T")
	if _, err := one.Journal().Append(t.Context(), store.Mark{Kind: store.MarkTag,
		Name: "S3CR3T tag"}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"S3CR3T", "X-Secret", "fsht", masters[0]} {
		if contains(t, folder, text) {
			t.Errorf("%s is found in the files", text)
		}
	}
	for story, c := range map[string]struct {
		url  string
		o    Options
		want bool
	}{
		"the environment": {rawURL + "?encryption_key=env:TEST_MASTER_KEY", Options{}, true},
		"the program":     {rawURL, Options{Encrypt: sealedstore.Keys{Key: first}}, true},
		"the URL goes first": {rawURL + "?encryption_key=env:TEST_MASTER_KEY",
			Options{Encrypt: sealedstore.Keys{Key: second}}, true},
		"the next key, and this one for reading": {rawURL + "?encryption_old_keys=env:TEST_MASTER_KEY",
			Options{Encrypt: sealedstore.Keys{Key: second}}, true},
		"another key": {rawURL, Options{Encrypt: sealedstore.Keys{Key: second}}, false},
		"no key":      {rawURL, Options{}, false},
	} {
		s := opened(t, c.url, c.o)
		if got := kept(t, s, "S3CR3T"); got != c.want {
			t.Errorf("%s: found %t, want %t", story, got, c.want)
		}
		h, err := s.Health(t.Context())
		if err != nil || (h.Details["encryption"] == "") != (story == "no key") {
			t.Errorf("%s: health %+v, %v", story, h, err)
		}
	}
	if removed, err := store.Flush(t.Context(), one.Backend, one.Prefix); removed != 1 || err != nil {
		t.Errorf("Flush: %d, %v", removed, err)
	}
}

// Backend, by which tools look after a store, uses the key, too.
func TestAnEncryptedBackendAlone(t *testing.T) {
	rawURL := "file://" + t.TempDir() + "?encryption_key=file:" + keyFile(t, masters[0])
	b, prefix, end, err := Backend(rawURL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	h, err := store.Probe(t.Context(), b, prefix)
	if err != nil || !strings.HasPrefix(h.Details["encryption"], "AES-256-GCM, key ") {
		t.Errorf("%+v, %v", h, err)
	}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// What does not open is said once in the log, and each time to who asked to hear.
func TestWhatDoesNotOpenIsLoggedOnce(t *testing.T) {
	folder := t.TempDir()
	key, err := sealedstore.ParseKey(masters[0])
	if err != nil {
		t.Fatal(err)
	}
	var log lines
	var heard []sealedstore.Fault
	s := opened(t, "file://"+folder, Options{Encrypt: sealedstore.Keys{Key: key},
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
		OnFault: func(f sealedstore.Fault) { heard = append(heard, f) }})
	plain := opened(t, "file://"+folder, Options{})
	keep(t, s, "a page")
	lister, _ := store.As[store.Lister](plain.Backend)
	for name, err := range lister.List(t.Context(), "freshet:") {
		if err != nil {
			t.Fatal(err)
		}
		if err := plain.Backend.Set(t.Context(), name, []byte("S3CR3T"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if kept(t, s, "a page") {
			t.Error("what was put in its place is the page")
		}
	}
	text := log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "does not open") ||
		!strings.Contains(text, "not sealed") || strings.Contains(text, "S3CR3T") || len(heard) != 3 {
		t.Errorf("heard %v; the log:\n%s", heard, text)
	}
	if tiers := store.TierStatsOf(s); len(tiers) != 1 || tiers[0].EncryptionFaults.Sum() != 3 ||
		tiers[0].EncryptionFaults.Unsealed != 3 {
		t.Errorf("the tiers report %+v", tiers)
	}
	for _, t0 := range store.TierStatsOf(plain) {
		if t0.EncryptionFaults != (store.EncryptionFaults{Unsealed: -1, OtherVersion: -1, UnknownKey: -1,
			Altered: -1}) {
			t.Errorf("a tier without encryption reports %+v", t0)
		}
	}
}

// Settings and variables say where the key is, and the URL then does; it never holds the key.
func TestEncryptionBySettings(t *testing.T) {
	file := keyFile(t, masters[0])
	for story, c := range map[string]struct {
		lines   string
		environ []string
		want    string // of the URL
		wrong   []string
	}{
		"nothing": {"cache_url = redis://h", nil, "redis://h", nil},
		"a setting": {"cache_url = redis://h\ncache_encryption_key = env:K", nil,
			"redis://h?encryption_key=env%3AK", nil},
		"a file and old keys": {"cache_url = redis://h?prefix=a:\ncache_encryption_key = file:" + file +
			"\ncache_encryption_old_keys = env:OLD", nil, "redis://h?prefix=a:&encryption_key=file%3A" +
			strings.ReplaceAll(file, "/", "%2F") + "&encryption_old_keys=env%3AOLD", nil},
		"a variable by the settings' rule": {"cache_url = redis://h", []string{
			"FRESHET_CACHE_ENCRYPTION_KEY=env:K"}, "redis://h?encryption_key=env%3AK", nil},
		"FRESHET_MASTER_KEY": {"cache_url = redis://h", []string{"FRESHET_MASTER_KEY=" + masters[0],
			"FRESHET_OLD_MASTER_KEYS=" + masters[1]},
			"redis://h?encryption_key=env%3AFRESHET_MASTER_KEY&" +
				"encryption_old_keys=env%3AFRESHET_OLD_MASTER_KEYS", nil},
		"FRESHET_MASTER_KEY_FILE": {"cache_url = redis://h", []string{"FRESHET_MASTER_KEY_FILE=/k",
			"FRESHET_OLD_MASTER_KEYS_FILE=/o"},
			"redis://h?encryption_key=file%3A%2Fk&encryption_old_keys=file%3A%2Fo", nil},
		"the variable and the URL agree": {"cache_url = redis://h?encryption_key=file:/k", []string{
			"FRESHET_MASTER_KEY_FILE=/k"}, "redis://h?encryption_key=file:/k", nil},
		"memory has nothing to encrypt": {"", []string{"FRESHET_MASTER_KEY=" + masters[0]},
			"memory://", nil},
		"the store by a variable": {"", []string{"FRESHET_MASTER_KEY=" + masters[0],
			"FRESHET_REDIS_URL=redis://h"}, "redis://h?encryption_key=env%3AFRESHET_MASTER_KEY", nil},
		"a setting for memory": {"cache_url = memory://\ncache_encryption_key = env:K", nil, "",
			[]string{"cache_encryption_key = ***", "means nothing to the memory backend"}},
		"two variables": {"cache_url = redis://h", []string{"FRESHET_MASTER_KEY=" + masters[0],
			"FRESHET_MASTER_KEY_FILE=/k"}, "", []string{"FRESHET_MASTER_KEY_FILE",
			"variable FRESHET_MASTER_KEY)", "keep one"}},
		"a variable and a setting": {"cache_url = redis://h\ncache_encryption_key = env:K",
			[]string{"FRESHET_MASTER_KEY=" + masters[0]}, "", []string{"FRESHET_MASTER_KEY",
				"freshet.ini:", "keep one"}},
		"a setting and the URL": {"cache_url = redis://h?encryption_key=env:A\n" +
			"cache_encryption_key = env:B", nil, "", []string{"encryption_key", "keep one"}},
		"a key in the place of a source": {"cache_url = redis://h\ncache_encryption_key = " +
			masters[0], nil, "", []string{"cache_encryption_key", "freshet.ini:", "env:NAME"}},
		"a key in the URL": {"cache_url = redis://h?encryption_key=" + masters[0], nil, "",
			[]string{"encryption_key=***", "env:NAME"}},
	} {
		t.Run(story, func(t *testing.T) {
			s, err := settings.Loader{Keys: Keys()}.Parse("freshet.ini", c.lines, c.environ)
			if err != nil {
				t.Fatal(err)
			}
			choice, err := FromSettings(s, c.environ)
			if c.wrong != nil {
				says(t, err, c.wrong)
				for _, key := range masters {
					if err != nil && strings.Contains(err.Error(), key[:12]) {
						t.Errorf("the error shows the key: %v", err)
					}
				}
				return
			}
			if err != nil || choice.URL != c.want {
				t.Fatalf("%s, %v; want %s", choice.URL, err, c.want)
			}
			if strings.Contains(choice.String(), "K") && strings.Contains(c.want, "encryption") &&
				!strings.Contains(choice.String(), "encryption_key=***") {
				t.Errorf("shown as %s", choice)
			}
			if c.lines != "" {
				return
			}
			if again, err := Resolve("", c.environ); err != nil || again.URL != c.want {
				t.Errorf("Resolve: %s, %v; want %s", again.URL, err, c.want)
			}
		})
	}
}

// Whoever chose the URL, what the settings and the environment say of encryption counts, and nothing
// else of them does.
func TestEncryptionOfAStoreThatAFlagNames(t *testing.T) {
	for _, c := range []struct {
		lines   string
		environ []string
		url     string
		want    string
	}{
		{"cache_url = redis://other\ncache_pool_size = none\ncache_encryption_key = env:K", nil,
			"file:///x", "file:///x?encryption_key=env%3AK"},
		{"", []string{"FRESHET_MASTER_KEY=" + masters[0]}, "file:///x?near=0",
			"file:///x?near=0&encryption_key=env%3AFRESHET_MASTER_KEY"},
		{"", []string{"FRESHET_MASTER_KEY=" + masters[0]}, "memory://", "memory://"},
		{"", nil, "file:///x", "file:///x"},
	} {
		s, err := settings.Loader{Keys: Keys()}.Parse("freshet.ini", c.lines, c.environ)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Encrypted(Choice{c.url, "--store"}, s, c.environ)
		if err != nil || got.URL != c.want || got.Origin != "--store" {
			t.Errorf("%+v, %v; want %s", got, err, c.want)
		}
	}
	got, err := Resolve("file:///x", []string{"FRESHET_MASTER_KEY=" + masters[0]})
	if want := "file:///x?encryption_key=env%3AFRESHET_MASTER_KEY"; err != nil || got.URL != want {
		t.Errorf("Resolve of what the program says: %+v, %v; want %s", got, err, want)
	}
}

// What is wrong with keys is an error at the start that says where they were read, and shows none;
// nothing is made on the disk before.
func TestKeysThatCannotBeRead(t *testing.T) {
	raw, err := hex.DecodeString(masters[0])
	if err != nil {
		t.Fatal(err)
	}
	inBase64 := base64.StdEncoding.EncodeToString(raw)
	t.Setenv("TEST_BAD_KEY", inBase64[2:])
	t.Setenv("TEST_GOOD_KEY", inBase64)
	t.Setenv("TEST_TWO_KEYS", inBase64+" "+masters[1])
	t.Setenv("TEST_FIVE_KEYS", strings.Join(append(masters, masters[:2]...), ","))
	missing := filepath.Join(t.TempDir(), "none")
	for query, want := range map[string][]string{
		"encryption_key=env:TEST_NO_KEY":       {"variable TEST_NO_KEY holds no key", "openssl rand"},
		"encryption_key=env:TEST_BAD_KEY":      {"variable TEST_BAD_KEY", "64 digits of hex"},
		"encryption_key=env:TEST_TWO_KEYS":     {"2 keys, and one encrypts", "encryption_old_keys"},
		"encryption_key=file:" + missing:       {missing, "no such file"},
		"encryption_key=" + masters[0]:         {"encryption_key=***", "file:PATH"},
		"encryption_key=env:":                  {"env:NAME"},
		"encryption_key=vault:x":               {"env:NAME"},
		"encryption_old_keys=env:TEST_BAD_KEY": {"encryption_old_keys", "TEST_BAD_KEY"},
		"encryption_old_keys=env:TEST_TWO_KEYS": {"none that encrypts",
			"encryption_key"},
		"encryption_key=env:TEST_GOOD_KEY&encryption_old_keys=env:TEST_TWO_KEYS": {"old key 1",
			"the one that seals"},
		"encryption_key=env:TEST_GOOD_KEY&encryption_old_keys=env:TEST_FIVE_KEYS": {"5 old keys",
			"at most 3"},
		"encryption_key=file:" + keyFile(t, "\n"): {"holds no key"},
	} {
		folder := filepath.Join(t.TempDir(), "made")
		s, err := URL(t.Context(), "file://"+folder+"?"+query, Options{})
		if err == nil {
			s.Close()
		}
		says(t, err, want)
		for _, key := range append(masters, inBase64) {
			if err != nil && strings.Contains(err.Error(), key[2:14]) {
				t.Errorf("the error shows a key: %v", err)
			}
		}
		if _, err := os.Stat(folder); err == nil && !strings.Contains(query, "GOOD") {
			t.Errorf("%s: the folder was made", query)
		}
	}
}

// Where encryption is required, a backend without a key does not open, and keeps nothing.
func TestEncryptionThatIsRequired(t *testing.T) {
	t.Setenv("TEST_MASTER_KEY", masters[0])
	folder := t.TempDir()
	rawURL := "file://" + folder + "?encryption=required"
	_, err := URL(t.Context(), rawURL, Options{})
	says(t, err, []string{"encryption=required", "FRESHET_MASTER_KEY", "encryption_key"})
	_, err = URL(t.Context(), "file://"+folder, Options{RequireEncryption: true})
	says(t, err, []string{"encryption=required"})
	if found, err := os.ReadDir(folder); err != nil || len(found) > 0 {
		t.Errorf("the folder has %v, %v", found, err)
	}
	_, err = URL(t.Context(), rawURL+"d", Options{})
	says(t, err, []string{"option encryption=\"requiredd\"", "optional", "required"})
	s := opened(t, rawURL+"&encryption_key=env:TEST_MASTER_KEY", Options{})
	keep(t, s, "page")
	opened(t, "memory://?encryption=required", Options{})

	c, err := Resolve("file://"+folder+"?encryption=required", []string{"FRESHET_MASTER_KEY=" + masters[0]})
	if err != nil || !strings.Contains(c.URL, "encryption_key=env") {
		t.Errorf("with a key in the environment: %v, %v", c, err)
	}
}
