package seat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is processes that follow a journal and append to it, while servers and networks fail.
type world struct {
	*cluster
	t *testing.T

	mu        sync.Mutex
	marks     []mark // that were acknowledged
	given     int
	greatest  uint64 // number that a process has seen
	processes []*process
	answers   int
	wrong     int
}

// mark is one that was acknowledged at a time. Before the change that it speaks of, processes had
// seen numbers up to fills: what they stored then has no greater one.
type mark struct {
	id    int
	at    time.Time
	fills uint64
}

// process is one that follows the journal.
type process struct {
	world *world
	line
	keeper     *Keeper
	end        func()
	seen       uint64 // up to which it has everything
	everything uint64 // below which nothing that is stored counts
	applied    map[int]bool
	checked    int // of the marks that were acknowledged, it knows so many
}

func (w *world) starts(name string) *process {
	done, end := context.WithCancel(context.Background())
	l := line{w.cluster, name}
	return &process{world: w, line: l, keeper: New(done, l), end: end, applied: map[int]bool{}}
}

// follows asks for what is new, and checks the answer: it has, or covers, each mark that was
// acknowledged before it was asked for.
func (p *process) follows(ctx context.Context) error {
	began := time.Now()
	at, head, err := p.keeper.Find(ctx)
	if err != nil {
		return err
	}
	marks, err := p.line.since(ctx, at, p.seen, head.Number)
	if err != nil {
		return err
	}
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if head.Number < p.seen {
		w.fail("%s has seen %d, and the journal at %v ends at %d", p.process, p.seen, at, head.Number)
	}
	if missing := head.Number - max(p.seen, at.Number); uint64(len(marks)) != missing {
		return errGone // it forgot them meanwhile
	}
	if p.seen < at.Number {
		p.everything = at.Number
	}
	for _, id := range marks {
		p.applied[id] = true
	}
	p.seen = head.Number
	w.greatest = max(w.greatest, p.seen)
	w.answers++
	for ; p.checked < len(w.marks) && w.marks[p.checked].at.Before(began); p.checked++ {
		if m := w.marks[p.checked]; !p.applied[m.id] && p.everything <= m.fills {
			w.fail("%s asked at %v, and lacks mark %d, which was acknowledged %v before; it is at %v",
				p.process, began.Format(time.StampMicro), m.id, began.Sub(m.at), at)
		}
	}
	return nil
}

