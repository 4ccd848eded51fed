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

// fillSecret has a store over b keep a secret page, invalidates one, and keeps a record beside it
// as the outbox of adapters/cdn does.
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

// search looks for texts in all that is read, and remembers the surroundings of each that is there.
type search struct {
	texts  []string
	found  map[string]string
	length int64
	buffer []byte
}

func searchFor(texts ...string) *search {
	return &search{texts: texts, found: make(map[string]string), buffer: make([]byte, 1<<20)}
}

// read reads in pieces, each of which begins with the end of the one before it.
func (s *search) read(r io.Reader) {
	const overlap = 200
	kept := 0
	for {
		n, err := io.ReadFull(r, s.buffer[kept:])
		piece := s.buffer[:kept+n]
		for _, text := range s.texts {
			if at := bytes.Index(piece, []byte(text)); at >= 0 {
				s.found[text] = string(piece[max(at-100, 0):min(at+100, len(piece))])
			}
		}
		s.length += int64(n)
		if err != nil {
			return
		}
		kept = copy(s.buffer, piece[len(piece)-overlap:])
	}
}

// onDisk reads all that the server has written, after it was made to write it.
var onDisk = map[string]func(t *testing.T, s *testserver.Server, in *search){
	"redis": func(t *testing.T, s *testserver.Server, in *search) {
		redisDo(t, s, "CONFIG", "SET", "rdbcompression", "no")
		redisDo(t, s, "SAVE")
		in.files(t, s.Dir)
		in.memory(t, s)
	},
	"postgresql": func(t *testing.T, s *testserver.Server, in *search) {
		postgresDo(t, s, "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
		in.files(t, s.Dir)
	},
	"memcached": func(t *testing.T, s *testserver.Server, in *search) { in.memory(t, s) },
}

func (s *search) files(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) { // the server removes files meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		s.read(strings.NewReader(name))
		s.read(f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// memory reads what can be read and written of the server's process: its heap and the like.
func (s *search) memory(t *testing.T, server *testserver.Server) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", server.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", server.Pid()))
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
		s.read(io.NewSectionReader(mem, from, to-from)) // nothing of [vvar] and its like
	}
}

// In the files and the memory of each server, and in the files of a folder, no byte of a page, its
// URL, its header, its tags or its invalidations is found, nor its digest. In the clear, all is.
func TestNothingIsFoundOnServers(t *testing.T) {
	const prefix = "freshet:"
	look := func(t *testing.T, sealed bool, o open.Options, rawURL string, read func(*search)) {
		t.Helper()
		if sealed {
			o.Encrypt = sealedstore.Keys{Key: sealedKey(t, 'a')}
		}
		b, p := sealedOver(t, rawURL, o)
		fillSecret(t, b, p)
		in := searchFor(append(hidden(), prefix)...)
		read(in)
		for _, text := range hidden() {
			if there, got := in.found[text]; got == sealed {
				t.Errorf("%q is found: %t, in %d bytes; sealed: %t; there: %q", text, got, in.length,
					sealed, there)
			}
		}
		if _, ok := in.found[prefix]; !ok {
			t.Error("not even the prefix is found: was it written?")
		}
	}
	for name, sealed := range map[string]bool{"control": false, "sealed": true} {
		t.Run("files/"+name, func(t *testing.T) {
			folder := t.TempDir()
			look(t, sealed, open.Options{}, "file://"+folder, func(in *search) {
				in.files(t, folder)
			})
		})
		for _, k := range serverKinds {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				server := k.start(t)
				look(t, sealed, open.Options{}, server.URL, func(in *search) {
					onDisk[k.name](t, server, in)
				})
			})
		}
	}
}
