// Package tier holds what the engine and a store in two tiers say to each other: one near, in this
// process's memory, and one far, where other processes may change what is stored.
package tier

import (
	"context"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// Near is the ability of a store that keeps a part of its entries in this process's memory.
type Near interface {
	// GetNear returns the entry under key if it is near, or nil. It waits for nothing.
	GetNear(key string) *store.Entry
}

// Follower is the ability of a store that keeps copies of what others may invalidate.
type Follower interface {
	// Follow gives the store the replica that it asks before it uses a copy. The engine calls it
	// once, before it uses the store.
	Follow(r *invalidation.Replica)
}

type skipNear struct{}

// SkipNear returns a context with which a Get passes by near copies and asks the far tier.
func SkipNear(ctx context.Context) context.Context {
	return context.WithValue(ctx, skipNear{}, true)
}

// SkipsNear reports whether ctx comes from SkipNear.
func SkipsNear(ctx context.Context) bool { return ctx.Value(skipNear{}) != nil }
