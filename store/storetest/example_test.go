package storetest_test

import (
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
)

// In the tests of a backend of yours:
func ExampleRunBackend() {
	_ = func(t *testing.T) { // func TestBackend(t *testing.T)
		storetest.RunBackend(t, func(t *testing.T) store.Backend {
			b := memstore.NewBackend(64 << 20) // yours, empty, for each rule
			t.Cleanup(func() { b.Close() })
			return b
		})
	}
}
