package policy

import (
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
)

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		o    Outcome
		want string
	}{
		{Outcome{}, ""},
		{Outcome{Hit: true}, "hit"},
		{Outcome{Hit: true, TTL: 90500 * time.Millisecond, HasTTL: true}, "hit; ttl=90"},
		{Outcome{Hit: true, Stale: true, TTL: -500 * time.Millisecond, HasTTL: true},
			"hit; ttl=-1"},
		{Outcome{Hit: true, TTL: -3 * time.Second, HasTTL: true}, "hit; ttl=-3"},
		{Outcome{Hit: true, HasTTL: true}, "hit; ttl=0"},
		{Outcome{Hit: true, Fwd: FwdStale, FwdStatus: 304, Stored: true, Collapsed: true}, "hit"},
		{Outcome{Fwd: FwdURIMiss, FwdStatus: 200, Stored: true}, "fwd=uri-miss; fwd-status=200; " +
			"stored"},
		{Outcome{Fwd: FwdStale, FwdStatus: 304, Stored: true, TTL: time.Minute, HasTTL: true},
			"fwd=stale; fwd-status=304; stored; ttl=60"},
		{Outcome{Fwd: FwdMiss, Collapsed: true}, "fwd=miss; collapsed"},
		{Outcome{Fwd: FwdBypass, Detail: "upgrade"}, "fwd=bypass; detail=upgrade"},
		{Outcome{Fwd: FwdMethod}, "fwd=method"},
		{Outcome{Fwd: FwdVaryMiss}, "fwd=vary-miss"},
		{Outcome{Fwd: FwdRequest}, "fwd=request"},
		{Outcome{Fwd: FwdPartial}, "fwd=partial"},
		{Outcome{Fwd: FwdPartial + 1}, ""},
		{Outcome{Stored: true, Collapsed: true, FwdStatus: 200}, ""},
		{Outcome{Fwd: FwdBypass, Detail: "two words"}, `fwd=bypass; detail="two words"`},
		{Outcome{Fwd: FwdBypass, Detail: "a!Z0:9/z~"}, "fwd=bypass; detail=a!Z0:9/z~"},
		{Outcome{Fwd: FwdBypass, Detail: "9"}, `fwd=bypass; detail="9"`},
	} {
		if got := c.o.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
	for name, want := range map[string]string{
		"Freshet":      "Freshet; hit",
		"a.example:80": "a.example:80; hit",
		"*x/y":         "*x/y; hit",
		"zone":         "zone; hit",
		"ZONE":         "ZONE; hit",
		"{a}":          `"{a}"; hit`,
		"":             `""; hit`,
		"1st":          `"1st"; hit`,
		`my "cache"\`:  `"my \"cache\"\\"; hit`,
		"a, b; c":      `"a, b; c"; hit`,
		"~ is text":    `"~ is text"; hit`,
		"x\r\nY: z":    `"x??Y: z"; hit`, // response splitting
		"x y\x7f":      `"x y?"; hit`,
	} {
		if got := string((Outcome{Hit: true}).Append([]byte("Other; hit, "), name)); got != "Other; hit, "+want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// FuzzOutcome: whatever the outcome, an independent reader of structured fields gets it back.
func FuzzOutcome(f *testing.F) {
	f.Add("Freshet", "detail", uint8(3), true, int64(-1), uint16(200), uint8(3))
	f.Add("a b\n\"", "é", uint8(0), true, int64(1<<62), uint16(0), uint8(4))
	f.Fuzz(func(t *testing.T, name, detail string, fwd uint8, hasTTL bool, ttl int64, status uint16,
		bits uint8) {
		o := Outcome{
			Hit: bits&1 != 0, Fwd: Fwd(fwd), FwdStatus: int(status), Stored: bits&2 != 0,
			Collapsed: bits&4 != 0,
			TTL:       time.Duration(ttl), HasTTL: hasTTL, Detail: Reason(detail),
		}
		text := string(o.Append(nil, name))
		list, err := httpsfv.UnmarshalList([]string{text})
		if err != nil || len(list) != 1 {
			t.Fatalf("%q: %v", text, err)
		}
		item := list[0].(httpsfv.Item)
		if got := itemText(item.Value); got != asHeld(name) {
			t.Errorf("%q: name %q, want %q", text, got, asHeld(name))
		}
		forwarded := !o.Hit && o.Fwd != FwdNone && o.Fwd <= FwdPartial
		expect := func(parameter string, want any) {
			got, _ := item.Params.Get(parameter)
			if v, ok := got.(httpsfv.Token); ok {
				got = string(v)
			}
			if got != want {
				t.Errorf("%q: %s is %v, want %v", text, parameter, got, want)
			}
		}
		when := func(is bool, v any) any {
			if is {
				return v
			}
			return nil
		}
		expect("hit", when(o.Hit, true))
		expect("fwd", when(forwarded, o.Fwd.String()))
		expect("fwd-status", when(forwarded && status > 0, int64(status)))
		expect("stored", when(forwarded && o.Stored, true))
		expect("collapsed", when(forwarded && o.Collapsed, true))
		expect("detail", when(detail != "", asHeld(detail)))
		if seconds, has := item.Params.Get("ttl"); has != hasTTL {
			t.Errorf("%q: ttl %v", text, seconds)
		} else if has {
			if left := o.TTL - time.Duration(seconds.(int64))*time.Second; left < 0 || left >= time.Second {
				t.Errorf("%q: ttl of %v", text, o.TTL)
			}
		}
	})
}

func itemText(v any) string {
	if token, ok := v.(httpsfv.Token); ok {
		return string(token)
	}
	s, _ := v.(string)
	return s
}

func asHeld(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func TestOutcomeAllocates(t *testing.T) {
	o := Outcome{Fwd: FwdStale, FwdStatus: 304, Stored: true, TTL: time.Minute, HasTTL: true,
		Detail: "stale"}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { o.Append(dst, "Freshet") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOutcome(b *testing.B) {
	o := Outcome{Hit: true, TTL: time.Minute, HasTTL: true}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = o.Append(dst[:0], "Freshet")
	}
}

// Told changes nothing that is told, and leaves nothing that is not: of equal texts it makes equal
// outcomes.
func TestTold(t *testing.T) {
	passed, plain := Outcome{Fwd: FwdURIMiss, FwdStatus: 200,
		Passed: "set-cookie"}, Outcome{Fwd: FwdURIMiss, FwdStatus: 200}
	if passed.Told() != plain || passed.String() != plain.String() {
		t.Errorf("%+v is told as %v", passed, passed.Told())
	}
	said := map[string]Outcome{}
	for _, hit := range []bool{true, false} {
		for _, fwd := range []Fwd{FwdNone, FwdURIMiss, FwdStale} {
			for _, status := range []int{0, 200} {
				for _, flags := range []int{0, 1, 2, 4, 7} {
					for _, ttl := range []time.Duration{0, time.Millisecond, 59 * time.Second,
						59*time.Second + 1,
						-time.Millisecond, -time.Second} {
						for _, has := range []bool{true, false} {
							o := Outcome{
								Hit: hit, Fwd: fwd, FwdStatus: status, Stored: flags&1 > 0,
								Collapsed: flags&2 > 0,
								Stale:     flags&4 > 0,
								TTL:       ttl, HasTTL: has,
							}
							told, text := o.Told(), o.String()
							if told.String() != text {
								t.Fatalf("%+v: told is %q, want %q", o, told, text)
							}
							if other, ok := said[text]; ok && told != other {
								t.Fatalf("%q is told of %+v and of %+v", text, told, other)
							}
							said[text] = told
						}
					}
				}
			}
		}
	}
}
