package memjournal

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A list that is full takes nobody else until a lease ends.
func TestAListOfMembersIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		j.maxMembers = 2
		renew := func(id string) error { return j.Renew(t.Context(), store.Member{ID: id}) }
		for _, id := range []string{"a", "b", "a"} {
			if err := renew(id); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
		}
		if err := renew("c"); err == nil {
			t.Error("a third of two members was taken")
		}
		time.Sleep(store.LeaseTime)
		for _, id := range []string{"c", "d"} {
			if err := renew(id); err != nil {
				t.Errorf("%s, after the leases have ended: %v", id, err)
			}
		}
	})
}
