package servertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// secretText is in the page, its URL, its header, its tags and its invalidations.
const secretText = "S3CR3Tpage"

// fillSecret has a store over b keep a secret page, invalidates one, and keeps a record beside it as
// the outbox of adapters/cdn does.
func fillSecret(t *testing.T, b store.Backend, prefix string) {
	t.Helper()
	ctx := t.Context()
	s := store.New(b, store.Options{Prefix: prefix})
	for i := range 20 {
		uri := fmt.Sprintf("https://a.example/%s/%d", secretText, i)
		e := &store.Entry{Key: "GET " + uri, URI: uri, Tags: []string{secretText},
			Header: map[string][]string{"X-" + secretText: {secretText}},
			Body:   []byte(strings.Repeat(secretText+"\n", 100*i))}
		if err := s.Set(ctx, e.Key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(ctx, e.Key); err != nil || !bytes.Equal(got.Body, e.Body) {
			t.Fatalf("%s: %v", e.Key, err)
		}
	}
	j := s.(store.Journaled).Journal()
	_, err := j.Append(ctx, store.Mark{Kind: store.MarkKey, Name: secretText}, store.Mark{
		Kind: store.MarkTag, Name: secretText, Soft: true}, store.Mark{Kind: store.MarkPrefix,
		Name: secretText}, store.Mark{Kind: store.MarkEverything, Name: secretText},
		store.Mark{Kind: store.MarkBarrier, Name: secretText}, store.Mark{Kind: store.MarkNotice,
			Name: secretText})
	err = errors.Join(err, b.Set(ctx, "freshet-cdn:owed."+secretText, []byte(secretText), time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	locker, _ := store.As[store.Locker](b)
	if _, ok, err := locker.TryLock(ctx, "adopt."+secretText, time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// hidden are texts of which none may be found: the secret, and what a Store calls the secret page,
// by which who guesses a URL finds out whether the page is there.
func hidden() []string {
	digest := store.Options{}.BackendKey("GET https://a.example/" + secretText + "/7")
	return []string{secretText, digest}
}

// onDisk returns all that the server has written, after it was made to write it.
var onDisk = map[string]func(t *testing.T, s *testserver.Server) []byte{
	"redis": func(t *testing.T, s *testserver.Server) []byte {
		redisDo(t, s, "CONFIG", "SET", "rdbcompression", "no")
		redisDo(t, s, "SAVE")
		return append(files(t, s.Dir), memory(t, s)...)
	},
	"postgresql": func(t *testing.T, s *testserver.Server) []byte {
		postgresDo(t, s, "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
		return files(t, s.Dir)
	},
	"memcached": memory,
}

func files(t *testing.T, folder string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) { // the server removes files meanwhile
			return nil
		}
		all = append(append(all, name...), content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// memory returns what can be read and written of the server's process: its heap and the like.
func memory(t *testing.T, s *testserver.Server) (all []byte) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 ||
			!strings.HasPrefix(mode, "rw") {
			continue
		}
		part, err := io.ReadAll(io.NewSectionReader(mem, from, to-from))
		if err != nil && len(part) == 0 {
			continue // [vvar] and its like
		}
		all = append(all, part...)
	}
	return all
}

// In the files and the memory of each server, and in the files of a folder, no byte of a page, its
// URL, its header, its tags or its invalidations is found, nor its digest. In the clear, all is.
func TestNothingIsFoundOnServers(t *testing.T) {
	look := func(t *testing.T, sealed bool, o open.Options, rawURL string, found func() []byte) {
		t.Helper()
		if sealed {
			o.Encrypt = sealedstore.Keys{Key: sealedKey(t, 'a')}
		}
		b, prefix := sealedOver(t, rawURL, o)
		fillSecret(t, b, prefix)
		all := found()
		for _, text := range hidden() {
			if got := bytes.Contains(all, []byte(text)); got == sealed {
				at := max(bytes.Index(all, []byte(text)), 0)
				t.Errorf("%q is found: %t, in %d bytes; sealed: %t; there: %q", text, got, len(all),
					sealed, all[max(at-100, 0):min(at+100, len(all))])
			}
		}
		if !bytes.Contains(all, []byte("freshet:")) {
			t.Error("not even the prefix is found: was it written?")
		}
	}
	for name, sealed := range map[string]bool{"control": false, "sealed": true} {
		t.Run("files/"+name, func(t *testing.T) {
			folder := t.TempDir()
			look(t, sealed, open.Options{}, "file://"+folder, func() []byte { return files(t, folder) })
		})
		for _, k := range serverKinds {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				server := k.start(t)
				look(t, sealed, open.Options{}, server.URL, func() []byte {
					return onDisk[k.name](t, server)
				})
			})
		}
	}
}
