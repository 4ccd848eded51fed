package deadline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const timeout = 160 * time.Millisecond

func within(s *Source, ctx context.Context) context.Context {
	ctx, _ = s.Within(ctx, time.Now(), timeout)
	return ctx
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		type name struct{}
		ctx := within(&s, context.WithValue(context.Background(), name{}, "value"))
		if end, ok := ctx.Deadline(); !ok || time.Until(end) != timeout {
			t.Errorf("deadline in %v, %v", time.Until(end), ok)
		}
		if ctx.Value(name{}) != "value" || Only(ctx).Value(name{}) != "value" {
			t.Error("the parent's values are lost")
		}
		start := time.Now()
		time.Sleep(timeout - 1)
		if ctx.Err() != nil || Only(ctx).Err() != nil {
			t.Errorf("%v before the deadline", ctx.Err())
		}
		time.Sleep(1)
		if ctx.Err() != context.DeadlineExceeded || Only(ctx).Err() != context.DeadlineExceeded {
			t.Errorf("%v at the deadline", ctx.Err())
		}
		<-ctx.Done()
		if took := time.Since(start); took > timeout+timeout/share {
			t.Errorf("done after %v", took)
		}
		if Only(ctx).Done() != nil {
			t.Error("Only leaves something to wait for")
		}
	})
}

// Done wakes each waiter when Err is not nil, never earlier and only a little later. It does not
// matter when the waiter began to wait, and how many others wait.
func TestDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		for range 300 {
			ctx := within(&s, context.Background())
			end, _ := ctx.Deadline()
			go func() {
				time.Sleep(time.Until(end) % (7 * time.Millisecond))
				done := ctx.Done()
				if done != ctx.Done() {
					t.Error("Done has changed")
				}
				<-done
				if late := time.Since(end); late < 0 || late > timeout/share || ctx.Err() == nil {
					t.Errorf("woken %v after the deadline, with %v", late, ctx.Err())
				}
			}()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
	})
}

func TestBellsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		bells := map[<-chan struct{}]bool{}
		for range 100 {
			bells[within(&s, context.Background()).Done()] = true
			time.Sleep(timeout / 100)
		}
		if len(bells) > share+1 {
			t.Errorf("%d timers for 100 calls", len(bells))
		}
	})
}

func TestAParentThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		parent, cancel := context.WithCancel(context.Background())
		ctx, end := s.Within(parent, time.Now(), timeout)
		defer end()
		if Only(ctx) != ctx {
			t.Error("Only hides that the caller may cancel")
		}
		cancel()
		<-ctx.Done()
		if ctx.Err() != context.Canceled {
			t.Error(ctx.Err())
		}
		sooner, cancel := context.WithTimeout(context.Background(), timeout/2)
		defer cancel()
		if within(&s, sooner) != sooner {
			t.Error("a second deadline behind the first")
		}
	})
}

// Contexts that are made of ours end as they should, and leave nothing running.
func TestChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		ctx := within(&s, context.Background())
		start := time.Now()
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		later, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		sooner, cancel := context.WithTimeout(ctx, timeout/2)
		defer cancel()
		called := false
		stop := context.AfterFunc(ctx, func() { called = true })
		if stopped := context.AfterFunc(ctx, func() { t.Error("called after it was stopped") }); !stopped() {
			t.Error("could not be stopped")
		}
		<-sooner.Done()
		if took := time.Since(start); took != timeout/2 || child.Err() != nil {
			t.Errorf("after %v: %v", took, child.Err())
		}
		<-child.Done()
		<-later.Done()
		synctest.Wait()
		if took := time.Since(start); took != timeout || !errors.Is(child.Err(),
			context.DeadlineExceeded) ||
			!errors.Is(context.Cause(later), context.DeadlineExceeded) {
			t.Errorf("after %v: %v, %v", took, child.Err(), later.Err())
		}
		if !called || stop() {
			t.Error("AfterFunc did not call")
		}
	})
}

func BenchmarkWithin(b *testing.B) {
	var s Source
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f()
				}
			})
		})
	}
	run("ours", func() {
		ctx, end := s.Within(context.Background(), time.Now(), timeout)
		ctx.Done()
		end()
	})
	run("context", func() {
		ctx, end := context.WithDeadline(context.Background(), time.Now().Add(timeout))
		ctx.Done()
		end()
	})
}

// A source whose calls have different times wakes each in its own.
func TestTimeoutsThatDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Source
		long, _ := s.Within(context.Background(), time.Now(), time.Hour)
		long.Done()
		start := time.Now()
		<-within(&s, context.Background()).Done()
		if took := time.Since(start); took > timeout+timeout/share {
			t.Errorf("woken after %v", took)
		}
		<-long.Done()
		if took := time.Since(start); took < time.Hour {
			t.Errorf("the long one was woken after %v", took)
		}
	})
}
