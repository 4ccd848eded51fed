package open

import (
	"net/url"
	"strings"
	"testing"
)

// An option that neither the driver nor this package knows is refused with all that there are, and
// a guess.
func TestAnUnknownOptionIsRefusedWithAll(t *testing.T) {
	for rawURL, says := range map[string][]string{
		"file:///tmp/x?prfix=a":    {"allowed are fsync, max_bytes", ", prefix, start", "did you mean prefix?"},
		"file:///tmp/x?max_byte=1": {"did you mean max_bytes?"},
		"file:///tmp/x?colour=red": {"for every store there are compress, "},
		"memory://?neer=1MiB":      {"allowed is max_bytes; for every store", "did you mean near?"},
	} {
		_, err := URL(t.Context(), rawURL, Options{})
		if err == nil {
			t.Fatalf("%s is opened", rawURL)
		}
		for _, each := range says {
			if !strings.Contains(err.Error(), each) {
				t.Errorf("%s: %v, want %q in it", rawURL, err, each)
			}
		}
		if strings.Contains(rawURL, "colour") && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: a wild guess: %v", rawURL, err)
		}
	}
}

// What is listed for every store is what is taken out of a URL.
func TestTheGeneralOptionsAreTaken(t *testing.T) {
	for _, name := range general {
		p := &parsed{query: url.Values{name: {""}, "pool_size": {"7"}}}
		p.takeOptions()
		if p.query.Has(name) || !p.query.Has("pool_size") {
			t.Errorf("%s is left to the driver", name)
		}
	}
}
