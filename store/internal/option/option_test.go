package option

import (
	"math"
	"strings"
	"testing"
	"time"
)

type config struct {
	n    int
	on   bool
	d    time.Duration
	size int64
	text string
}

func read(query string) (c config, err error) {
	return c, Readers{
		"n": Into(&c.n, Number(1)), "on": Into(&c.on, Bool), "d": Into(&c.d, Duration),
		"size": Into(&c.size, Size), "text": Into(&c.text, Text),
	}.Read(query)
}

func TestRead(t *testing.T) {
	for query, want := range map[string]config{
		"":                           {},
		"n=1&on=true&text=a%20b+c&":  {n: 1, on: true, text: "a b c"},
		"d=500ms&size=7":             {d: 500 * time.Millisecond, size: 7},
		"d=0.25&size=3KiB&on=false":  {d: 250 * time.Millisecond, size: 3 << 10},
		"d=1e3&size=2MiB&%6e=9":      {d: 1000 * time.Second, size: 2 << 20, n: 9},
		"size=8589934591GiB&d=2h45m": {size: 8589934591 << 30, d: 2*time.Hour + 45*time.Minute},
		"text=":                      {},
	} {
		var c config
		err := Readers{
			"n": Into(&c.n, Number(1)), "on": Into(&c.on, Bool), "d": Into(&c.d, Duration),
			"size": Into(&c.size, Size), "text": Into(&c.text, Text),
		}.Read(query)
		if err != nil || c != want {
			t.Errorf("%q: %+v, %v; want %+v", query, c, err, want)
		}
	}
	for query, want := range map[string]string{
		"n=%zz":                "the options are malformed: name=value&name=value is allowed",
		"N=1":                  `unknown option "N": allowed are d, n, on, size, text`,
		"n=1&n=1":              "option n is given 2 times: once is allowed",
		"n=0":                  `option n="0": a whole number, 1 or more, is allowed`,
		"n=":                   `option n="": a whole number, 1 or more`,
		"n=1.5":                `option n="1.5": a whole number`,
		"on=yes":               `option on="yes": true or false is allowed`,
		"d=0":                  `option d="0": a number of seconds or a duration such as 500ms, more than 0, is allowed`,
		"d=-1s":                `option d="-1s": a number`,
		"d=NaN":                `option d="NaN": a number`,
		"d=1e300":              `option d="1e300": a number`,
		"d=soon":               `option d="soon": a number`,
		"size=0":               `option size="0": a whole number of bytes above 0, or of KiB, MiB or GiB, as in 512MiB, is allowed`,
		"size=-1":              `option size="-1": a whole number of bytes`,
		"size=1GB":             `option size="1GB": a whole number of bytes`,
		"size=8589934592GiB":   `option size="8589934592GiB": a whole number of bytes`,
		"size=1KiBMiB":         `option size="1KiBMiB": a whole number of bytes`,
		"text=" + "%00" + "&z": `unknown option "z"`,
	} {
		if _, err := read(query); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v; want %s", query, err, want)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, n := range []int{1, 5, 10} {
		if err := Within("n", n, 1, 10); err != nil {
			t.Error(err)
		}
	}
	for want, err := range map[string]error{
		"n=0: 1 to 10 is allowed":  Within("n", 0, 1, 10),
		"n=11: 1 to 10 is allowed": Within("n", 11, 1, 10),
		"d=2h0m0s: 1ms to 1h0m0s is allowed": Within("d", 2*time.Hour,
			time.Millisecond, time.Hour),
		"d=0s: more than 0 and at most 1h0m0s is allowed": Within("d", 0, 1, time.Hour),
		"s=5: 6 to 9223372036854775807 is allowed":        Within("s", int64(5), 6, math.MaxInt64),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
