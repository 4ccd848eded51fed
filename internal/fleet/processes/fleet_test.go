package processes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/fleet/history"
	"github.com/freshet-go/freshet/internal/testserver"
)

// fleet is five processes of an app with their server, and what clients have made of them.
type fleet struct {
	story     *testing.T // of all faults
	t         *testing.T // of the one that is under way
	kind      kind
	server    *testserver.Server
	database  *database
	processes []*process
	dice      *rand.Rand // for the one goroutine that plays faults
	began     time.Time
	maxLag    time.Duration

	mu     sync.Mutex
	healed bool // all is well, and all agree
	reads  []history.Read
	writes []*history.Write

	clients [3]client
}

// pages are what clients ask for.
var pages = []string{"/pages/a", "/pages/b", "/pages/c"}

// client is somebody who keeps the token of what it has changed, but for client 0, which stands for
// all who do not. It makes one change at a time.
type client struct {
	changing sync.Mutex
	mu       sync.Mutex
	token    string
}

func (c *client) shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *client) keep(cookies []*http.Cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cookie := range cookies {
		c.token = cookie.Name + "=" + cookie.Value
	}
}

// database has the versions of the pages. All processes reach it, whatever fails.
type database struct {
	*httptest.Server
	mu       sync.Mutex
	versions map[string]int
}

func newDatabase(t *testing.T) *database {
	d := &database{versions: map[string]int{}}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, d.change(r.URL.Path))
			return
		}
		fmt.Fprint(w, d.read(r.URL.Path))
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *database) change(page string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[page]++
	return d.versions[page]
}

func (d *database) read(page string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.versions[page]
}

// process is an app in a process of its own, through all its lives. It reaches the server by a proxy
// of its own.
type process struct {
	slot  int
	proxy *testserver.FaultProxy
	app   *testserver.Server
	http  *http.Client

	mu   sync.Mutex
	dead bool
	life int
	born time.Duration // of this life
	away time.Duration // since when it has lost the server; 0: it has not
}

func newFleet(t *testing.T, k kind, seed uint64) *fleet {
	f := &fleet{story: t, t: t, kind: k, began: time.Now(), dice: rand.New(rand.NewPCG(seed, 0)),
		server: k.start(t), database: newDatabase(t)}
	f.maxLag, _ = patienceOfApps()
	migrate(t, f.server)
	spool := filepath.Join(t.TempDir(), "spool")
	for i := range 5 {
		proxy := testserver.Proxy(t, f.server.Addr)
		url := strings.Replace(f.server.URL, f.server.Addr, proxy.Addr, 1)
		app := testserver.App(t, envStore+"="+url, envDatabase+"="+f.database.URL,
			envSpool+"="+spool, envName+"=process "+strconv.Itoa(i))
		transport := &http.Transport{MaxIdleConnsPerHost: 20}
		t.Cleanup(transport.CloseIdleConnections)
		f.processes = append(f.processes, &process{slot: i, proxy: proxy, app: app,
			http: &http.Client{Transport: transport, Timeout: patience}})
	}
	t.Cleanup(func() {
		for _, p := range f.processes {
			if log := p.app.Output(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
				t.Errorf("process %d:\n%s", p.slot, log)
			}
		}
	})
	return f
}

// now is the time since the history began.
func (f *fleet) now() time.Duration { return time.Since(f.began) }

// node returns the name of this life of a process, and when that began at the earliest. It has none
// if it is dead.
func (p *process) node() (name string, born time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return "", 0
	}
	return fmt.Sprintf("%d.%d", p.slot, p.life), p.born
}

func (p *process) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.app.Kill()
	p.http.CloseIdleConnections()
}

func (f *fleet) restart(p *process) {
	born := f.now()
	p.app.Start()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead, p.born = false, born
	p.life++
}

// loses has processes lose their server in some way.
func (f *fleet) loses(way func(*testserver.FaultProxy), ps ...*process) {
	for _, p := range ps {
		p.mu.Lock()
		p.away = f.now()
		p.mu.Unlock()
		way(p.proxy)
	}
}

func (f *fleet) finds(ps ...*process) {
	for _, p := range ps {
		p.proxy.Pass()
		p.mu.Lock()
		p.away = 0
		p.mu.Unlock()
	}
}

// leased returns how long the others count a process in at least that has lost the server. It renews
// its lease of 30 seconds once a second.
func (p *process) leased(now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away > 0 {
		now = p.away
	}
	return now + 20*time.Second
}

// one returns a process by chance, and the others.
func (f *fleet) one() (p *process, others []*process) {
	order := f.dice.Perm(len(f.processes))
	for _, i := range order[1:] {
		others = append(others, f.processes[i])
	}
	return f.processes[order[0]], others
}

func (p *process) ask(method, path, cookie string) (*http.Response, string, error) {
	r, err := http.NewRequest(method, p.app.URL+path, nil)
	if err != nil {
		return nil, "", err
	}
	r.Host = site
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	res, err := p.http.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return res, string(text), err
}

func howOf(res *http.Response) string {
	return strings.TrimPrefix(res.Header.Get("Cache-Status"), "Freshet; ")
}

