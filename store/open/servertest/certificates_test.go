package servertest

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// certified is a server that shows a certificate and wants one.
type certified struct {
	name string
	// start starts one at an address for TLS alone, which trusts an authority. present has it show
	// the certificate in two files to those who connect from then on.
	start func(t *testing.T, a *testserver.Authority, cert, key string) (
		s *testserver.Server, present func(cert, key string))
	url         string // with the address, and the files of the authority, the certificate and the key
	keeps       bool   // connections, when it shows another certificate
	readsAnew   bool   // the client's certificate, for each connection
	notTrusting string // what an error says to a client without a certificate
}

var certifiedKinds = []certified{
	{
		name: "redis", keeps: true, readsAnew: true, notTrusting: "certificate",
		url: "rediss://%s/0?ca_file=%s&cert_file=%s&key_file=%s",
		start: func(t *testing.T, a *testserver.Authority, cert, key string) (
			*testserver.Server, func(cert, key string)) {
			s := testserver.Redis(t)
			addr := freeAddr(t)
			_, port, _ := net.SplitHostPort(addr)
			redisDo(t, s, "CONFIG", "SET", "tls-ca-cert-file", a.CAFile, "tls-cert-file", cert,
				"tls-key-file", key, "tls-auth-clients", "yes", "tls-port", port)
			return &testserver.Server{Addr: addr}, func(cert, key string) {
				redisDo(t, s, "CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key)
			}
		},
	},
	{
		name: "postgresql", keeps: true, notTrusting: "certificate",
		url: "postgres://freshet@%s/freshet?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s",
		start: func(t *testing.T, a *testserver.Authority, cert, key string) (
			*testserver.Server, func(cert, key string)) {
			s := testserver.Postgres(t)
			clear := &testserver.Server{URL: s.URL}
			if err := os.WriteFile(filepath.Join(s.Dir, "data", "pg_hba.conf"), []byte(
				`hostnossl all freshet 127.0.0.1/32 trust
hostssl all freshet 127.0.0.1/32 trust clientcert=verify-ca`), 0o600); err != nil {
				t.Fatal(err)
			}
			present := func(cert, key string) {
				var words []string
				for name, file := range map[string]string{"cert": cert, "key": key, "ca": a.CAFile} {
					copied := filepath.Join(s.Dir, "ssl-"+name)
					text, err := os.ReadFile(file)
					if err == nil {
						err = os.WriteFile(copied, text, 0o600)
					}
					if err != nil {
						t.Fatal(err)
					}
					s.Own(copied)
					words = append(words, fmt.Sprintf("ALTER SYSTEM SET ssl_%s_file = '%s'", name, copied))
				}
				postgresDo(t, clear, append(words, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")...)
			}
			present(cert, key)
			return s, present
		},
	},
	{
		name: "http", readsAnew: true, notTrusting: "status 400",
		url: "https+store://%s?allow=127.0.0.1&ca_file=%s&cert_file=%s&key_file=%s",
		start: func(t *testing.T, a *testserver.Authority, cert, key string) (
			*testserver.Server, func(cert, key string)) {
			s := testserver.Nginx(t, func(s *testserver.Server) string {
				return fmt.Sprintf(`server { listen %s ssl;
				ssl_certificate %s; ssl_certificate_key %s;
				ssl_client_certificate %s; ssl_verify_client on; location / {
				root %s/values; dav_methods PUT DELETE; create_full_put_path on; } }`,
					s.Addr, cert, key, a.CAFile, s.Dir)
			})
			return s, func(newCert, newKey string) {
				reconfigure(t, s, "ssl_certificate "+cert, "ssl_certificate "+newCert,
					"ssl_certificate_key "+key, "ssl_certificate_key "+newKey)
				cert, key = newCert, newKey
			}
		},
	},
}

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	p := testserver.Proxy(t, "127.0.0.1:1") // a port that is free once the proxy refuses
	p.Refuse()
	return p.Addr
}

// A certificate ends, of the server's or of ours. Connections that exist go on. No new one is made:
// handlers answer, the log says why, and with a new certificate hits come back, without a restart
// of ours. At the start, each is an error of one line.
func TestCertificatesThatEnd(t *testing.T) {
	for _, k := range certifiedKinds {
		t.Run(k.name, func(t *testing.T) {
			authority, dir := testserver.NewAuthority(t), t.TempDir()
			well, over := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
			issue := func(name string, ends time.Time) (cert, key string) {
				cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key.pem")
				authority.Issue("freshet", cert, key, ends)
				return cert, key
			}
			cert, key := issue("server", well)
			server, present := k.start(t, authority, cert, key)
			cert, key = issue("client", well)
			with := func(ca, cert, key string) string {
				return fmt.Sprintf(k.url, server.Addr, url.PathEscape(ca), url.PathEscape(cert),
					url.PathEscape(key))
			}
			server.URL = with(authority.CAFile, cert, key)
			eventually(t, "the server has its certificate", func() bool {
				return starts(t, server.URL) == nil
			})
			a := newApp(t, server)
			// no connection is made while this is so
			refused := func(why string) {
				t.Helper()
				eventually(t, "an outcome that says that the store fails", func() bool {
					a.proxy.Drop()
					return strings.Contains(a.ask("/before"), "store-error")
				})
				a.change("/before")
				for i := range 20 {
					a.ask(fmt.Sprint("/during/", i))
				}
				if _, err := a.store.Health(t.Context()); err == nil || !strings.Contains(err.Error(), why) {
					t.Errorf("health says %v, and not %q", err, why)
				}
				if text := a.log.String(); strings.Count(text, "\n") > 12 {
					t.Errorf("many lines in the log:\n%s", text)
				}
			}
			mended := func() {
				t.Helper()
				a.asks("/after", "hit")
				a.asks("/before", "hit")
			}
			a.asks("/before", "hit")
			present(issue("expired", over))
			if k.keeps {
				a.asks("/before", "hit")
			}
			refused("expired")
			present(issue("renewed", well))
			mended()
			if k.readsAnew {
				issue("client", over)
				refused("")
				issue("client", well)
				mended()
			}
			a.stop()
			a.leavesNothing()

			another := testserver.NewAuthority(t)
			strange, itsKey := filepath.Join(dir, "strange.pem"), filepath.Join(dir, "strange.key")
			another.Issue("freshet", strange, itsKey, well)
			for story, c := range map[string]struct{ url, says string }{
				"another authority":     {with(another.CAFile, cert, key), "certificate signed by unknown authority"},
				"another's client":      {with(authority.CAFile, strange, itsKey), ""},
				"no such file":          {with(authority.CAFile+"x", cert, key), "ca.pemx"},
				"of another key":        {with(authority.CAFile, cert, itsKey), "private key does not match"},
				"no client certificate": {without(server.URL), k.notTrusting},
			} {
				err := starts(t, c.url)
				if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v; want an error of one line with %q", story, err, c.says)
				}
				t.Log(story, err)
			}
		})
	}
}

// without is a URL without a certificate of the client's.
func without(rawURL string) string {
	before, query, _ := strings.Cut(rawURL, "?")
	var rest []string
	for option := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(option, "=")
		if !strings.HasSuffix(name, "cert_file") && !strings.HasSuffix(name, "key_file") &&
			name != "sslcert" && name != "sslkey" {
			rest = append(rest, option)
		}
	}
	return before + "?" + strings.Join(rest, "&")
}

// starts opens a store and closes it.
func starts(t *testing.T, rawURL string) error {
	t.Helper()
	b, _, end, err := open.Backend(rawURL, open.Options{})
	if err != nil {
		return err
	}
	store.Migrate(t.Context(), b, false) // where it fails, so does what follows
	end()
	s, err := open.URL(t.Context(), rawURL, open.Options{Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		s.Close()
	}
	return err
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 15 seconds: %s", what)
		}
	}
}
