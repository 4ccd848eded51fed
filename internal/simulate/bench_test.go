package simulate

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/policy"
)

// combined makes a log of so many lines in the combined format.
func combined(lines int) string {
	r := rand.New(rand.NewPCG(3, 4))
	popular := rand.NewZipf(r, 1.1, 5, 100_000)
	var log strings.Builder
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for range lines {
		at = at.Add(time.Duration(r.IntN(200)) * time.Millisecond)
		n := popular.Uint64()
		fmt.Fprintf(&log, "203.0.113.%d - - [%s] \"GET /s%d/page-%d HTTP/2.0\" 200 %d "+
			"\"https://www.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) "+
			"Gecko/20100101 Firefox/145.0\"\n",
			n%200, at.Format("02/Jan/2006:15:04:05 -0700"), n%20, n, 2000+n*7919%30_000)
	}
	return log.String()
}

// A line of a log, read and replayed under two settings.
func BenchmarkReplay(b *testing.B) {
	log := combined(b.N)
	ttl := Settings{Memory: 64 << 20, Policy: policy.Policy{TTL: 10 * time.Minute}}
	short := ttl
	short.Policy.TTL = time.Minute
	b.SetBytes(int64(len(log) / b.N))
	b.ReportAllocs()
	b.ResetTimer()
	w := accesslog.NewWindow(accesslog.NewReader("log", strings.NewReader(log)).Next)
	if _, err := Replay(b.Context(), w.Next, []Alternative{{"", ttl}, {"", short}}, false); err != nil && err != io.EOF {
		b.Fatal(err)
	}
}
