package drivers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func nothing(string) (store.Backend, error) { return nil, nil }

// What is wrong with a driver is one sentence in a panic at the start, and leaves nothing behind.
func TestRegisterPanics(t *testing.T) {
	Register(Driver{Kind: "bolt", Schemes: []string{"bolt", "bolts"}, Open: nothing})
	for _, test := range []struct {
		d    Driver
		says string
	}{
		{Driver{Kind: "bolt", Schemes: []string{"other"}, Open: nothing},
			`there is a driver "bolt" already`},
		{Driver{Kind: "lightning", Schemes: []string{"light", "bolts"}, Open: nothing},
			`bolts:// belongs to the driver "bolt" already; driver "lightning" needs another scheme`},
		{Driver{Kind: "", Schemes: []string{"a"}, Open: nothing}, `kind ""`},
		{Driver{Kind: "My Kind", Schemes: []string{"a"}, Open: nothing}, `kind "My Kind"`},
		{Driver{Kind: "a", Open: nothing}, `driver "a" has no schemes`},
		{Driver{Kind: "a", Schemes: []string{"a"}}, `driver "a" has no Open`},
		{Driver{Kind: "a", Schemes: []string{"A"}, Open: nothing},
			`the scheme "A"; a scheme is written without ://`},
		{Driver{Kind: "a", Schemes: []string{"a://"}, Open: nothing}, `the scheme "a://"`},
		{Driver{Kind: "a", Schemes: []string{"a", "b", "a"}, Open: nothing},
			`names the scheme "a" twice`},
	} {
		before := len(All())
		said := panicOf(func() { Register(test.d) })
		if !strings.HasPrefix(said, "drivers: Register: ") || !strings.Contains(said, test.says) {
			t.Errorf("Register(%+v): panic %q; want one that says %q", test.d, said, test.says)
		}
		if len(All()) != before {
			t.Errorf("Register(%+v) has registered it", test.d)
		}
	}
}

func panicOf(f func()) (said string) {
	defer func() {
		if p := recover(); p != nil {
			said = fmt.Sprint(p)
		}
	}()
	f()
	return ""
}

// A driver belongs to the registry: a change of a copy changes nothing there.
func TestNobodyChangesARegisteredDriver(t *testing.T) {
	schemes := []string{"leaf"}
	Register(Driver{Kind: "leaf", Schemes: schemes, Open: nothing})
	schemes[0] = "stone"
	for i, d := range All() {
		d.Schemes[0] = "stone"
		All()[i].Kind = "stone"
	}
	for _, d := range All() {
		if d.Kind == "stone" || d.Schemes[0] == "stone" {
			t.Errorf("a registered driver was changed: %+v", d)
		}
	}
}
