package testserver

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Main is for TestMain: it runs the tests, ends the shared servers, fails if a goroutine is left,
// and exits.
func Main(m *testing.M) {
	shared.Lock()
	shared.allowed = true
	shared.Unlock()
	code := m.Run()
	endShared()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintf(os.Stderr, "testserver: the tests passed, but left goroutines behind: %v\n",
				err)
			code = 1
		}
	}
	os.Exit(code)
}

// shared has the servers that all tests of this binary use, by name.
var shared struct {
	sync.Mutex
	allowed bool
	servers map[string]*sharedServer
}

type sharedServer struct {
	once   sync.Once
	server *Server
	err    error
}

func share(tb testing.TB, name string, k func() (kind, error)) *Server {
	tb.Helper()
	shared.Lock()
	if !shared.allowed {
		shared.Unlock()
		tb.Fatal("testserver: nobody will end a shared server: write func TestMain(m *testing.M) " +
			"{ testserver.Main(m) }")
	}
	if shared.servers == nil {
		shared.servers = make(map[string]*sharedServer)
	}
	s := shared.servers[name]
	if s == nil {
		s = new(sharedServer)
		shared.servers[name] = s
	}
	shared.Unlock()
	s.once.Do(func() {
		var what kind
		if what, s.err = k(); s.err == nil {
			s.server, s.err = start(what)
		}
	})
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.server
}

func endShared() {
	shared.Lock()
	defer shared.Unlock()
	for _, s := range shared.servers {
		if s.server != nil {
			s.server.remove()
		}
	}
	shared.servers, shared.allowed = nil, false
}
