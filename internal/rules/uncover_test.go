package rules

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// What stood in a header is put back beside a response that was copied over it.
func TestUncover(t *testing.T) {
	type fields = http.Header
	for name, s := range map[string]struct {
		h, was    http.Header
		announced bool
		want      http.Header
	}{
		"nothing": {fields{"Vary": {"A"}}, fields{"X": {"y"}}, true, fields{"Vary": {"A"}}},
		"Vary": {fields{"Vary": {"A, B"}}, fields{"Vary": {"b", "C, a"}}, false,
			fields{"Vary": {"A, B", "C, a"}}},
		"Vary: *": {fields{"Vary": {"A"}}, fields{"vary": {"*"}}, false, fields{"Vary": {"A", "*"}}},
		"a lifetime in the place of the cache's": {
			fields{"Cache-Control": {"max-age=60"}, "Expires": {"later"}, "Cdn-Cache-Control": {"max-age=9"}},
			fields{"Cache-Control": {"no-store"}}, true, fields{"Cache-Control": {"no-store"}}},
		"Expires in the place of the cache's": {
			fields{"Cache-Control": {"max-age=60"}, "Expires": {"later"}},
			fields{"Expires": {"0"}}, true, fields{"Expires": {"0"}}},
		"the handler's own": {fields{"Cache-Control": {"max-age=60"}}, fields{"Cache-Control": {"no-store"}}, false,
			fields{"Cache-Control": {"max-age=60"}}},
	} {
		if Uncover(s.h, s.was, &policy.Policy{CDNTTL: 9 * time.Second}, s.announced); !reflect.DeepEqual(s.h, s.want) {
			t.Errorf("%s: %v, want %v", name, s.h, s.want)
		}
	}
}
