package accesslog

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a log holds, reading it ends, each line is a record or skipped, and a record is one that
// can be replayed.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		`192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "r" "u"`,
		`v:80 192.0.2.1 - a b [28/Nov/2026:12:00:60 +0000] "GET / HTTP/1.1" 304 - "\"\x2\\" "`,
		`{"time":"2026-11-28T12:00:00Z","method":"GET","uri":"/","status":200,"took":"2s","cache":"hit"}`,
		`{"msec":1795867200.1,"request":"GET / HTTP/1.1","status":"200","upstream_response_time":"1,-,2"}`,
		"\x1f\x8b\x08\x00", "{}\n\n{", "[\n\"", string(zipped(lineAt(0, "/"))),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		r := NewReader("log", bytes.NewReader(log))
		records := int64(0)
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			records++
			switch {
			case !isMethod(rec.Method), rec.Status < 100 || rec.Status > 999, rec.Bytes < 0,
				rec.Took < 0, rec.Origin < 0, rec.Took > longest:
				t.Errorf("%+v", rec)
			case rec.Target == "" || strings.ContainsAny(rec.Target, " \n\x00"):
				t.Errorf("target %q", rec.Target)
			case rec.Time.Before(time.Unix(0, 0).Add(-longest)) || rec.Time.Year() > 9999:
				t.Errorf("time %v", rec.Time)
			}
		}
		s := r.Skipped()
		if s.Read != records || len(s.First) > mostShown || int64(len(s.First)) > s.Lines {
			t.Errorf("%d records, %+v", records, s)
		}
	})
}

// What encoding/json reads, flatJSON reads, and the same.
func FuzzFlatJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":"b","c":1.5e3,"d":null,"e":[1,{"f":"g"}],"h":true}`,
		`{"a":"\u00e9\ud83d\ude00\ud83d\n"}`, `{}`, `{"a":01}`, `{"a":1}x`, `{"a":"\x"}`, `{,}`,
		`{"a" : -0.0E+1 , "b":{}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := map[string]string{}
		ok := flatJSON(text, func(name, value string) { got[name] = value })
		nested := strings.Count(text, "[") + strings.Count(text, "{")
		if !utf8.ValidString(text) || nested > maxNested {
			return // encoding/json replaces, and goes deeper: all that counts is that flatJSON returned
		}
		var want map[string]json.RawMessage
		err := json.Unmarshal([]byte(text), &want)
		if isObject := err == nil && want != nil; ok != isObject {
			t.Fatalf("%q: %t, encoding/json: %v", text, ok, err)
		}
		for name, raw := range want {
			var value string
			switch {
			case raw[0] == '"':
				json.Unmarshal(raw, &value)
			case strings.IndexByte("-0123456789tf", raw[0]) >= 0:
				value = string(raw)
			default:
				continue
			}
			if got[name] != value {
				t.Errorf("%q: %q is %q, want %q", text, name, got[name], value)
			}
		}
	})
}
