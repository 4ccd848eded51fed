package middleware_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// What another process has filled after marks that this one has not heard of yet proves that it
// lacks some. It asks the journal before it uses the entry, and does not use it when the journal
// does not answer. The entry is not asked about again.
func TestAnEntryFilledAfterMarksThatAreMissing(t *testing.T) {
	page := store.Mark{Kind: store.MarkKey, Name: "http://example.com/page"}
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		deaf := func() error { return errors.New("not allowed") }
		s.deafness.Store(&deaf) // so that a process hears of marks by asking, once a second
		a, b := newNode(t, s, "A"), newNode(t, s, "B")
		time.Sleep(time.Minute)
		fills := func(marks ...store.Mark) {
			t.Helper()
			if _, err := b.c.Invalidate(t.Context(), page); err != nil {
				t.Fatal(err)
			}
			b.gets(t, "B fills", "B's", "stored")
			synctest.Wait()
			if len(marks) > 0 {
				s.journal.Load().Append(t.Context(), marks...)
			}
		}
		fills(page)
		a.gets(t, "A does not use what was invalidated since", "A's", "stored")
		fills()
		asks := s.asks.Load()
		for range 2 {
			a.gets(t, "A uses what was not", "B's", "hit")
		}
		want(t, "questions to the journal", s.asks.Load()-asks, int64(1))
		fills()
		s.hangs.Store(true)
		began := time.Now()
		a.gets(t, "A cannot ask", "A's", "fwd")
		if took := time.Since(began); took > longestCall {
			t.Errorf("it waited for %v", took)
		}
		s.hangs.Store(false)
		time.Sleep(5 * time.Second)
		b.gets(t, "it has stored nothing that B would use: its number is older", "B's", "stored")
		a.gets(t, "A has heard of it", "B's", "hit")
	})
}

// A run that another process has overtaken, by an invalidation and a newer page, may store its page
// over the newer one, of which its process has not heard. Who was served the newer page is not
// served the older one then, and has asked the journal for that when the newer one was found.
func TestAPageThatIsStoredLateByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		deaf := func() error { return errors.New("not allowed") }
		s.deafness.Store(&deaf) // so that a process hears of marks by asking, once a second
		slow, other, reader := newNode(t, s, "old"), newNode(t, s, "new"), newNode(t, s, "newest")
		time.Sleep(time.Minute)
		goOn, began := make(chan struct{}), make(chan struct{})
		serve := slow.origin.h
		slow.origin.h = func(w http.ResponseWriter, r *http.Request) {
			close(began)
			<-goOn
			serve(w, r)
		}
		stored := make(chan struct{})
		go func() {
			defer close(stored)
			slow.gets(t, "a run that is overtaken", "old's", "stored")
		}()
		<-began
		if _, err := other.c.Invalidate(t.Context(), store.Mark{Kind: store.MarkKey,
			Name: "http://example.com/page"}); err != nil {
			t.Fatal(err)
		}
		other.gets(t, "the run that overtakes it", "new's", "stored")
		reader.gets(t, "the newer page", "new's", "hit")
		close(goOn)
		<-stored
		synctest.Wait()
		reader.gets(t, "then not the older one", "newest's", "fwd=uri-miss")
	})
}
