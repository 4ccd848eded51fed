package simulate

import (
	"fmt"
	"time"
)

// Grid is the settings that a chart shows: bounds of memory, and a line for each lifetime.
type Grid struct {
	Memory    []int64
	Lifetimes []time.Duration
	Base      int // which of Memory is that of the settings; of Lifetimes it is BaseLine
	BaseLine  int
}

// NewGrid returns the bounds and lifetimes around those of settings.
func NewGrid(s *Settings) Grid {
	g := Grid{}
	for _, factor := range []float64{0.25, 0.5, 1, 2, 4} {
		bound := max(int64(factor*float64(s.memory())), MinMemory)
		if n := len(g.Memory); n > 0 && g.Memory[n-1] == bound {
			continue
		}
		if factor == 1 {
			g.Base = len(g.Memory)
		}
		g.Memory = append(g.Memory, bound)
	}
	ttl := s.Policy.TTL
	if ttl <= 0 {
		g.Lifetimes = []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour}
		return g
	}
	g.BaseLine = 1
	for _, scaled := range []time.Duration{ttl / 5, ttl, 5 * ttl, 25 * ttl} {
		if scaled > 0 {
			g.Lifetimes = append(g.Lifetimes, scaled)
		}
	}
	return g
}

// Alternatives returns the settings of the grid, the lifetimes one after the other.
func (g *Grid) Alternatives(s *Settings) (all []Alternative) {
	for _, lifetime := range g.Lifetimes {
		for _, bound := range g.Memory {
			changed := *s
			changed.Memory, changed.Policy.TTL = bound, lifetime
			all = append(all, Alternative{fmt.Sprintf("memory=%d ttl=%s", bound,
				duration(lifetime)), changed})
		}
	}
	return all
}
