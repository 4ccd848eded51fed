package middleware

import (
	"fmt"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// What Cache-Status says of the requests that the handler answers in one second is made once.
func TestFieldsOfOneSecondAreMadeOnce(t *testing.T) {
	c := boundedCache(t, 1<<20)
	first := map[policy.Outcome][]string{}
	for range 2 {
		for fwd := policy.FwdBypass; fwd <= policy.FwdPartial; fwd++ {
			for _, status := range []int{200, 304, 404} {
				out := policy.Outcome{Fwd: fwd, FwdStatus: status}
				values := c.statusField(&out)
				if before := first[out]; before != nil && &before[0] != &values[0] {
					t.Errorf("%s is made anew", values)
				}
				first[out] = values
				want(t, "the value", values[0], fmt.Sprintf("Freshet; fwd=%s; fwd-status=%d", fwd,
					status))
			}
		}
	}
}
