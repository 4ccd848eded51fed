package open

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/internal/spelling"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	_ "github.com/freshet-go/freshet/store/filestore" // file:// needs nobody's client
)

const (
	memory   = "memory"
	cachekit = "cachekit" // the kind, and the scheme
)

// Memory keeps entries, not bytes, and so is no backend; but its scheme is taken.
func init() {
	drivers.Register(drivers.Driver{
		Kind: memory, Schemes: []string{memory},
		Open: func(string) (store.Backend, error) {
			return nil, errors.New("the memory of one process is nothing that another could look " +
				"after")
		},
	})
}

// shipped are our drivers that a program imports when it wants them.
var shipped = []struct {
	kind, path string
	schemes    []string
	more       string // to be said where it is not imported
}{
	{"redis", "github.com/freshet-go/freshet/store/redisstore",
		[]string{"redis", "rediss", "redis+sentinel", "redis+cluster"}, ""},
	{"postgresql", "github.com/freshet-go/freshet/store/pgstore", []string{"postgres",
		"postgresql"}, ""},
	{"memcached", "github.com/freshet-go/freshet/store/memcachestore", []string{"memcached"}, ""},
	{"http", "github.com/freshet-go/freshet/store/httpstore", []string{"http+store", "https+store"}, ""},
	{cachekit, "github.com/freshet-go/freshet/store/cachekitstore", []string{cachekit}, ""},
	{"dynamodb", "github.com/freshet-go/freshet/store/dynamostore", []string{"dynamodb"}, "; the " +
		"freshet command is built without it: in its place, call store.Migrate, store.Probe or " +
		"store.Flush in a program of your own, with open.Backend"},
}

// driverOf returns the driver of a scheme, in lower case, or an error that says how to get one.
func driverOf(scheme string) (drivers.Driver, error) {
	for _, d := range drivers.All() {
		if slices.Contains(d.Schemes, scheme) {
			return d, nil
		}
	}
	for _, s := range shipped {
		if slices.Contains(s.schemes, scheme) {
			return drivers.Driver{}, fmt.Errorf("open: no driver for %s:// is imported: add "+
				"import _ %q%s", scheme, s.path, s.more)
		}
	}
	return drivers.Driver{}, fmt.Errorf("open: no driver for %.30q is imported: allowed are %s",
		scheme+"://", allowedSchemes())
}

// driverOfKind is driverOf, by the kind.
func driverOfKind(kind string) (drivers.Driver, error) {
	var kinds []string // that are imported
	for _, d := range drivers.All() {
		if d.Kind == kind {
			return d, nil
		}
		kinds = append(kinds, d.Kind)
	}
	var others []string
	for _, s := range shipped {
		if s.kind == kind {
			return drivers.Driver{}, fmt.Errorf("no driver of that kind is imported: add import "+
				"_ %q%s", s.path, s.more)
		}
		if !slices.Contains(kinds, s.kind) {
			others = append(others, s.kind)
		}
	}
	return drivers.Driver{}, errors.New("allowed are " + listed(kinds, others))
}

// allowedSchemes says how URLs may begin.
func allowedSchemes() string {
	var imported, others []string
	for _, d := range drivers.All() {
		for _, s := range d.Schemes {
			imported = append(imported, s+"://")
		}
	}
	for _, s := range shipped {
		if !slices.Contains(imported, s.schemes[0]+"://") {
			others = append(others, s.schemes[0]+"://")
		}
	}
	return listed(imported, others)
}

// listed is a text of what the imported drivers know, and of what others of ours would.
func listed(imported, others []string) string {
	slices.Sort(imported)
	text := strings.Join(imported, ", ")
	if len(others) > 0 {
		text += "; with their drivers imported, also " + strings.Join(others, ", ")
	}
	return text
}

// open has the driver open the backend, and encrypts what it keeps if the options say so. The
// caller calls end when it needs the backend no more.
func (p *parsed) open() (b store.Backend, end func() error, err error) {
	keys, err := p.keys() // first: without them, nothing is touched
	if err != nil {
		return nil, nil, p.fail(err)
	}
	b, err = p.driver.Open(p.rest)
	if err == nil && b == nil {
		err = fmt.Errorf("the driver %q returned neither a backend nor an error", p.driver.Kind)
	}
	if err != nil {
		return nil, nil, p.fail(err)
	}
	end = closeOf(b)
	if b, err = p.encrypt(b, keys); err != nil {
		end()
		return nil, nil, p.fail(err)
	}
	return b, end, nil
}

// fail returns a driver's error with the URL. Should the error's text have the URL with its
// password, as that of url.Parse has, it shows it masked.
func (p *parsed) fail(err error) error {
	text := strings.ReplaceAll(err.Error(), p.rest, mask.URL(p.rest)) + moreOptions(err)
	return &failure{text: fmt.Sprintf("open: %s: %s", p.shown, text), cause: err}
}

// moreOptions says of an option that the driver does not know which there are besides the driver's,
// and which was likely meant.
func moreOptions(err error) string {
	unknown, ok := errors.AsType[interface {
		error
		UnknownOption() (name string, known []string)
	}](err)
	if !ok {
		return ""
	}
	text := "; for every store there are " + strings.Join(general, ", ")
	name, known := unknown.UnknownOption()
	best, least := "", 1+len(name)/3
	for _, each := range slices.Concat(general, known) {
		if d := spelling.Distance(name, each); d < least {
			best, least = each, d
		}
	}
	if best != "" {
		text += ": did you mean " + best + "?"
	}
	return text
}

type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// closeOf returns what releases a backend.
func closeOf(b store.Backend) func() error {
	if c, ok := b.(io.Closer); ok {
		return c.Close
	}
	return func() error { return nil }
}
