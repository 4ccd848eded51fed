package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

func TestGridGoesAroundTheSettings(t *testing.T) {
	g := NewGrid(&Settings{Memory: 64 << 20, Policy: policy.Policy{TTL: 10 * time.Minute}})
	if len(g.Memory) != 5 || g.Memory[g.Base] != 64<<20 || len(g.Lifetimes) != 4 ||
		g.Lifetimes[g.BaseLine] != 10*time.Minute {
		t.Errorf("%+v", g)
	}
	least := NewGrid(&Settings{Memory: MinMemory})
	if len(least.Memory) != 3 || least.Memory[least.Base] != MinMemory ||
		least.Lifetimes[least.BaseLine] != 0 {
		t.Errorf("%+v", least)
	}
}

// The labels of lines that end together stand apart, within the picture, and in the order of the
// lines.
func TestLabelsStandApart(t *testing.T) {
	for _, ends := range [][]float64{{1, 1, 1, 1}, {0, 0, 0, 0}, {0.5, 0.51, 0.52, 0.9},
		{0.1, 0.2, 0.9, 0.95}} {
		c := chart{grid: &Grid{Memory: []int64{1 << 20}}}
		for _, end := range ends {
			c.lines = append(c.lines, []float64{end})
		}
		labels := c.labels()
		for i, at := range labels {
			if at < chartTop || at > chartBottom {
				t.Errorf("%v: label %d at %v", ends, i, at)
			}
			if i > 0 && labels[i-1]-at < labelGap-0.001 {
				t.Errorf("%v: labels at %v", ends, labels)
			}
		}
	}
}

func TestChartShowsWhatThereIs(t *testing.T) {
	g := NewGrid(&Settings{Memory: 4 << 30, Policy: policy.Policy{TTL: time.Minute}})
	outcomes := make([]Outcome, len(g.Lifetimes)*len(g.Memory))
	for i := range outcomes {
		outcomes[i].Total = Counts{Requests: 100, Hits: int64(60 + i)}
	}
	draw := func() string {
		var b strings.Builder
		if err := g.Chart(&b, outcomes); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	picture := draw()
	for _, part := range []string{">50%<", ">60%<", "memory, in GiB", ">1m<", ">25m<",
		"12s: 60.0 % with 1 GiB"} {
		if !strings.Contains(picture, part) {
			t.Errorf("the picture lacks %q", part)
		}
	}
	outcomes[0].Total.Hits = 10
	if picture = draw(); !strings.Contains(picture, ">0%<") || strings.Contains(picture, ">60%<") {
		t.Error("a low hit ratio needs the whole axis")
	}
}
