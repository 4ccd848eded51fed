package redisstore

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

func tag(name any) store.Mark { return store.Mark{Kind: store.MarkTag, Name: fmt.Sprint(name)} }

func appendMarks(t *testing.T, j store.Journal, what ...store.Mark) uint64 {
	t.Helper()
	n, err := j.Append(t.Context(), what...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func since(t *testing.T, j store.Journal, number uint64) ([]store.Numbered, uint64) {
	t.Helper()
	marks, head, err := invalidation.Since(t.Context(), j, number)
	if err != nil {
		t.Fatal(err)
	}
	return marks, head
}

// wantReset checks that what follows number begins with the news that everything is invalidated.
func wantReset(t *testing.T, j store.Journal, number uint64) (at uint64) {
	t.Helper()
	return firstReset(t, j, number).Number
}

func firstReset(t *testing.T, j store.Journal, number uint64) store.Numbered {
	t.Helper()
	marks, head := since(t, j, number)
	if len(marks) == 0 || !isReset(marks[0].Mark) || marks[0].Number <= number ||
		head < marks[0].Number {
		t.Fatalf("Since(%d) = %v, head %d; want Everything first", number, marks, head)
	}
	return marks[0]
}

func TestAJournalBeginsAtTheClock(t *testing.T) {
	url := testserver.SharedRedis(t).URL
	before := uint64(time.Now().UnixMicro())
	heads := make([]uint64, 8)
	var all sync.WaitGroup
	prefix := fmt.Sprint("begin-", journals.Add(1))
	for i := range heads {
		j := open(t, url).Journal(prefix)
		all.Go(func() { heads[i], _ = j.Append(t.Context()) })
	}
	all.Wait()
	for _, head := range heads {
		if head != heads[0] || head < before {
			t.Fatalf("heads %d at %d; want one, not before the clock", heads, before)
		}
	}
	j := open(t, url).Journal(prefix)
	if marks, head := since(t, j, 0); head != heads[0] || len(marks) != 1 ||
		marks[0] != (store.Numbered{Mark: history.All, Number: head, After: 1}) {
		t.Errorf("Since(0) = %v, %d; want Everything at the beginning, %d, after nothing", marks,
			head, heads[0])
	}
	if marks, head := since(t, j, heads[0]+5); len(marks) != 0 || head != heads[0] {
		t.Errorf("Since of more than the head: %v, %d", marks, head)
	}
}

func TestAJournalThatWasLostBeginsAnew(t *testing.T) {
	s := testserver.Redis(t, "--save", "3600 1")
	b := open(t, s.URL)
	j := b.Journal("p")
	do := func(args ...any) {
		if err := b.client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, loss := range []struct {
		story string
		lose  func()
		// what the server still knew of, when the newest number was head and the new one is at
		after func(head, at uint64) uint64
	}{
		// of the same server, nobody can have more than it gave out before
		{"evicted", func() { do("DEL", j.(*journal).key) }, nothingLost},
		{"flushed", func() { do("FLUSHALL") }, nothingLost},
		{"emptied", func() { do("XTRIM", j.(*journal).key, "MAXLEN", 0) }, nothingLost},
		{"restarted with what was saved", func() {
			do("SAVE")
			appendMarks(t, j, tag("lost"), tag("lost too"))
			s.Kill()
			s.Start()
		}, func(head, _ uint64) uint64 { return head }},
		{"restarted", func() { do("SAVE"); s.Kill(); s.Start() },
			func(head, _ uint64) uint64 { return head }},
		{"restarted without anything", func() {
			do("FLUSHALL")
			do("SAVE")
			s.Kill()
			s.Start()
		}, func(uint64, uint64) uint64 { return 1 }},
		{"flushed, before a process that knows nothing of the server", func() {
			do("FLUSHALL")
			j = b.Journal("p")
		}, func(uint64, uint64) uint64 { return 1 }},
	} {
		t.Run(loss.story, func(t *testing.T) {
			appendMarks(t, j, tag(1), tag(2))
			head := appendMarks(t, j)
			loss.lose()
			newest := head + 2
			if marks, _ := since(t, j, head); len(marks) != 1 {
				t.Errorf("Since(%d) = %v; want one mark", head, marks)
			}
			began := firstReset(t, j, head)
			if at := began.Number; at <= newest || began.After != loss.after(head, at) {
				t.Errorf("it begins at %d, after %d; want a number greater than %d, which was given "+
					"out before, after %d", at, began.After, newest, loss.after(head, at))
			}
			// Two marks remain before the loss, or none: either way everything is invalidated after
			// them.
			marks, now := since(t, j, head-1)
			if !isReset(marks[len(marks)-1].Mark) {
				t.Errorf("Since(%d) = %v; want Everything at last", head-1, marks)
			}
			if n := appendMarks(t, j, tag(3)); n != now+1 {
				t.Errorf("the next number is %d, want %d", n, now+1)
			}
		})
	}
}

func nothingLost(_, at uint64) uint64 { return at - 1 }

func TestAJournalForgets(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	for _, tt := range []struct {
		story       string
		marks, size int
		name        string
	}{
		{"too many marks", 1000, 1 << 20, "n"},
		{"too many bytes", 1 << 20, 100_000, strings.Repeat("n", 936)}, // 1 kB each
	} {
		t.Run(tt.story, func(t *testing.T) {
			j := newJournal(b).(*journal)
			j.marks, j.bytes = tt.marks, tt.size
			begin := appendMarks(t, j)
			var last uint64
			for range 100 {
				batch := make([]store.Mark, 20)
				for i := range batch {
					batch[i] = tag(tt.name)
				}
				last = appendMarks(t, j, batch...)
			}
			if last != begin+2000 {
				t.Errorf("after 2000 marks the head is %d, began at %d", last, begin)
			}
			at := wantReset(t, j, begin)
			marks, _ := since(t, j, at)
			if last-at != uint64(len(marks)) || marks[0].Number != at+1 {
				t.Errorf("forgotten up to %d, %d marks after it, head %d", at, len(marks), last)
			}
			kept, wanted := len(marks), min(tt.marks, tt.size/(len(tt.name)+64))
			if kept > wanted+150 || kept < wanted*6/10 {
				t.Errorf("%d marks kept, want about %d", kept, wanted)
			}
			if marks, _ := since(t, j, last-5); len(marks) != 5 {
				t.Errorf("of the last 5 marks: %v", marks)
			}
			// the beginning is forgotten: those who were there before may know what others do not
			if n := firstReset(t, j, begin-1); n.After != 1 {
				t.Errorf("who was there before it began hears of %+v", n)
			}
			if n := firstReset(t, j, begin); n.After != 0 {
				t.Errorf("who knows of the beginning hears of %+v", n)
			}
		})
	}
}

func recordID(number uint64) string { return fmt.Sprint(number, "-0") }

func TestARecordThatIsMissing(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	begin := appendMarks(t, j)
	appendMarks(t, j, tag(1), tag(2), tag(3), store.Mark{Kind: store.MarkEverything, Soft: true})
	for _, number := range []uint64{2, 4} {
		if err := b.client.XDel(t.Context(), j.key, recordID(begin+number)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	marks, head := since(t, j, begin)
	want := []store.Numbered{
		{Mark: tag(1), Number: begin + 1},
		{Mark: history.All, Number: begin + 2},
		{Mark: tag(3), Number: begin + 3},
	}
	if head != begin+3 && head != begin+4 || fmt.Sprint(marks[:3]) != fmt.Sprint(want) {
		t.Errorf("%v, head %d; want %v", marks, head, want)
	}
	info, err := b.client.InfoMap(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	run := info["Server"]["run_id"][:12]
	if err := b.client.Do(t.Context(), "XADD", j.key, recordID(begin+1000), "m",
		"?of a later version", "b", 1, "r", run).Err(); err != nil {
		t.Fatal(err)
	}
	if marks, _ := since(t, j, begin+999); len(marks) != 1 || !isReset(marks[0].Mark) {
		t.Errorf("a mark that we do not understand: %v, want Everything", marks)
	}
}

func TestAJournalsPrefixIsChecked(t *testing.T) {
	j := open(t, "redis://127.0.0.1:1").Journal("a}b")
	_, err := j.Append(t.Context())
	wantError(t, err, store.KindPermanent)
	_, _, err = j.Since(t.Context(), 0)
	wantError(t, err, store.KindPermanent)
	_, err = open(t, "redis://127.0.0.1:1").Journal("a").Append(t.Context(),
		store.Mark{Kind: store.MarkKey})
	wantError(t, err, store.KindPermanent)
}

// follow watches from number until the test ends, and passes on what it hears. An error fails the
// test.
func follow(t *testing.T, j store.Journal, from uint64) <-chan store.Numbered {
	t.Helper()
	return followAgain(t, j, from, func(err error) bool {
		t.Errorf("Watch: %v", err)
		return false
	})
}

// followAgain is follow, which watches again after an error if again says so.
func followAgain(
	t *testing.T, j store.Journal, from uint64, again func(err error) bool,
) <-chan store.Numbered {
	t.Helper()
	heard := make(chan store.Numbered, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for going := true; going && ctx.Err() == nil; {
			going = false
			for n, err := range j.Watch(ctx, from) {
				if err != nil {
					going = again(err)
					continue
				}
				heard <- n
				from = n.Number
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		start := time.Now()
		done.Wait()
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("Watch ended %v after its context", took)
		}
	})
	return heard
}

func hear(t *testing.T, heard <-chan store.Numbered, within time.Duration) store.Numbered {
	t.Helper()
	select {
	case n := <-heard:
		return n
	case <-time.After(within):
		t.Fatalf("nothing heard within %v", within)
		return store.Numbered{}
	}
}

// push is less than the second after which a watcher looks by itself.
const push = 300 * time.Millisecond

func TestMarksArriveByPush(t *testing.T) {
	for name, url := range map[string]string{
		"alone": testserver.SharedRedis(t).URL, "cluster": clusterURL(testserver.RedisCluster(t)),
	} {
		t.Run(name, func(t *testing.T) {
			prefix := fmt.Sprint("push-", journals.Add(1), ":")
			writer, reader := open(t, url).Journal(prefix), open(t, url).Journal(prefix)
			heard := follow(t, reader, appendMarks(t, writer))
			time.Sleep(100 * time.Millisecond) // until it listens
			var slowest time.Duration
			for i := range 20 {
				start := time.Now()
				n := appendMarks(t, writer, tag(i))
				if got := hear(t, heard, push); got != (store.Numbered{Mark: tag(i), Number: n}) {
					t.Fatalf("heard %v, want %v with number %d", got, tag(i), n)
				}
				slowest = max(slowest, time.Since(start))
			}
			t.Log("the slowest took", slowest)
		})
	}
}

func TestAWatcherSurvivesTheLossOfItsConnection(t *testing.T) {
	s := testserver.Redis(t)
	p := testserver.Proxy(t, s.Addr)
	writer, reader := open(t, s.URL).Journal("p"), open(t, "redis://"+p.Addr).Journal("p")
	heard := follow(t, reader, appendMarks(t, writer))
	for i := range 5 {
		time.Sleep(100 * time.Millisecond)
		p.Drop()
		n := appendMarks(t, writer, tag(i))
		if got := hear(t, heard, 2*time.Second); got != (store.Numbered{Mark: tag(i), Number: n}) {
			t.Fatalf("heard %v, want %v with number %d", got, tag(i), n)
		}
	}
	time.Sleep(100 * time.Millisecond)
	appendMarks(t, writer, tag("push again"))
	hear(t, heard, push)
}

// A connection may die without either end being told, as when a router forgets it.
func TestAWatcherNoticesThatNothingIsToldAnyMore(t *testing.T) {
	s := testserver.SharedRedis(t)
	p := testserver.Proxy(t, s.Addr)
	var addr atomic.Pointer[string]
	addr.Store(&s.Addr)
	client := redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, network,
		_ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", *addr.Load())
	}})
	t.Cleanup(func() { client.Close() }) // after the watcher has ended
	b, err := NewFrom(client)
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal(b)
	from := appendMarks(t, j) // by a connection that stays
	addr.Store(&p.Addr)
	heard := follow(t, j, from)
	time.Sleep(200 * time.Millisecond)
	if p.Connections() != 1 {
		t.Fatalf("%d connections through the proxy, want the subscription's", p.Connections())
	}
	addr.Store(&s.Addr)
	p.Hang()
	appendMarks(t, j, tag("found by looking"))
	hear(t, heard, 3*time.Second)
	time.Sleep(200 * time.Millisecond)
	appendMarks(t, j, tag("pushed"))
	hear(t, heard, push)
}

func TestAWatcherHearsThatTheServerForgot(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL)
	j := b.Journal("p")
	before := appendMarks(t, j, tag(1))
	heard := followAgain(t, j, before, func(error) bool {
		time.Sleep(20 * time.Millisecond)
		return true
	})
	time.Sleep(100 * time.Millisecond)
	s.Kill()
	s.Start()
	if n := hear(t, heard, 3*time.Second); !isReset(n.Mark) || n.Number <= before {
		t.Errorf("after a restart without data: %v, want Everything above %d", n, before)
	}
	number := appendMarks(t, j, tag(2))
	if n := hear(t, heard, 3*time.Second); n.Number != number {
		t.Errorf("then %v, want number %d", n, number)
	}
}

// A replica takes over whose clock is behind. The old server lives on, and takes marks: a process that
// comes over from there is told that the journal began anew, and appends them again.
func TestAJournalThatBeginsAnewWithAClockThatIsBehind(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b).(*journal)
	kept := appendMarks(t, j) + uint64(time.Hour/time.Microsecond)
	if err := b.client.Do(t.Context(), "XADD", j.key, recordID(kept), "m", encodeMark(tag("kept")), "b",
		1, "r", "another").Err(); err != nil {
		t.Fatal(err)
	}
	appendMarks(t, j, tag(1), tag(2), tag(3))
	for _, number := range []uint64{kept, kept + 1, kept + 4, kept + 1000} {
		if begin := firstReset(t, j, number); begin.After != kept {
			t.Errorf("Since(%d) begins with %+v; want a beginning after %d", number, begin, kept)
		}
	}
}

// A server that came back with an old state and a slow clock may have a head below what a watcher
// has seen.
func TestAWatcherThatIsAheadHasTheJournalBeginAnew(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	j := newJournal(b)
	head := appendMarks(t, j, tag(1))
	heard := follow(t, j, head+1_000_000_000)
	if n := hear(t, heard, 3*time.Second); !isReset(n.Mark) || n.Number != head+1_001_000_000 {
		t.Errorf("heard %v, want Everything at %d", n, head+1_001_000_000)
	}
	heard = follow(t, newJournal(b), 1<<63) // nobody ever gave that number out
	time.Sleep(100 * time.Millisecond)
	if n := appendMarks(t, j, tag(2)); n != head+1_001_000_001 {
		t.Errorf("the next number is %d", n)
	}
}

func TestAWatcherEndsWithAnErrorWhenTheServerIsLost(t *testing.T) {
	for name, lose := range map[string]func(*testserver.Server){
		"killed": (*testserver.Server).Kill, "paused": (*testserver.Server).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			s := testserver.Redis(t)
			j := open(t, s.URL+"?timeout=200ms&dial_timeout=200ms").Journal("p")
			from := appendMarks(t, j)
			ended := make(chan []error, 1)
			go func() {
				var errs []error
				for _, err := range j.Watch(t.Context(), from) {
					errs = append(errs, err)
				}
				ended <- errs
			}()
			time.Sleep(100 * time.Millisecond)
			lose(s)
			select {
			case errs := <-ended:
				if len(errs) != 1 || errs[0] == nil {
					t.Errorf("yielded %v; want one error", errs)
				}
			case <-time.After(5 * time.Second):
				t.Error("still watching after 5s")
			}
		})
	}
}