// get has a client, or for 0 nobody known, get a page from a process. Of a process that is dead, or
// dies meanwhile, nothing comes.
func (f *fleet) get(p *process, page string, client int) (r history.Read) {
	f.mu.Lock()
	healed := f.healed
	f.mu.Unlock()
	name, born := p.node()
	if name == "" {
		return r
	}
	r = history.Read{Key: page, Node: name, Born: born, Healed: healed, Client: client, Began: f.now()}
	res, text, err := p.ask("GET", page, f.clients[client].shown())
	r.Ended = f.now()
	if err == nil {
		r.How = howOf(res)
		r.Version, err = strconv.Atoi(text)
	}
	if after, _ := p.node(); err != nil && after != name {
		return history.Read{}
	}
	if err != nil {
		r.Version, r.How = -1, err.Error()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads = append(f.reads, r)
	return r
}

// post has a client change a page at a process, and reports what came of it, or nil if it did not
// answer.
func (f *fleet) post(p *process, page string, client int) *history.Write {
	name, _ := p.node()
	if name == "" {
		return nil
	}
	w := &history.Write{Key: page, Node: name, Began: f.now(), Client: client}
	res, text, err := p.ask("POST", page, f.clients[client].shown())
	if err == nil {
		w.Version, err = strconv.Atoi(text)
	}
	if err != nil {
		return nil
	}
	if client > 0 {
		f.clients[client].keep(res.Cookies())
	}
	w.Acknowledged = !strings.Contains(howOf(res), "detail=unsent")
	return f.wrote(p, w)
}

func (f *fleet) wrote(p *process, w *history.Write) *history.Write {
	w.Ended = f.now()
	w.Leased = p.leased(w.Ended)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes = append(f.writes, w)
	return w
}

// change has a client change a page at a process. Whoever gets no answer asks another one.
func (f *fleet) change(p *process, page string, client int) *history.Write {
	if client > 0 {
		f.clients[client].changing.Lock()
		defer f.clients[client].changing.Unlock()
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if w := f.post(p, page, client); w != nil {
			return w
		}
		p = f.processes[rand.IntN(len(f.processes))]
	}
	f.t.Errorf("no process takes a change of %s", page)
	return &history.Write{}
}

// purge changes a page, and purges it at a process, in one of the ways of waysToPurge. wait waits
// for the receipt, and notes that all know of it.
func (f *fleet) purge(p *process, page, by string) (w *history.Write, wait func() error) {
	name, _ := p.node()
	w = &history.Write{Key: page, Node: name, Began: f.now(), Version: f.database.change(page)}
	_, text, err := p.ask("POST", "/purge?by="+by+"&page="+page, "")
	var said purgeAnswer
	if err == nil {
		err = json.Unmarshal([]byte(text), &said)
	}
	if err != nil {
		f.t.Errorf("process %d: purge: %v", p.slot, err)
		return w, func() error { return errors.New("it was not purged") }
	}
	w.Acknowledged, w.Lost = said.Number > 0, said.Number == 0 && !said.Spooled
	f.wrote(p, w)
	return w, func() error {
		_, _, err := p.ask("GET", said.Wait, "")
		if err == nil {
			f.gone(w, f.now())
		}
		return err
	}
}

// purged is a purge whose receipt nobody waits for.
func (f *fleet) purged(p *process, page, by string) *history.Write {
	w, _ := f.purge(p, page, by)
	return w
}

// gone notes since when nobody may use what a change covers.
func (f *fleet) gone(w *history.Write, at time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Gone = max(at, w.Ended)
}

var waysToPurge = []string{"url", "tag", "prefix"}

// changes makes n changes one after the other, at random processes, by random clients and methods.
func (f *fleet) changes(n int, ps ...*process) (all []*history.Write) {
	for range n {
		p, page := ps[f.dice.IntN(len(ps))], pages[f.dice.IntN(len(pages))]
		if way := f.dice.IntN(2 * len(waysToPurge)); way < len(waysToPurge) {
			all = append(all, f.purged(p, page, waysToPurge[way]))
		} else {
			all = append(all, f.change(p, page, f.dice.IntN(len(f.clients))))
		}
	}
	return all
}

// traffic has clients get pages from all processes until end is called.
func (f *fleet) traffic() (end func()) {
	var work sync.WaitGroup
	ended := make(chan struct{})
	for _, p := range f.processes {
		for range 2 {
			work.Go(func() {
				for {
					select {
					case <-ended:
						return
					case <-time.After(rand.N(30 * time.Millisecond)):
						f.get(p, pages[rand.IntN(len(pages))], rand.IntN(len(f.clients)))
					}
				}
			})
		}
	}
	return func() { close(ended); work.Wait() }
}

// agree waits until each process answers with the newest version of each page, from what is stored,
// and returns how long that took. From then on nothing older may come.
func (f *fleet) agree() time.Duration {
	f.t.Helper()
	began, last := f.now(), history.Read{}
	defer func() {
		if f.t.Failed() {
			f.t.Logf("the last answer: %+v", last)
		}
	}()
	eventually(f.t, "all processes have what is newest, from their caches", func() bool {
		for _, page := range pages {
			for _, p := range f.processes {
				last = f.get(p, page, 0)
				if last.Version != f.database.read(page) || !strings.HasPrefix(last.How, "hit") {
					return false
				}
			}
		}
		return true
	})
	took := f.now() - began
	f.mu.Lock()
	f.healed = true
	f.mu.Unlock()
	time.Sleep(linger())
	for _, page := range pages {
		for _, p := range f.processes {
			f.get(p, page, 0)
		}
	}
	return took
}

// judge fails for whatever clients must not have been answered, and forgets what they read.
func (f *fleet) judge() (h history.History) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	h = history.History{Bound: f.maxLag, Reads: f.reads}
	for _, w := range f.writes {
		h.Writes = append(h.Writes, *w)
	}
	for i, what := range h.Violations() {
		if i == 20 {
			f.t.Error("and more")
			break
		}
		f.t.Error(what)
	}
	f.reads, f.healed = nil, false
	return h
}
