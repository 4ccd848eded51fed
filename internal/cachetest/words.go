package cachetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/freshettest"
)

// judge says what is wrong with a reply.
func (s step) judge(got *reply) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	status, cut := 200, false
	for _, word := range s.words {
		if n, err := strconv.Atoi(word); err == nil {
			status = n
		}
		cut = cut || word == "cut"
	}
	if cut {
		if got.err == nil && got.status < 500 {
			say("the response looks complete: %d %.100q", got.status, got.body)
		}
		return wrong
	}
	if got.err != nil {
		say("no complete response: %v", got.err)
		return wrong
	}
	if got.status != status {
		say("status %d, want %d", got.status, status)
	}
	if s.wantBody != "*" && got.body != s.wantBody {
		say("body %.100q, want %.100q", got.body, s.wantBody)
	}
	told := freshettest.StatusOf(got.header)
	for _, word := range s.words {
		if w := judgeWord(word, got, told); w != "" {
			say("%s", w)
		}
	}
	return append(wrong, always(got, told)...)
}

// always is what must be true of every response of the cache.
func always(got *reply, told freshettest.Status) (wrong []string) {
	switch {
	case told.Cache != "Freshet":
		wrong = append(wrong,
			fmt.Sprintf("Cache-Status %q does not come from Freshet",
				got.header.Values("Cache-Status")))
	case told.Key != "":
		wrong = append(wrong, "Cache-Status shows the key")
	case told.Hit && told.Fwd != "":
		wrong = append(wrong, "Cache-Status has both hit and fwd")
	case !told.Hit && told.Fwd == "" && told.Detail == "":
		wrong = append(wrong, "Cache-Status says neither hit nor fwd nor why")
	}
	if age, err := strconv.Atoi(got.header.Get("Age")); told.Hit && (err != nil || age < 0) {
		wrong = append(wrong, fmt.Sprintf("a response from the store has Age %q",
			got.header.Values("Age")))
	}
	if got.header.Get("Date") == "" && got.status != http.StatusGatewayTimeout {
		wrong = append(wrong, "no Date")
	}
	return wrong
}

// about is how much later a number of seconds may be read, in a test on a busy machine.
const about = 15

func judgeWord(word string, got *reply, told freshettest.Status) string {
	if _, err := strconv.Atoi(word); err == nil {
		return ""
	}
	if name, value, found := strings.Cut(word, ": "); found {
		if have := strings.Join(got.header.Values(name), ", "); have != filled(value) {
			return fmt.Sprintf("%s is %q, want %q", name, have, value)
		}
		return ""
	}
	if name, value, found := strings.Cut(word, " has "); found {
		if have := strings.Join(got.header.Values(name), ", "); !strings.Contains(have, value) {
			return fmt.Sprintf("%s is %q, want it to have %q", name, have, value)
		}
		return ""
	}
	if name, value, found := strings.Cut(word, " ~ "); found {
		return judgeNumber(name, value, got, told)
	}
	if name, found := strings.CutPrefix(word, "no "); found {
		if have := got.header.Values(name); len(have) > 0 {
			return fmt.Sprintf("%s is %q, want none", name, have)
		}
		return ""
	}
	word, not := strings.CutPrefix(word, "!")
	if statusSays(told, word) == not {
		return fmt.Sprintf("Cache-Status is %q, want %s", got.header.Values("Cache-Status"),
			map[bool]string{true: "not ", false: ""}[not]+word)
	}
	return ""
}

// judgeNumber lets an age be somewhat greater, and a ttl somewhat less.
func judgeNumber(name, value string, got *reply, told freshettest.Status) string {
	want, _ := strconv.Atoi(value)
	have, err := strconv.Atoi(got.header.Get(name))
	late := have - want
	if name == "ttl" {
		have, err = int(told.TTL/time.Second), nil
		late = want - have
	}
	if err != nil || late < 0 || late > about {
		return fmt.Sprintf("%s is %d (%q), want about %d", name, have, got.header.Values(name),
			want)
	}
	return ""
}

// statusSays reports whether Cache-Status has a word, or a parameter with a value.
func statusSays(s freshettest.Status, word string) bool {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "hit":
		return s.Hit
	case "stored":
		return s.Stored
	case "collapsed":
		return s.Collapsed
	case "shared":
		return s.Hit || s.Collapsed
	case "fwd":
		return s.Fwd == value
	case "fwd-status":
		return strconv.Itoa(s.FwdStatus) == value
	case "detail":
		return s.Detail == value
	case "ttl":
		return s.HasTTL
	}
	panic("cachetest: a story wants " + word + ", which is no word of Cache-Status")
}
