package freshettest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/freshettest"
	"github.com/freshet-go/freshet/store/memstore"
)

// failing stands in for a test, to see what an assertion says.
type failing struct {
	testing.TB
	said []string
}

func (f *failing) Helper() {}
func (f *failing) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }

func TestAssertionsFail(t *testing.T) {
	answer := func(status string) *http.Response {
		resp := &http.Response{Header: http.Header{}}
		if status != "" {
			resp.Header.Set("Cache-Status", status)
		}
		return resp
	}
	assertions := map[string]func(testing.TB, *http.Response){
		"Hit": freshettest.Hit, "Miss": freshettest.Miss, "Stored": freshettest.Stored,
		"NotStored": freshettest.NotStored,
	}
	for _, c := range []struct{ status, pass string }{
		{"", ""},
		{"Freshet; hit; ttl=3", "Hit"},
		{"Freshet; fwd=uri-miss; stored", "Miss Stored"},
		{"Freshet; fwd=uri-miss; collapsed", "Miss NotStored"},
		{"Freshet; fwd=bypass; detail=off", "Miss NotStored"},
		{"Freshet; detail=only-if-cached", "NotStored"},
	} {
		for name, assert := range assertions {
			f := &failing{}
			func() {
				defer func() {
					if v := recover(); v != nil && v != any(f) {
						panic(v)
					}
				}()
				assert(f, answer(c.status))
			}()
			if passed := len(f.said) == 0; passed != strings.Contains(" "+c.pass+" ", " "+name+" ") {
				t.Errorf("%s of %q: passed %v, said %q", name, c.status, passed, f.said)
			}
		}
	}
}

// A test of an app says which of its pages come from the store.
func Example() {
	keep := memstore.New(1 << 20)
	defer keep.Close()
	app := freshet.New(keep, freshet.Options{}).Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if r.URL.Path == "/news" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, "hello")
	}))

	var t testing.TB = exampleTest{} // in a test: its t
	freshettest.Miss(t, freshettest.Get(t, app, "/news"))
	freshettest.Hit(t, freshettest.Get(t, app, "/news"))
	freshettest.Miss(t, freshettest.Get(t, app, "/news?page=2"))
	freshettest.NotStored(t, freshettest.Get(t, app, "/me", "Cookie", "sid=alice"))

	again := freshettest.Get(t, app, "/news")
	fmt.Println(freshettest.StatusOf(again.Header).Hit, again.Header.Get("Age"))
	fmt.Println(freshettest.StatusOf(freshettest.Get(t, app, "/me").Header).Detail)
	// Output:
	// true 0
	// no-lifetime
}

// exampleTest is a testing.TB for an example, which has none.
type exampleTest struct{ testing.TB }

func (exampleTest) Helper()                           {}
func (exampleTest) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
