package store_test

import (
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

// The backend that the documentation shows does what the contract asks.
func TestTheExamplesBackend(t *testing.T) {
	storetest.RunBackend(t, func(*testing.T) store.Backend {
		return &drawer{values: make(map[string]kept)}
	})
}