// appends appends a mark.
func (p *process) appends(ctx context.Context) error {
	w := p.world
	w.mu.Lock()
	w.given++
	m := mark{id: w.given, fills: w.greatest}
	w.mu.Unlock()
	var number uint64
	err := p.keeper.Write(ctx, func(at Seat) (err error) {
		number, err = p.line.append(ctx, at, m.id)
		return err
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if number <= m.fills {
		w.fail("%s gave a mark the number %d, and others had seen %d before", p.process, number, m.fills)
	}
	p.applied[m.id] = true
	m.at = time.Now()
	w.marks = append(w.marks, m)
	return nil
}

func (w *world) fail(format string, args ...any) {
	if w.wrong++; w.wrong <= 5 {
		w.t.Errorf(format, args...)
	}
}

// lives follows and appends until ctx is done.
func (p *process) lives(ctx context.Context, chance *rand.Rand) {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		if chance.IntN(3) == 0 {
			p.appends(call)
		} else {
			p.follows(call)
		}
		cancel()
		time.Sleep(time.Duration(chance.Int64N(int64(200 * time.Millisecond))))
	}
}

// fails has one thing go wrong for a while. A server forgets only when all copies are the same, and
// nothing else is wrong: of several that forget, nobody can tell what they knew.
func (w *world) fails(chance *rand.Rand) {
	name := w.order[chance.IntN(len(w.order))]
	s := w.servers[name]
	lasts := time.Duration(chance.Int64N(int64(5 * time.Second)))
	switch what := chance.IntN(6); what {
	case 0, 1:
		w.with(func() { s.hangs = true })
		time.Sleep(lasts)
		w.with(func() { s.hangs = false })
	case 2, 3: // some processes do not reach some servers
		pairs := map[string]bool{}
		for _, p := range w.processes {
			for _, name := range w.order {
				if chance.IntN(3) == 0 {
					pairs[p.process+" "+name] = true
				}
			}
		}
		w.with(func() { w.cut = pairs })
		if chance.IntN(3) == 0 { // and a server hangs besides
			w.with(func() { s.hangs = true })
			time.Sleep(lasts / 2)
			w.with(func() { s.hangs = false })
		}
		time.Sleep(lasts)
		w.with(func() { w.cut = map[string]bool{} })
	default:
		if !w.same() {
			return
		}
		w.with(func() { s.forget(); s.down = what == 5 })
		if what == 5 {
			time.Sleep(lasts)
			w.with(func() { s.down = false })
		}
		time.Sleep(3 * time.Second)
	}
}

func (w *world) same() bool {
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	for _, s := range w.servers {
		if s.copy != w.servers[w.order[0]].copy {
			return false
		}
	}
	return true
}

// A mark that was acknowledged is known to, or covered for, everyone who asks afterwards, whatever
// fails; and when a majority of the servers is well again, so is the journal. FRESHET_SEED has one
// simulation again, and FRESHET_ROUNDS has more of them.
func TestSimulation(t *testing.T) {
	rounds, first := 2, uint64(1)
	if n, err := strconv.Atoi(os.Getenv("FRESHET_ROUNDS")); err == nil {
		rounds, first = n, rand.Uint64N(1<<40)
	}
	if seed, err := strconv.ParseUint(os.Getenv("FRESHET_SEED"), 10, 64); err == nil {
		rounds, first = 1, seed
	}
	answers, marks, journals := 0, 0, 0
	for seed := first; seed < first+uint64(rounds); seed++ {
		for _, n := range []int{3, 5} {
			t.Run(fmt.Sprintf("%d servers, FRESHET_SEED=%d", n, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := simulate(t, n, seed)
					answers, marks, journals = answers+w.answers, marks+len(w.marks), journals+w.begun
				})
			})
		}
	}
	simulations := 2 * rounds
	t.Logf("%d simulations: %d answers, %d marks, %d journals", simulations, answers, marks, journals)
	if answers < 500*simulations || marks < 500*simulations || journals < 2*simulations {
		t.Error("too little to test anything")
	}
}

func simulate(t *testing.T, servers int, seed uint64) *world {
	w := &world{cluster: newCluster(servers, seed), t: t}
	chance := rand.New(rand.NewPCG(seed, 1))
	for i := range 4 {
		w.processes = append(w.processes, w.starts(string(rune('A'+i))))
	}
	ctx, end := context.WithCancel(context.Background())
	var living sync.WaitGroup
	for i, p := range w.processes {
		living.Go(func() { p.lives(ctx, rand.New(rand.NewPCG(seed, uint64(i)+2))) })
	}
	for began := time.Now(); time.Since(began) < 40*time.Second; {
		w.fails(chance)
		time.Sleep(time.Duration(chance.Int64N(int64(4 * time.Second))))
	}
	// of a majority that is well: the others hang
	for _, name := range w.order[Majority(servers):] {
		w.with(func() { w.servers[name].hangs = true })
	}
	time.Sleep(longPause + 5*time.Second)
	end()
	living.Wait()
	for _, p := range w.processes {
		call, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
		if err := errors.Join(p.follows(call), p.appends(call)); err != nil {
			t.Errorf("%s, with a majority that is well: %v", p.process, err)
		}
		cancel()
		p.end()
	}
	w.with(func() {
		for _, s := range w.servers {
			s.down = true
		}
	})
	time.Sleep(2 * callTimeout)
	return w
}
