package memcachestore

import "net"

// server is one server. It is the net.Addr that the client dials; its text is host:port as
// configured, and resolved when a connection is made.
type server struct {
	address string
	hash    uint64
	health  health
}

func (s *server) Network() string { return "tcp" }
func (s *server) String() string  { return s.address }

// servers choose a server for each key, by rendezvous hashing: of those that are in use, the one
// whose hash together with the key's is greatest. So where one is left out, its keys spread over the
// others, and the others' keys stay. Who is left out changes, the rest does not.
type servers struct {
	all []*server
}

func newServers(addresses []string) *servers {
	s := new(servers)
	for _, a := range addresses {
		s.all = append(s.all, &server{address: a, hash: mix(textHash(a))})
	}
	return s
}

// PickServer implements memcache.ServerSelector.
func (s *servers) PickServer(key string) (net.Addr, error) { return s.place(key), nil }

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

// home is the server of a key when all are in use.
func (s *servers) home(key string) *server {
	return s.best(key, func(*server) bool { return true })
}

// place is the server of a key now: its home, unless that is left out and another one is not.
func (s *servers) place(key string) *server {
	home := s.home(key)
	if !home.health.out.Load() {
		return home
	}
	if other := s.best(key, func(a *server) bool { return !a.health.out.Load() }); other != nil {
		return other
	}
	return home
}

// best is the server of a key among some, or nil if there are none.
func (s *servers) best(key string, among func(*server) bool) (best *server) {
	if len(s.all) == 1 && among(s.all[0]) {
		return s.all[0]
	}
	h := textHash(key)
	greatest := uint64(0)
	for _, a := range s.all {
		if score := mix(a.hash ^ h); among(a) && (best == nil || score > greatest) {
			best, greatest = a, score
		}
	}
	return best
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
