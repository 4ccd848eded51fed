package memstore

import (
	"context"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("memstore")

// begin returns why an operation on a key cannot begin, or nil. Each operation calls it first.
func begin(ctx context.Context, op, key string) error {
	if ended := fault.Ended(ctx, nil); ended != nil {
		return fail(op, key, ended)
	}
	return driver.CheckKey(op, key)
}

// fail returns an error of this backend. All of them are about the call or its context: memory is
// never unwell.
func fail(op, key string, err error) error {
	kind := store.KindOf(err)
	if kind == store.KindUnknown {
		kind = store.KindPermanent
	}
	return driver.Fail(op, key, kind, err)
}
