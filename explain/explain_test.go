package explain

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/freshet-go/freshet/policy"
)

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		o       policy.Outcome
		would   bool
		verdict string
		outcome string
		advises bool
	}{
		{policy.Outcome{Hit: true, TTL: 59 * time.Second, HasTTL: true}, false,
			"The stored response answered.", "hit; ttl=59", false},
		{policy.Outcome{Hit: true, Stale: true, TTL: -time.Second, HasTTL: true}, true,
			"The stored response would be served although it is stale.", "hit; ttl=-1", false},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Stored: true}, false, "its response was stored. " +
			"Nothing is stored for the URL.", "fwd=uri-miss; stored", false},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Collapsed: true}, false,
			"shared with a request that came before", "fwd=uri-miss; collapsed", false},
		{policy.Outcome{Fwd: policy.FwdBypass, Detail: "upgrade"}, true,
			"would pass the cache by: The request asks for another protocol",
			"fwd=bypass; detail=upgrade", false},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "private"}, false,
			"Not stored: The response says private", "fwd=uri-miss; detail=private", true},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "private"}, true, "Would not be stored: ",
			"fwd=uri-miss; detail=private", true},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "new"}, false,
			"the reason new, which this version does not know", "fwd=uri-miss; detail=new", false},
		{policy.Outcome{Detail: "only-if-cached"}, false, "No handler was asked: ",
			"detail=only-if-cached", true},
		{policy.Outcome{Fwd: policy.FwdStale}, false, "The handler was asked. What is stored is " +
			"stale", "fwd=stale", true},
		{policy.Outcome{}, false, "decided nothing", "", false},
	} {
		x := &Explanation{}
		x.Conclude(c.o, c.would)
		if !strings.Contains(x.Verdict, c.verdict) || x.Outcome != c.outcome ||
			x.Would != c.would || (x.Advice != "") != c.advises {
			t.Errorf("%v: %+v", c.o, x)
		}
	}
}

// long is an explanation with texts of all kinds.
func long() *Explanation {
	x := &Explanation{Request: "GET https://shop.example/" + strings.Repeat("x", 100)}
	x.Conclude(policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "cookie"}, false)
	for range 40 {
		x.Add("request", "m", Fact{What: "credentials", Value: "\x1b[31m\u202e" +
			strings.Repeat("word ", 30), Source: "\"fields\"", RFC: "RFC 9111 section 3.5",
			Advice: "none \x00"})
	}
	return x
}

// What comes from a request does nothing to a terminal, and lines are of 80 columns but for a word
// that is longer.
func TestTextIsForATerminal(t *testing.T) {
	text := long().String()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) > Width &&
			strings.Contains(strings.TrimSpace(strings.TrimPrefix(line, "GET ")), " ") {
			t.Errorf("a line of %d columns: %q", utf8.RuneCountInString(line), line)
		}
		for _, c := range line {
			if c < ' ' || c == 0x202e {
				t.Errorf("a line has %q: %q", c, line)
			}
		}
	}
	if !strings.Contains(text, "section 3.5") {
		t.Errorf("the sections are missing:\n%s", text)
	}
}

// The value of a field is printable ASCII, bounded, of whole parts, and has no URL.
func TestFieldIsOne(t *testing.T) {
	field := long().Field()
	if len(field) > maxField || strings.Count(field, `"`)%2 != 0 || strings.Contains(field,
		"shop.example") {
		t.Errorf("%d bytes: %s", len(field), field)
	}
	for i := range len(field) {
		if field[i] < ' ' || field[i] > '~' {
			t.Errorf("a byte %#x", field[i])
		}
	}
	if !strings.HasPrefix(field,
		`fwd=uri-miss; detail=cookie; rfc="RFC 9111 section 3.5"; because="Not stored: `) {
		t.Errorf("%s", field)
	}
}

// The names in JSON are those that programs know.
func TestJSONIsStable(t *testing.T) {
	x := &Explanation{Request: "GET http://h/"}
	x.Conclude(policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "private"}, true)
	x.Add("response", "app", Fact{What: "status", Value: "200", Source: "s", RFC: "r", Advice: "a"})
	text, err := json.Marshal(x)
	const want = `{"request":"GET http://h/","verdict":"Would not be stored: The response says private: it is for one user.",` +
		`"outcome":"fwd=uri-miss; detail=private","would":true,"reason":"private","rfc":"RFC 9111 section 5.2.2.7",` +
		`"advice":"Take private away, if the response is the same for all.","sections":[{"name":"response","mount":"app",` +
		`"facts":[{"what":"status","value":"200","source":"s","rfc":"r","advice":"a"}]}]}`
	if err != nil || string(text) != want {
		t.Errorf("%v\n got %s\nwant %s", err, text, want)
	}
	var back Explanation
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, x) {
		t.Errorf("%v: %+v", err, back)
	}
}

// Facts of one section stand together, and those of another mount apart.
func TestAdd(t *testing.T) {
	x := &Explanation{}
	x.Add("key", "a", Fact{What: "host"})
	x.Add("key", "a", Fact{What: "path", Value: "/"})
	x.Add("key", "b", Fact{What: "host"})
	x.Add("key", "b")
	if len(x.Sections) != 2 || len(x.Sections[0].Facts) != 2 {
		t.Errorf("%+v", x)
	}
	if f, ok := x.Fact("key", "path"); !ok || f.Value != "/" {
		t.Errorf("%+v, %v", f, ok)
	}
	if _, ok := x.Fact("stored", "path"); ok {
		t.Error("a fact of no section")
	}
}
