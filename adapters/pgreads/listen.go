package pgreads

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// channel is where the triggers announce changes.
const channel = "freshet_changes"

const (
	// checkEvery is how often Listen reads the catalog: views, functions and tables may have
	// changed, and the server may have gone without a word.
	checkEvery = 15 * time.Second
	// answerIn is how long the server has for an answer.
	answerIn = 5 * time.Second
	// between two attempts to connect
	minPause, maxPause = 50 * time.Millisecond, 5 * time.Second
	// maxPending is how many tags wait to be invalidated before all of the database are.
	maxPending = 4096
)

// Listen hears the changes that the database announces, and invalidates what depends on them in the
// caches, until ctx is done. It has a connection of its own, which it makes anew when it is lost.
//
// Run it in each process that has a Tracer: it also reads, every 15 seconds, which tables, views
// and functions there are; until it has, each response depends on each change. It needs a cache in
// one of the processes that share a journal, and does no harm in more: each has each change
// invalidated then.
//
// Changes may go unheard while there is no connection: when Listen begins, when it has lost the
// connection, and again when it has another, it invalidates all that was read from the database:
// softly when it is lost, so that stale responses may still be served where that is allowed.
// Meanwhile no response that reads from the database in this process is stored.
func (t *Tracer) Listen(ctx context.Context, caches ...*middleware.Cache) {
	t.listening.Store(true)
	defer t.touch.Store(false)
	q := &queue{all: policy.DatabaseTag(t.name), more: make(chan struct{}, 1)}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { t.invalidate(ctx, q, caches) })

	pause := minPause
	for ctx.Err() == nil {
		err := t.session(ctx, q)
		heard := t.touch.Swap(false)
		if ctx.Err() != nil {
			return
		}
		if heard {
			q.add(true, policy.DatabaseTag(t.name))
			pause = minPause
		}
		t.log.Warn("freshet: changes in the database are not heard; what was read there is stale "+
			"until they are", "database", t.name, "error", err, "again_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, maxPause)
	}
}

// session listens on one connection, until that fails or ctx is done.
func (t *Tracer) session(ctx context.Context, q *queue) error {
	connecting, cancel := context.WithTimeout(ctx, 2*t.options.answerIn)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, t.config)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(connecting, "LISTEN "+channel); err != nil {
		return err
	}
	if err := t.readCatalog(ctx, conn, q); err != nil {
		return err
	}
	q.add(false, policy.DatabaseTag(t.name))
	t.touch.Store(true)
	for {
		if err := t.hear(ctx, conn, q); err != nil {
			return err
		}
		if err := t.readCatalog(ctx, conn, q); err != nil {
			return err
		}
	}
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// readCatalog reads what there is. Where that has changed, what was noted before may be wrong.
func (t *Tracer) readCatalog(ctx context.Context, conn *pgx.Conn, q *queue) error {
	ctx, cancel := context.WithTimeout(ctx, t.options.answerIn)
	defer cancel()
	c, err := readCatalog(ctx, conn)
	if err != nil {
		return err
	}
	if old := t.catalog.Load(); old == nil || old.sum != c.sum {
		t.catalog.Store(c)
		q.add(false, policy.DatabaseTag(t.name))
	}
	return nil
}

// hear hears changes until it is time to look at the catalog.
func (t *Tracer) hear(ctx context.Context, conn *pgx.Conn, q *queue) error {
	waiting, cancel := context.WithTimeout(ctx, t.options.checkEvery)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && waiting.Err() != nil && !conn.IsClosed():
			return nil
		case err != nil:
			return err
		case n.Channel != channel:
			continue
		}
		tags, reload := t.changed(n.Payload)
		if q.add(false, tags...); reload {
			return nil
		}
	}
}

// change is what a notification says.
type change struct {
	Tables []string   `json:"tables"`
	Keys   [][]string `json:"keys"`   // of rows of each of the tables; none: nobody knows which
	Reload bool       `json:"reload"` // triggers were added or removed
}

// changed returns the tags that a notification invalidates, and whether there are other triggers
// now.
func (t *Tracer) changed(payload string) (tags []string, reload bool) {
	var c change
	if err := json.Unmarshal([]byte(payload), &c); err != nil || len(c.Tables) == 0 && !c.Reload {
		t.log.Warn("freshet: a notification that cannot be read: all that was read from the "+
			"database is invalidated", "database", t.name, "channel", channel, "payload",
			fmt.Sprintf("%.100q", payload))
		return []string{policy.DatabaseTag(t.name)}, false
	}
	if len(c.Tables) > 0 {
		tags = append(tags, policy.EachTableTag(t.name))
	}
	for _, table := range c.Tables {
		if len(c.Keys) == 0 {
			tags = append(tags, policy.TableChange(table)...)
		}
		for _, key := range c.Keys {
			columns := make([]any, len(key))
			for i, column := range key {
				columns[i] = column
			}
			tags = append(tags, policy.RowChange(table, columns...)...)
		}
	}
	return tags, c.Reload
}

// queue has the tags that are to be invalidated.
type queue struct {
	all string // stands for all tags, when there are too many

	mu   sync.Mutex
	tags map[string]bool // true: softly
	more chan struct{}   // has a value when there are tags
}

func (q *queue) add(soft bool, tags ...string) {
	q.mu.Lock()
	if q.tags == nil {
		q.tags = make(map[string]bool)
	}
	for _, tag := range tags {
		old, there := q.tags[tag]
		q.tags[tag] = soft && (old || !there)
	}
	if len(q.tags) > maxPending {
		q.tags = map[string]bool{q.all: false}
	}
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *queue) take() map[string]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	tags := q.tags
	q.tags = nil
	return tags
}

// invalidate invalidates what comes to the queue, until ctx is done and it is empty. What comes
// while a journal takes the marks of one call goes into the next one together.
func (t *Tracer) invalidate(ctx context.Context, q *queue, caches []*middleware.Cache) {
	var failing failing
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-q.more:
		}
		tags := q.take()
		marks := make([]store.Mark, 0, len(tags))
		for tag, soft := range tags {
			marks = append(marks, store.Mark{Kind: store.MarkTag, Name: tag, Soft: soft})
		}
		if len(marks) == 0 {
			continue
		}
		var failed error
		for _, cache := range caches {
			if _, err := cache.Invalidate(context.WithoutCancel(ctx), marks...); err != nil {
				failed = err
			}
		}
		failing.note(t, failed, time.Now())
	}
}

// failing is what the log hears of changes that were not invalidated everywhere: the first at once,
// and how many there were each minute that it goes on.
type failing struct {
	changes int       // that the log has not heard of
	said    time.Time // zero: all is well
}

const sayEvery = time.Minute

func (f *failing) note(t *Tracer, err error, now time.Time) {
	if err == nil {
		if !f.said.IsZero() {
			t.log.Info("freshet: changes in the database are invalidated everywhere again",
				"database", t.name)
		}
		*f = failing{}
		return
	}
	if f.changes++; now.Sub(f.said) < sayEvery {
		return
	}
	t.log.Warn("freshet: changes in the database were not invalidated everywhere: the log hears of "+
		"others once a minute", "database", t.name, "error", err, "notifications", f.changes)
	f.changes, f.said = 0, now
}
