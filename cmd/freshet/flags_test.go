package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNetworksOfPurges(t *testing.T) {
	got, err := readNetworks("127.0.0.1, 10.1.2.3/8,::1, 2001:db8::/32,0.0.0.0/0")
	want := []string{"127.0.0.1/32", "10.0.0.0/8", "::1/128", "2001:db8::/32", "0.0.0.0/0"}
	var text []string
	for _, network := range got {
		text = append(text, network.String())
	}
	if err != nil || !slices.Equal(text, want) {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
}

func TestHostsOfPurges(t *testing.T) {
	got, err := readHosts("A.example, b.example:80,c.example:443,d.example:8080,[::1]:80")
	if want := []string{"a.example", "b.example", "c.example", "d.example:8080", "[::1]"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"", "a,", "a/b", "u@a", "http://a", "a b", "ä.example", "a:b",
		":80", "a?b", "*"} {
		if got, err := readHosts(bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

// No text crashes what reads a flag, and each network is one that addresses are compared with.
func FuzzLists(f *testing.F) {
	for _, seed := range []string{"127.0.0.1,::1/64", "http://a,http://b", "a.example:80", ",", "%",
		"::ffff:1.2.3.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := readNetworks(text)
		for _, network := range networks {
			if !network.Contains(network.Addr()) || network != network.Masked() ||
				network.Addr().Unmap() != network.Addr() {
				t.Errorf("%q: %v", text, network)
			}
		}
		if err != nil && networks != nil {
			t.Errorf("%q: %v with an error", text, networks)
		}
		readHosts(text)
		readUpstreams(text)
	})
}

// A wrong value is shown without its password: a service's log keeps what it says.
func TestAWrongFlagHidesItsPassword(t *testing.T) {
	for _, upstream := range []string{"http://me:secret@127.0.0.1:1", "ftp://me:secret@h",
		"http://me:secret@bad host/"} {
		_, _, err := parseProxyFlags([]string{"--upstream", upstream})
		if err == nil || strings.Contains(err.Error(), "secret") ||
			!strings.Contains(err.Error(), "***") {
			t.Errorf("--upstream %s: %v", upstream, err)
		}
	}
}
