package open

import (
	"errors"
	"os"
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
)

// These tests ask no server, so that stand-ins for the drivers suffice. An app that imports package
// open tidies the modules of these tests into its go.sum; those with real drivers are in
// servertest.
func TestMain(m *testing.M) {
	for _, s := range shipped {
		drivers.Register(drivers.Driver{Kind: s.kind, Schemes: s.schemes,
			Open: func(string) (store.Backend, error) {
				return nil, errors.New("a stand-in")
			}})
	}
	os.Exit(m.Run())
}