func TestAUserWhoMayNotSubscribeStillWatches(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL)
	if err := b.client.Do(t.Context(), "ACL", "SETUSER", "mute", "on", ">secret", "~*",
		"resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	j := open(t, strings.Replace(s.URL, "//", "//mute:secret@", 1)).Journal("p")
	from := appendMarks(t, j)
	heard := follow(t, j, from)
	time.Sleep(100 * time.Millisecond)
	for i := range 3 {
		appendMarks(t, j, tag(i))
		if n := hear(t, heard, 3*time.Second); n.Mark != tag(i) {
			t.Errorf("heard %v, want %v", n, tag(i))
		}
	}
}

// A server whose journal was evicted has lost nothing to those who follow it. To a process that comes
// from another server, it knows of nothing that this one took.
func TestAJournalThatWasEvictedBeforeAProcessCame(t *testing.T) {
	first, second := testserver.Redis(t), testserver.Redis(t)
	p := testserver.Proxy(t, first.Addr)
	j := open(t, "redis://"+p.Addr).Journal("p")
	before := appendMarks(t, j, tag("taken by the first"))
	since(t, j, before)
	b := open(t, second.URL)
	there := b.Journal("p")
	head := appendMarks(t, there, tag(1))
	since(t, there, head)
	if err := b.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if n := firstReset(t, there, head); n.After != n.Number-1 {
		t.Errorf("who follows the second hears of %+v", n)
	}
	p.To(second.Addr)
	appendMarks(t, j, tag(2)) // which reads nothing
	if n := firstReset(t, j, before); n.After != 1 {
		t.Errorf("who comes from the first hears of %+v", n)
	}
}
