package attacktest_test

import (
	"testing"

	"github.com/freshet-go/freshet/middleware/attacktest"
)

// What stands outside of two mounts is judged in both.
func TestAttacksFromOutside(t *testing.T) {
	cached := site(t, "")
	cached.Classes = []string{"outside"}
	report, err := attacktest.Run(t.Context(), cached)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report {
		if result.Succeeded() || result.Err != nil || result.Class == "outside" && result.Skipped {
			t.Errorf("%s: %s: %s %v", result.Class, result.Name, result.Gained, result.Err)
		}
	}
}
