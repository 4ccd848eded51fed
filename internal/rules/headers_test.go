package rules

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestHopByHop(t *testing.T) {
	for _, c := range []struct {
		why  string
		h    http.Header
		want []string
	}{
		{"nothing of the kind", http.Header{"Etag": {`"a"`}, "Cache-Control": {"no-store"}}, nil},
		{"what RFC 9110 section 7.6.1 names", http.Header{"Keep-Alive": {"5"}, "Te": {"trailers"},
			"Transfer-Encoding": {"gzip"}, "Upgrade": {"h2c"}, "Etag": {`"a"`}},
			[]string{"Keep-Alive", "Te", "Transfer-Encoding", "Upgrade"}},
		{"what a proxy acts on", http.Header{"Proxy-Authenticate": {"Basic"},
			"Proxy-Authentication-Info": {"x"}, "Proxy-Authorization": {"x"},
			"Proxy-Connection": {"close"}},
			[]string{"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
				"Proxy-Connection"}},
		{"trailers are announced by the entry's own", http.Header{"Trailer": {"X-Sum"}},
			[]string{"Trailer"}},
		{"what Connection nominates, over several lines and in any case",
			http.Header{"Connection": {"close, x-secret", "\tX-OTHER ,,"}, "X-Secret": {"1"},
				"X-Other": {"2"}, "X-Third": {"3"}},
			[]string{"Connection", "X-Other", "X-Secret"}},
		{"a nominated field that is not there", http.Header{"Connection": {"X-Secret"}},
			[]string{"Connection"}},
		{"nominated twice", http.Header{"Connection": {"upgrade, Upgrade, X-A, x-a"},
			"Upgrade": {"h2c"}, "X-A": {"1"}}, []string{"Connection", "Upgrade", "X-A"}},
	} {
		if got := HopByHop(c.h); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

func TestCanonicalOverlooksNoSpelling(t *testing.T) {
	plain := http.Header{"Set-Cookie": {"a=b"}}
	if got := Canonical(plain); !sameMap(got, plain) {
		t.Errorf("a canonical header is not copied: got %v", got)
	}
	wild := http.Header{"set-cookie": {"a=b"}, "SET-COOKIE": {"c=d"}, "Set-Cookie": {"e=f"},
		"ETag": {`"x"`}}
	got := Canonical(wild)
	want := http.Header{"Set-Cookie": {"c=d", "e=f", "a=b"}, "Etag": {`"x"`}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(wild) != 4 || len(wild["Set-Cookie"]) != 1 {
		t.Errorf("the handler's header was modified: %v", wild)
	}
}

func sameMap(a, b http.Header) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

func TestStorable(t *testing.T) {
	h := http.Header{
		"Content-Type": {"text/plain"}, "set-cookie": {"id=alice"}, "Connection": {"close"},
		http.TrailerPrefix + "X-Sum": {"1"},
		"Link":                       {"</a>"},
	}
	s := Storable(h, []string{"Set-Cookie", "Connection"})
	if want := (http.Header{"Content-Type": {"text/plain"}, "Link": {"</a>"}}); !maps.EqualFunc(s, want, slices.Equal) {
		t.Fatalf("stored %v, want %v", s, want)
	}
	if len(h) != 5 {
		t.Errorf("the handler's header was modified: %v", h)
	}
}

// What the handler's wrappers append later must not be seen by those who read the stored header.
func TestStorableValuesHaveNoRoomForMore(t *testing.T) {
	h := http.Header{"Link": append(make([]string, 0, 4), "</a>")}
	s := Storable(h, nil)
	appended := append(s["Link"], "</stored>")
	if later := append(h["Link"], "</handler>"); later[1] != "</handler>" ||
		appended[1] != "</stored>" {
		t.Errorf("the two share it: %v, %v", later, appended)
	}
}

func FuzzHopByHop(f *testing.F) {
	f.Add("close, X-A", "Keep-Alive")
	f.Add(",,\t, x-a ,", "")
	f.Add(strings.Repeat("a,", 1000), "\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		h := http.Header{"Connection": {a, b}, "X-A": {"1"}, "Keep-Alive": {"1"}, "Etag": {`"e"`}}
		s := Storable(h, HopByHop(h))
		if s["Connection"] != nil || s["Keep-Alive"] != nil {
			t.Errorf("stored %v", s)
		}
		for _, name := range HopByHop(h) {
			if s[name] != nil {
				t.Errorf("stored %q", name)
			}
		}
	})
}
