package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// probed is a keeper of which one call goes wrong: the n-th of its name, counted from 1.
type probed struct {
	*keeper
	calls []string
	wrong func(call string, n int) (act bool)
	get   func(v []byte, err error) ([]byte, error) // what goes wrong with a Get
	err   error                                     // and with the others
	took  time.Duration
	keys  map[string]bool
}

func (p *probed) goesWrong(call, key string) bool {
	time.Sleep(p.took)
	n := 1
	for _, c := range p.calls {
		if c == call {
			n++
		}
	}
	p.calls = append(p.calls, call)
	if p.keys == nil {
		p.keys = map[string]bool{}
	}
	p.keys[key] = true
	return p.wrong != nil && p.wrong(call, n)
}

func (p *probed) Get(ctx context.Context, key string) ([]byte, error) {
	wrong := p.goesWrong("get", key)
	v, err := p.keeper.Get(ctx, key)
	if wrong {
		return p.get(v, err)
	}
	return v, err
}

func (p *probed) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if p.goesWrong("set", key) {
		p.keeper.Set(ctx, key, value, ttl) // a server may do what it does not acknowledge
		return p.err
	}
	return p.keeper.Set(ctx, key, value, ttl)
}

func (p *probed) Delete(ctx context.Context, key string) (bool, error) {
	if p.goesWrong("delete", key) {
		return false, p.err
	}
	return p.keeper.Delete(ctx, key)
}

func (p *probed) Health(context.Context) (Health, error) {
	if p.goesWrong("health", "") {
		return Health{Backend: "probed"}, p.err
	}
	return Health{Backend: "probed", Latency: time.Hour,
		Details: map[string]string{"version": "1"}}, nil
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &probed{keeper: newKeeper(), took: time.Millisecond}
		b.values["blog:mine"] = []byte("stays")
		h, err := Probe(t.Context(), b, "blog:")
		if err != nil || h.Backend != "probed" || h.Details["version"] != "1" {
			t.Errorf("%+v, %v", h, err)
		}
		if h.Latency != 4*time.Millisecond {
			t.Errorf("latency %v, want that of the four calls", h.Latency)
		}
		if len(b.values) != 1 {
			t.Errorf("left behind: %q", b.values)
		}
		if got := strings.Join(b.calls, " "); got != "set get delete get health" {
			t.Errorf("calls: %s", got)
		}
		for range 2 {
			Probe(t.Context(), b, "blog:")
		}
		delete(b.keys, "") // Health's
		if len(b.keys) != 3 {
			t.Errorf("%d keys for three probes: two at once would see each other's", len(b.keys))
		}
		for key := range b.keys {
			if !strings.HasPrefix(key, "blog:probe-") || CheckKey(key) != nil {
				t.Errorf("key %q", key)
			}
		}
	})
}

func TestProbeSaysWhichStepFailed(t *testing.T) {
	down := errors.New("connection refused")
	nth := func(call string, n int) func(string, int) bool {
		return func(c string, m int) bool { return c == call && m == n }
	}
	for _, tt := range []struct {
		story string
		b     probed
		want  string
	}{
		{"cannot be written", probed{wrong: nth("set", 1), err: down},
			"probe: set: connection refused"},
		{"cannot be read", probed{wrong: nth("get", 1), get: func([]byte, error) ([]byte, error) {
			return nil, down
		}}, "probe: get: connection refused"},
		{"forgets at once", probed{wrong: nth("get", 1), get: func([]byte, error) ([]byte, error) {
			return nil, ErrNotFound
		}}, "probe: get: the value that was just set is not there"},
		{"gives another value", probed{wrong: nth("get", 1), get: func(v []byte, _ error) ([]byte,
			error) {
			return v[:len(v)-1], nil
		}}, "probe: get: not the value"},
		{"cannot delete", probed{wrong: nth("delete", 1), err: down}, "probe: delete: connection " +
			"refused"},
		{"says that nothing was deleted", probed{wrong: nth("delete", 1)},
			"probe: delete: said that nothing was there"},
		{"does not delete", probed{wrong: nth("get", 2), get: func([]byte, error) ([]byte, error) {
			return []byte("v"), nil
		}}, "probe: get after delete: the value is still there"},
		{"dies then", probed{wrong: nth("get", 2), get: func([]byte, error) ([]byte, error) {
			return nil, down
		}}, "probe: get after delete: connection refused"},
		{"is not well", probed{wrong: nth("health", 1), err: down}, "probe: health: connection " +
			"refused"},
	} {
		b := tt.b
		b.keeper = newKeeper()
		h, err := Probe(t.Context(), &b, "")
		if err == nil || !strings.Contains(err.Error(), tt.want) || h.Latency <= 0 {
			t.Errorf("a backend that %s: %+v, %v; want %q", tt.story, h, err, tt.want)
		}
		if strings.Contains(tt.want, down.Error()) && !errors.Is(err, down) {
			t.Errorf("a backend that %s: the cause is lost in %v", tt.story, err)
		}
		if len(b.values) != 0 {
			t.Errorf("a backend that %s: the probe left %q", tt.story, b.values)
		}
	}
}

// Not half of the time: a health page that flaps is believed by nobody.
func TestProbeOfADeadBackendFailsEveryTime(t *testing.T) {
	b := newKeeper()
	b.fail = errors.New("connection refused")
	for range 50 {
		if _, err := Probe(t.Context(), b, ""); err == nil {
			t.Fatal("a probe succeeded")
		}
	}
}

// A server that hangs costs what the caller gives the probe, and a second to clean up.
func TestProbeOfAHangingBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		h, err := Probe(ctx, hanging{newKeeper()}, "")
		if !errors.Is(err, context.DeadlineExceeded) || KindOf(err) != KindTimeout ||
			h.Latency != 2*time.Second {
			t.Errorf("%+v, %v", h, err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

type hanging struct{ *keeper }

func (hanging) Set(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) Delete(ctx context.Context, _ string) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func TestProbeTakesAPrefix(t *testing.T) {
	b := newKeeper()
	if _, err := Probe(t.Context(), b, strings.Repeat("p", maxPrefix)); err != nil {
		t.Errorf("with the longest prefix: %v", err)
	}
	if _, err := Probe(t.Context(), b, "a b"); err == nil {
		t.Error("a prefix that is not allowed was taken")
	}
}
