package freshettest

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  Status
	}{
		{nil, Status{}},
		{[]string{""}, Status{}},
		{[]string{"Freshet; hit; ttl=30"}, Status{Cache: "Freshet", Hit: true,
			TTL: 30 * time.Second, HasTTL: true}},
		{[]string{"Freshet; hit; ttl=-1"}, Status{Cache: "Freshet", Hit: true, TTL: -time.Second,
			HasTTL: true}},
		{[]string{"Freshet; hit=?0"}, Status{Cache: "Freshet"}},
		{[]string{"Origin; hit, Freshet; fwd=stale; fwd-status=304; stored; collapsed"},
			Status{Cache: "Freshet", Fwd: "stale", FwdStatus: 304, Stored: true, Collapsed: true}},
		{[]string{"Origin; hit", "Freshet; fwd=bypass; detail=off"},
			Status{Cache: "Freshet", Fwd: "bypass", Detail: "off"}},
		{[]string{`"my, \"own\"; cache"; fwd=miss; detail="a, b; c"; key="GET x"`},
			Status{Cache: `my, "own"; cache`, Fwd: "miss", Detail: "a, b; c", Key: "GET x"}},
		{[]string{`Freshet; ttl=soon; fwd-status=x; unknown`}, Status{Cache: "Freshet"}},
	} {
		if got := StatusOf(http.Header{"Cache-Status": c.lines}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.lines, got, c.want)
		}
	}
}

// What is read of any field is what the field says of one member, whatever stands before it.
func FuzzStatusOf(f *testing.F) {
	for _, s := range []string{"Freshet; hit", `"a\"b"; detail="x,y"`, `"`, `a;b="`, `;;=,=`,
		`x; ttl=99999999999999999999`, `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		alone := StatusOf(http.Header{"Cache-Status": {s}})
		if strings.ContainsAny(s, `,"\`) {
			return
		}
		behind := StatusOf(http.Header{"Cache-Status": {`Origin; detail="a, b"`, s}})
		if alone != behind {
			t.Errorf("%q alone is %+v, behind another %+v", s, alone, behind)
		}
	})
}
