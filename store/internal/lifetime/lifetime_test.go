package lifetime

import (
	"math"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		ttl, unit time.Duration
		want      int64
		back      time.Duration
	}{
		{1, time.Millisecond, 1, time.Millisecond},
		{time.Millisecond, time.Millisecond, 1, time.Millisecond},
		{time.Millisecond + 1, time.Millisecond, 2, 2 * time.Millisecond},
		{time.Hour, time.Microsecond, 3_600_000_000, time.Hour},
		{longest, time.Nanosecond, math.MaxInt64, longest},
		{longest, time.Microsecond, 9_223_372_036_854_776, longest - 807},
		{longest, time.Millisecond, 9_223_372_036_855, longest - 775_807},
		{longest - 775_807, time.Millisecond, 9_223_372_036_854, longest - 775_807},
	} {
		got := Units(tt.ttl, tt.unit)
		if got != tt.want {
			t.Errorf("%v has %d units of %v; want %d", tt.ttl, got, tt.unit, tt.want)
		}
		if back := Of(got, tt.unit); back != tt.back {
			t.Errorf("%d units of %v are %v; want %v", got, tt.unit, back, tt.back)
		}
	}
}
