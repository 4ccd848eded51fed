package redisstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

func TestSentinels(t *testing.T) {
	sentinels, name, master := testserver.RedisSentinel(t)
	b := open(t, "redis+sentinel://"+strings.Join(sentinels, ",")+"/0?master="+name)
	if err := b.Set(t.Context(), key, []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if direct, err := open(t, master.URL).Get(t.Context(), key); string(direct) != "v" || err != nil {
		t.Errorf("the master has %q, %v", direct, err)
	}
	j := b.Journal("p")
	before := appendMarks(t, j, tag(1))
	renew(t, j.(*journal), "a")

	master.Kill()
	deadline := time.Now().Add(30 * time.Second)
	for b.Set(t.Context(), key, []byte("after"), time.Hour) != nil {
		if time.Now().After(deadline) {
			t.Fatal("no Set has succeeded since the master was killed")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got, err := b.Get(t.Context(), key); string(got) != "after" || err != nil {
		t.Errorf("after the failover: %q, %v", got, err)
	}
	// The replica may not have got the newest marks.
	wantReset(t, j, before)
	renew(t, j.(*journal), "a")
	wantMembers(t, j.(*journal), "a")
}

func TestAClusterWithoutOneOfItsMasters(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	b := open(t, clusterURL(nodes)+"?timeout=500ms&dial_timeout=200ms")
	h, err := b.Health(t.Context())
	if err != nil || h.Details["masters"] != "3" || h.Details["cluster_state"] != "ok" ||
		h.Details[nodes[0].Addr+" role"] != "master" {
		t.Errorf("Health: %v, %v", h, err)
	}
	nodes[1].Kill()
	_, err = b.Health(t.Context())
	wantError(t, err, store.KindTransient)
	if err == nil || !strings.Contains(err.Error(), nodes[1].Addr) {
		t.Errorf("the error does not name %s: %v", nodes[1].Addr, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = b.Flush(ctx, "a")
	if err == nil {
		t.Error("Flush without one of the masters reports success")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a Flush with a deadline of 200ms took %v", took)
	}
}

func TestHealth(t *testing.T) {
	b := open(t, strings.Replace(testserver.Redis(t, "--requirepass", "secret").URL, "//",
		"//:secret@", 1))
	h, err := b.Health(t.Context())
	if err != nil || h.Backend != "redis" || h.Latency <= 0 {
		t.Errorf("Health: %+v, %v", h, err)
	}
	for _, name := range []string{"redis_version", "role", "used_memory", "connected_clients",
		"maxmemory_policy"} {
		if h.Details[name] == "" {
			t.Errorf("Health's details lack %s: %v", name, h.Details)
		}
	}
	for name, value := range h.Details {
		if strings.Contains(name+value, "secret") {
			t.Errorf("Health tells the password: %s: %s", name, value)
		}
	}
}

func TestTLS(t *testing.T) {
	ca, cert, key := certificate(t)
	s := testserver.Redis(t)
	addr := overTLS(t, s, cert, key)
	for _, tt := range []struct {
		options, want string
	}{
		{"", "certificate"},
		{"?ca_file=" + url.QueryEscape(ca), ""},
		{"?ca_file=" + url.QueryEscape(ca) + "&server_name=another.example", "another.example"},
		{"?ca_file=" + url.QueryEscape(ca) + "&server_name=cache.example", ""},
	} {
		c, err := ParseURL("rediss://" + addr + tt.options)
		if err != nil {
			t.Fatal(err)
		}
		b, err := healthy(t, c)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v; want an error with %q", tt.options, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.options, err)
			continue
		}
		defer b.Close()
		if err := b.Set(t.Context(), "k", []byte("v"), time.Hour); err != nil {
			t.Error(err)
		}
		if got, err := b.Get(t.Context(), "k"); string(got) != "v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := open(t, s.URL).Get(t.Context(), "k"); string(got) != "v" || err != nil {
		t.Errorf("without TLS: %q, %v", got, err)
	}
	notPEM := filepath.Join(t.TempDir(), "x")
	os.WriteFile(notPEM, []byte("x"), 0o600)
	for _, file := range []string{notPEM, filepath.Join(t.TempDir(), "absent")} {
		if _, err := New(Config{TLS: true, CAFile: file}); err == nil || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("New with a bad file of certificates: %v", err)
		}
	}
}

// overTLS has the server listen on a second port.
func overTLS(t *testing.T, s *testserver.Server, cert, key string) (addr string) {
	client := open(t, s.URL).client
	p := testserver.Proxy(t, "127.0.0.1:1") // a port that is free once the proxy refuses
	p.Refuse()
	_, port, _ := strings.Cut(p.Addr, ":")
	err := client.Do(t.Context(), "CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key,
		"tls-auth-clients", "no", "tls-port", port).Err()
	if err != nil && strings.Contains(err.Error(), "Unknown option") {
		testserver.Missing(t, "a redis-server with TLS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Addr
}

// certificate makes one for 127.0.0.1 and cache.example that is its own authority, which Redis can
// read.
func certificate(t *testing.T) (ca, cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cache.example"},
		DNSNames: []string{"cache.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey,
		private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}),
			0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert = write("cert.pem", "CERTIFICATE", signed)
	return cert, cert, write("key.pem", "EC PRIVATE KEY", der)
}

func TestNewFrom(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: testserver.SharedRedis(t).Addr})
	defer client.Close()
	b, err := NewFrom(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("Close has closed the caller's client: %v", err)
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	for _, client := range []redis.UniversalClient{nil, ring} {
		if _, err := NewFrom(client); err == nil {
			t.Errorf("NewFrom takes %T", client)
		}
	}
}

func TestAClosedBackend(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	for call, err := range everyCall(t.Context(), b) {
		t.Run(call, func(t *testing.T) { wantError(t, err, store.KindPermanent) })
	}
}

// PoolTimeout bounds the wait for a connection.
func TestAPoolThatIsInUse(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL+"?pool_size=1&pool_timeout=50ms&timeout=5s")
	if _, err := b.Get(t.Context(), key); err != store.ErrNotFound {
		t.Fatal(err)
	}
	s.Pause()
	first := make(chan error, 1)
	go func() { _, err := b.Get(t.Context(), key); first <- err }()
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	_, err := b.Get(t.Context(), key)
	wantError(t, err, store.KindTimeout)
	if took := time.Since(start); took > time.Second {
		t.Errorf("waited %v for a connection, want 50ms", took)
	}
	s.Resume()
	if err := <-first; err != store.ErrNotFound {
		t.Errorf("the call that had the connection: %v", err)
	}
}
