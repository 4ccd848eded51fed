package servertest

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/freshet-go/freshet/internal/cachekitserver"
	"github.com/freshet-go/freshet/internal/testserver"
)

// cachekitApp is in the environment of a process that serves as CachekitIO does.
const cachekitApp = "FRESHET_TEST_CACHEKIT"

const cachekitKey = "ck_sdk_secret"

// cachekit is a server of our own that answers as CachekitIO does, by TLS and HTTP/2. It has no
// journal.
var cachekit = kind{
	name: "cachekit",
	start: func(t testing.TB) *testserver.Server {
		s := testserver.App(t, cachekitApp+"=1")
		ca := filepath.Join(s.Dir, "ca.pem")
		block := pem.Block{Type: "CERTIFICATE", Bytes: certificate().Certificate[0]}
		if err := os.WriteFile(ca, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(err)
		}
		s.URL = "cachekit://" + cachekitKey + "@" + s.Addr + "?allow_custom_host=true&allow=127.0.0.1" +
			"&ca_file=" + url.QueryEscape(ca)
		return s
	},
	refusals: []refusal{
		{story: "no room", begin: func(t *testing.T, s *testserver.Server) func() {
			return refuseWrites(t, s, "full")
		}},
		{story: "read-only", begin: func(t *testing.T, s *testserver.Server) func() {
			return refuseWrites(t, s, "read-only")
		}},
	},
}

// refuseWrites has the server refuse writes for as long as that file is in its folder.
func refuseWrites(t *testing.T, s *testserver.Server, name string) func() {
	t.Helper()
	name = filepath.Join(s.Dir, name)
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() { os.Remove(name) }
}

// certificate is one for 127.0.0.1, always the same.
func certificate() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}

func serveCachekit() {
	inner := cachekitserver.New(cachekitKey)
	testserver.ServeAppTLS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			for name, status := range map[string]int{"full": http.StatusInsufficientStorage,
				"read-only": http.StatusForbidden} {
				if _, err := os.Stat(name); err == nil {
					w.WriteHeader(status)
					return
				}
			}
		}
		inner.ServeHTTP(w, r)
	}), &tls.Config{Certificates: []tls.Certificate{certificate()}})
}
