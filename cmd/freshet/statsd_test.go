package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A proxy sends what becomes of requests, what its store holds, and a timer for each call to a
// backend, and all of it by its end.
func TestTheProxySendsToStatsd(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	a := named("a")
	defer a.Close()
	p := start(t, []string{"FRESHET_STATSD_URL=statsd://" + server.LocalAddr().String(),
		"FRESHET_STATSD_PREFIX=shop"}, "--listen", "127.0.0.1:0", "--upstream", a.URL,
		"--store", "file://"+t.TempDir(), "--rule", "/* = 60s")
	p.get("/1")
	p.get("/1")
	p.stop(syscall.SIGTERM)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got strings.Builder
	packet := make([]byte, 2048)
	want := []string{"shop.proxy.cache.ping:", "shop.proxy.cache.set:", "shop.proxy.requests.hit:1|c",
		"shop.proxy.requests.stored:1|c", "shop.proxy.store_entries.memory:1|g"}
	for missing := want; len(missing) > 0; {
		n, _, err := server.ReadFrom(packet)
		if err != nil {
			t.Fatalf("no %q among\n%s", missing, got.String())
		}
		got.Write(append(packet[:n], '\n'))
		missing = nil
		for _, line := range want {
			if !strings.Contains(got.String(), line) {
				missing = append(missing, line)
			}
		}
	}
}

func TestWrongStatsdSettingsEndTheProxy(t *testing.T) {
	says(t, exitUsage, "STATSD_URL = \"tcp://h\": allowed is statsd://HOST:PORT",
		[]string{"FRESHET_STATSD_URL=tcp://h"}, "proxy", "--upstream", "http://127.0.0.1:9")
	says(t, exitUsage, "allowed are letters", []string{"FRESHET_STATSD_PREFIX=a b"}, "config")
}
