package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memcached is a model of a Memcached server: its text protocol, as far as the driver speaks it.
type memcached struct {
	address string

	mu      sync.Mutex
	items   map[string]cached
	changes uint64 // of items: the newest one's number
	way     way    // what becomes of calls: they pass, or are refused, or hang
	changed chan struct{}
}

// cached is an item of a server.
type cached struct {
	flags, value string
	end          time.Time // zero: never
	change       uint64
}

func newMemcached(address string) *memcached {
	return &memcached{address: address, items: map[string]cached{}, changed: make(chan struct{})}
}

// becomes has the server be well, or gone, or stopped.
func (m *memcached) becomes(w way) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.way = w
	close(m.changed)
	m.changed = make(chan struct{})
}

// flush empties the server.
func (m *memcached) flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = map[string]cached{}
}

func (m *memcached) now() (way, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.way, m.changed
}

// wire is one node's network to one server.
type wire struct {
	to *memcached

	mu      sync.Mutex
	dice    *rand.Rand
	way     way
	changed chan struct{}
}

func newWire(to *memcached, dice *rand.Rand) *wire {
	return &wire{to: to, dice: dice, changed: make(chan struct{})}
}

func (w *wire) becomes(way way) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.way = way
	close(w.changed)
	w.changed = make(chan struct{})
}

// now returns what becomes of calls, and channels one of which is closed when that changes.
func (w *wire) now() (way, <-chan struct{}, <-chan struct{}) {
	server, changed := w.to.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if server != passes {
		return server, changed, w.changed
	}
	return w.way, changed, w.changed
}

// travel takes what a call or its answer needs on the way. What hangs arrives late, as TCP has it.
func (w *wire) travel(ctx context.Context) error {
	w.mu.Lock()
	delay := time.Duration(50_000 + w.dice.IntN(300_000))
	if w.dice.IntN(50) == 0 {
		delay += time.Duration(w.dice.Int64N(int64(50 * time.Millisecond)))
	}
	w.mu.Unlock()
	time.Sleep(delay)
	for {
		way, one, other := w.now()
		switch way {
		case passes:
			return nil
		case refuses:
			return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		select {
		case <-one:
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dial connects to the server.
func (w *wire) dial(ctx context.Context) (net.Conn, error) {
	if err := w.travel(ctx); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	go w.serve(server)
	return client, nil
}

// serve answers what a client asks.
func (w *wire) serve(c net.Conn) {
	defer c.Close()
	ctx, in := context.Background(), bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		value := ""
		switch words[0] {
		case "add", "set", "replace", "cas":
			size, _ := strconv.Atoi(words[4])
			b := make([]byte, size+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			value = string(b[:size])
		}
		if w.travel(ctx) != nil {
			return
		}
		answer := w.to.do(words, value)
		if w.travel(ctx) != nil {
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// do carries out a command.
func (m *memcached) do(words []string, value string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch words[0] {
	case "version":
		return "VERSION 1.6\r\n"
	case "get", "gets":
		var b strings.Builder
		for _, key := range words[1:] {
			if item, ok := m.item(key); ok {
				fmt.Fprintf(&b, "VALUE %s %s %d %d\r\n%s\r\n", key, item.flags, len(item.value),
					item.change, item.value)
			}
		}
		return b.String() + "END\r\n"
	}
	item, there := m.item(words[1])
	switch words[0] {
	case "delete":
		if delete(m.items, words[1]); there {
			return "DELETED\r\n"
		}
		return "NOT_FOUND\r\n"
	case "incr":
		n, err := strconv.ParseUint(item.value, 10, 64)
		if !there || err != nil {
			return "NOT_FOUND\r\n"
		}
		by, _ := strconv.ParseUint(words[2], 10, 64)
		item.value = strconv.FormatUint(n+by, 10)
		m.put(words[1], item)
		return item.value + "\r\n"
	case "cas":
		if !there {
			return "NOT_FOUND\r\n"
		}
		if strconv.FormatUint(item.change, 10) != words[5] {
			return "EXISTS\r\n"
		}
	}
	if words[0] == "add" && there || words[0] == "replace" && !there {
		return "NOT_STORED\r\n"
	}
	item = cached{flags: words[2], value: value}
	switch seconds, _ := strconv.ParseInt(words[3], 10, 64); {
	case seconds < 0:
		item.end = time.Unix(1, 0)
	case seconds > 30*24*60*60:
		item.end = time.Unix(seconds, 0)
	case seconds > 0:
		item.end = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	m.put(words[1], item)
	return "STORED\r\n"
}

// item returns what is under a key and has not ended. mu is held.
func (m *memcached) item(key string) (cached, bool) {
	item, ok := m.items[key]
	if ok && !item.end.IsZero() && !time.Now().Before(item.end) {
		delete(m.items, key)
		return cached{}, false
	}
	return item, ok
}

// put stores an item under a new number. mu is held.
func (m *memcached) put(key string, item cached) {
	m.changes++
	item.change = m.changes
	m.items[key] = item
}
