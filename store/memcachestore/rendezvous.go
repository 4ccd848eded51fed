package memcachestore

import (
	"net"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// server is one server. It is the net.Addr that the client dials; its text is host:port as
// configured, and resolved when a connection is made.
type server struct {
	address string
	hash    uint64
	breaker breaker
}

func (s *server) Network() string { return "tcp" }
func (s *server) String() string  { return s.address }

// servers choose a server for each key, by rendezvous hashing: the one whose hash together with the
// key's is greatest. Which there are does not change.
type servers struct {
	all []*server
}

var _ memcache.ServerSelector = (*servers)(nil)

func newServers(addresses []string) *servers {
	s := new(servers)
	for _, a := range addresses {
		s.all = append(s.all, &server{address: a, hash: mix(textHash(a)),
			breaker: breaker{start: time.Now()}})
	}
	return s
}

// PickServer implements memcache.ServerSelector.
func (s *servers) PickServer(key string) (net.Addr, error) { return s.pick(key), nil }

// Each implements memcache.ServerSelector.
func (s *servers) Each(f func(net.Addr) error) error {
	for _, a := range s.all {
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}

// named returns the server with an address, or nil.
func (s *servers) named(address string) *server {
	for _, a := range s.all {
		if a.address == address {
			return a
		}
	}
	return nil
}

func (s *servers) pick(key string) *server {
	if len(s.all) == 1 {
		return s.all[0]
	}
	h := textHash(together(key))
	best, greatest := s.all[0], uint64(0)
	for _, a := range s.all {
		if score := mix(a.hash ^ h); score > greatest {
			best, greatest = a, score
		}
	}
	return best
}

// together is the part of a key by which its server is chosen: all that a journal keeps lies on
// one.
func together(key string) string {
	if strings.HasPrefix(key, journalKeys) {
		return key[:strings.LastIndexByte(key, '~')]
	}
	return key
}

// textHash is FNV-1a. All who share the servers must agree on it, now and later.
func textHash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix spreads every bit over all: the end of SplitMix64. As textHash, it must stay as it is.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
