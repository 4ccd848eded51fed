package cachetest

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// ranges: parts of a whole answer that is stored (RFC 9110 section 14).
func ranges() (all []story) {
	digits := "0123456789"
	page := says("Cache-Control: max-age=60", `ETag: "a"`, "Last-Modified: Sun, 06 Nov 1994 "+
		"08:49:37 GMT",
		"Content-Type: text/plain").saying(digits)
	asks := func(name, body string, words []string, lines ...string) story {
		return story{name: name, origin: origin(page), runs: 1, steps: steps(
			get("/").want(digits, "stored", "Accept-Ranges: bytes"),
			get("/", lines...).want(body, append(words, "hit", `ETag: "a"`)...))}
	}
	part := func(r, body, span string) story {
		return asks("Range: "+r, body,
			[]string{"206", "Content-Range: bytes " + span + "/10", "Content-Type: text/plain"},
			"Range: "+r)
	}
	whole := func(name string, lines ...string) story {
		return asks(name, digits, []string{"no Content-Range"}, lines...)
	}
	all = append(all,
		part("bytes=0-4", "01234", "0-4"),
		part("bytes=5-", "56789", "5-9"),
		part("bytes=-3", "789", "7-9"),
		part("bytes=-30", digits, "0-9"),
		part("bytes=9-99", "9", "9-9"),
		part("bytes=0-99999999999999999999999", digits, "0-9"),
		part("BYTES=2-2", "2", "2-2"),
		part("bytes=1-2, 30-40", "12", "1-2"),
		part("bytes=0-3,2-5,5-7", "01234567", "0-7"),
		part("bytes= , 3-3", "3", "3-3"),
	)
	for _, r := range []string{"bytes=10-", "bytes=20-30", "bytes=-0",
		"bytes=99999999999999999999999-"} {
		all = append(all, story{name: "Range: " + r + " is not to be had", origin: origin(page),
			runs: 1, steps: steps(
				get("/").want(digits), get("/", "Range: "+r).want("", "416", "hit",
					"Content-Range: bytes */10"))})
	}
	for _, r := range []string{"bytes=5-2", "bytes=a-b", "bytes=", "bytes", "items=0-1",
		"bytes=--1", "bytes=1-2-3",
		"bytes=+1-2", "bytes=0x1-2", "bytes=1 - 2", "bytes=1-2;3-4", "0-1"} {
		all = append(all, whole("Range: "+r+" is ignored", "Range: "+r))
	}
	all = append(all,
		whole("Range twice is ignored", "Range: bytes=0-1", "Range: bytes=2-3"),
		whole("very many ranges are ignored", "Range: bytes="+strings.Repeat("0-0,", 20)+"1-1"),
		whole("If-Range with another tag", "Range: bytes=0-1", `If-Range: "b"`),
		whole("If-Range with a weak tag", "Range: bytes=0-1", `If-Range: W/"a"`),
		whole("If-Range with an earlier date", "Range: bytes=0-1", "If-Range: Sat, 05 Nov 1994 "+
			"08:49:37 GMT"),
		whole("If-Range with a later date", "Range: bytes=0-1", "If-Range: Mon, 07 Nov 1994 "+
			"08:49:37 GMT"),
		whole("If-Range with junk", "Range: bytes=0-1", "If-Range: a"),
		asks("If-Range with the tag", "01", []string{"206", "Content-Range: bytes 0-1/10"},
			"Range: bytes=0-1", `If-Range: "a"`),
		asks("If-Range with the date", "01", []string{"206"}, "Range: bytes=0-1",
			"If-Range: Sun, 06 Nov 1994 08:49:37 GMT"),
		asks("If-Range with the date in an obsolete form", "01", []string{"206"},
			"Range: bytes=0-1",
			"If-Range: Sunday, 06-Nov-94 08:49:37 GMT"),
		whole("If-Range without Range", `If-Range: "a"`),
		asks("a condition goes before", "", []string{"304"}, "Range: bytes=0-1",
			`If-None-Match: "a"`),
		story{name: "HEAD has no ranges", origin: origin(page), runs: 1, steps: steps(
			get("/").want(digits),
			head("/", "Range: bytes=0-1").want("", "hit", "Content-Length: 10",
				"no Content-Range"))},
		story{name: "an error has no ranges",
			origin: origin(code(404, "Cache-Control: max-age=60").saying(digits)),
			runs:   1, steps: steps(
				get("/").want(digits, "404"), get("/", "Range: bytes=0-1").want(digits, "404",
					"hit"))},
		story{name: "a weak tag is no If-Range, though it be the same",
			origin: origin(says("Cache-Control: max-age=60", `ETag: W/"a"`).saying(digits)),
			runs:   1, steps: steps(
				get("/").want(digits), get("/", "Range: bytes=0-1", `If-Range: W/"a"`).want(digits),
				get("/", "Range: bytes=0-1").want("01", "206"))},
		story{name: "several ranges come as multipart/byteranges", runs: 1,
			origin: origin(says("Cache-Control: max-age=60", "Content-Type: text/plain").saying(
				big)),
			play: severalRanges},
	)
	return all
}

func severalRanges(g *stage) {
	g.take("the whole", get("/").want(big))
	got := g.take("two ranges", get("/", "Range: bytes=2-3,1000-1003,-2").want("*", "206", "hit",
		"no Content-Range"))
	kind, params, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	if kind != "multipart/byteranges" {
		g.Fatalf("Content-Type is %q", got.header.Get("Content-Type"))
	}
	parts := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
	for _, want := range [][2]string{{"bytes 2-3/65536", big[2:4]}, {"bytes 1000-1003/65536",
		big[1000:1004]},
		{"bytes 65534-65535/65536", big[65534:]}} {
		part, err := parts.NextPart()
		if err != nil {
			g.Fatalf("no part %s: %v", want[0], err)
		}
		body, _ := io.ReadAll(part)
		if part.Header.Get("Content-Range") != want[0] || string(body) != want[1] ||
			part.Header.Get("Content-Type") != "text/plain" {
			g.Errorf("got a part %v %q, want %s %q", part.Header, body, want[0], want[1])
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		g.Errorf("more parts than three: %v", err)
	}
}

// file is an origin that answers ranges itself.
func file(tag, content string) answer {
	return does(func(w http.ResponseWriter, r *http.Request) {
		lives60(w)
		w.Header().Set("Content-Type", "text/plain")
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
}

// partials: partial answers stored, used, combined and completed (RFC 9111 sections 3.3 and 3.4).
func partials() []story {
	digits, letters := "0123456789", "abcdefghij"
	at := func(r string) step { return get("/", "Range: bytes="+r) }
	raw := func(name string, header ...string) story {
		return story{name: name, runs: 2,
			origin: origin(code(206, append(header, "Cache-Control: max-age=60",
				`ETag: "a"`)...).saying("01234")),
			steps: steps(
				at("0-4").want("01234", "206", "!stored"), at("0-4").want("01234", "206", "!hit"))}
	}
	return []story{
		{name: "a part serves what it holds", runs: 1, origin: origin(file(`"a"`, digits)),
			steps: steps(
				at("2-6").want("23456", "206", "Content-Range: bytes 2-6/10"),
				at("2-6").want("23456", "206", "hit", "Content-Range: bytes 2-6/10"),
				at("3-4").want("34", "206", "hit", "Content-Range: bytes 3-4/10", `ETag: "a"`))},
		{name: "a part is completed for a client that wants the whole", runs: 2,
			origin: origin(file(`"a"`, digits)), steps: steps(
				at("0-4").want("01234", "206"),
				get("/").want(digits, "200", "fwd=partial", "fwd-status=206", "no Content-Range",
					"Content-Length: 10"),
				get("/").want(digits, "hit"), at("8-").want("89", "206", "hit"))},
		{name: "a part in the middle is not completed by two", runs: 2,
			origin: origin(file(`"a"`, digits)), steps: steps(
				at("2-6").want("23456", "206"), get("/").want(digits, "!hit"), get("/").want(digits,
					"hit"))},
		{name: "what a part lacks is asked for, and both are held", runs: 2,
			origin: origin(file(`"a"`, digits)), steps: steps(
				at("0-1").want("01", "206"), at("7-8").want("78", "206", "fwd=partial"),
				at("0-1").want("01", "206", "hit"),
				at("8-8").want("8", "206", "hit"))},
		{name: "parts that make a whole are the whole", runs: 2,
			origin: origin(file(`"a"`, digits)), steps: steps(
				at("0-4").want("01234", "206"), at("4-9").want("456789", "206"),
				get("/").want(digits, "hit", "no Content-Range"), head("/").want("", "hit",
					"Content-Length: 10"))},
		{name: "a part of something else takes its place", runs: 2,
			origin: origin(file(`"a"`, digits), file(`"b"`, letters)), steps: steps(
				at("0-4").want("01234", "206"), at("5-9").want("fghij", "206"), at("5-6").want("fg",
					"206", "hit"))},
		{name: "what changed meanwhile comes whole", runs: 2,
			origin: origin(file(`"a"`, digits), file(`"b"`, letters)), steps: steps(
				at("0-4").want("01234", "206"), get("/").want(letters, "fwd-status=200"),
				get("/").want(letters, "hit", `ETag: "b"`))},
		{name: "parts with weak tags are not combined", runs: 2,
			origin: origin(file(`W/"a"`, digits)), steps: steps(
				at("0-4").want("01234", "206"), get("/").want(digits, "fwd-status=200"),
				get("/").want(digits, "hit"))},
		{name: "a whole goes before its parts", runs: 1, origin: origin(file(`"a"`, digits)),
			steps: steps(
				get("/").want(digits, "stored"), at("0-1").want("01", "206", "hit"),
				get("/").want(digits, "hit"))},
		{name: "a part serves no HEAD", runs: 2, origin: origin(file(`"a"`, digits)), steps: steps(
			at("0-4").want("01234", "206"), head("/").want("", "!hit", "Content-Length: 10"))},
		{name: "a part of an answer to If-Range is not stored", runs: 2,
			origin: origin(file(`"a"`, digits)), steps: steps(
				get("/", "Range: bytes=0-4", `If-Range: "a"`).want("01234", "206", "!stored"),
				at("0-4").want("01234", "206", "!hit"))},
		{name: "a range of a stale part is asked for again", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", "Age: 90", `ETag: "a"`,
				"Content-Range: bytes 0-4/10").saying("01234"), file(`"a"`, digits)), steps: steps(
				at("0-4").want("01234", "206"), at("0-4").want("01234", "206", "fwd=stale"))},
		{name: "a 206 that nobody asked for is no whole", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-4/10").saying("01234")), steps: steps(
				get("/").want("01234", "206", "!stored", "detail=partial"),
				get("/").want("01234", "206", "!hit", "!stored"))},
		{name: "a 206 that nobody asked for is no part", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-4/10").saying("01234"), file(`"a"`, digits)), steps: steps(
				get("/").want("01234", "206", "!stored"), at("0-1").want("01", "206", "!hit"))},
		{name: "a 206 of all bytes that nobody asked for", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-4/5").saying("01234")), steps: steps(
				get("/").want("01234", "206", "!stored"), get("/").want("01234", "206", "!hit"))},
		{name: "another part than was asked for", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 5-9/10").saying("evil!"), file(`"a"`, digits)), steps: steps(
				at("0-4").want("evil!", "206", "!stored", "detail=partial"), at("5-9").want("56789",
					"206", "!hit"))},
		{name: "more than was asked for", runs: 2,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-9/10").saying("0123456789"), file(`"a"`, digits)),
			steps: steps(
				at("0-4").want("*", "206", "!stored"), at("0-4").want("01234", "206", "!hit"))},
		{name: "less than was asked for is what it is", runs: 1,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 1-3/10").saying("123")), steps: steps(
				at("0-4").want("123", "206", "stored"), at("1-3").want("123", "206", "hit"))},
		{name: "one part for two that nearly meet", runs: 1,
			origin: origin(code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-4/10").saying("01234")), steps: steps(
				at("0-1,3-4").want("01234", "206", "stored"), at("0-4").want("01234", "206",
					"hit"))},
		{name: "a part in the place of what was lacking", runs: 3,
			origin: origin(file(`"a"`, digits),
				code(206, "Cache-Control: max-age=60", `ETag: "a"`,
					"Content-Range: bytes 4-9/10").saying("!!!!!!"),
				file(`"a"`, digits)), steps: steps(
				at("0-4").want("01234", "206", "stored"), get("/").want(digits, "200"),
				get("/").want(digits, "hit"))},
		{name: "a 200 that says it is a part", runs: 3,
			origin: origin(says("Cache-Control: max-age=60", "Content-Range: bytes 0-4/10").saying(
				"01234")),
			steps: steps(
				get("/").want("01234", "!stored", "detail=partial"), at("0-4").want("01234",
					"!stored"),
				get("/").want("01234", "!hit"))},
		{name: "a 200 that says it is all of the parts", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Content-Range: bytes 0-4/5").saying(
				"01234")),
			steps: steps(
				get("/").want("01234", "!stored", "detail=partial"), get("/").want("01234",
					"!hit"))},
		{name: "a 200 that says which part in other units", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Content-Range: items 0-4/5").saying(
				"01234")),
			steps: steps(
				get("/").want("01234", "!stored", "detail=partial"), get("/").want("01234",
					"!hit"))},
		{name: "a 200 that is several parts", runs: 2,
			origin: origin(says("Cache-Control: max-age=60",
				"Content-Type: Multipart/Byteranges; boundary=x").saying("--x--")), steps: steps(
				at("0-0,9-9").want("--x--", "!stored", "detail=partial"), get("/").want("--x--",
					"!hit"))},
		{name: "an error that says it is a part", runs: 2,
			origin: origin(code(404, "Cache-Control: max-age=60",
				"Content-Range: bytes */0").saying("no")),
			steps: steps(
				get("/").want("no", "404", "!stored", "detail=partial"), get("/").want("no", "404",
					"!hit"))},
		{name: "a 416 is not stored", runs: 2, origin: origin(file(`"a"`, digits)), steps: steps(
			at("20-30").want("*", "416", "!stored"), get("/").want(digits))},
		raw("a part that does not say which"),
		raw("a part of an unknown length", "Content-Range: bytes 0-4/*"),
		raw("a part in other units", "Content-Range: items 0-4/10"),
		raw("a part that says it twice", "Content-Range: bytes 0-4/10",
			"Content-Range: bytes 0-4/10"),
		raw("several parts", "Content-Type: multipart/byteranges; boundary=x"),
		{name: "a part of another length than it says", runs: 2, origin: origin(
			code(206, "Cache-Control: max-age=60", `ETag: "a"`,
				"Content-Range: bytes 0-6/10").saying("01234"),
			file(`"a"`, digits)), steps: steps(
			at("0-6").want("01234", "206"), at("0-6").want("0123456", "206", "!hit"))},
		{name: "an origin that knows no ranges has its answer stored whole, and cut here", runs: 1,
			origin: origin(says("Cache-Control: max-age=60").saying(digits)), steps: steps(
				at("2-3").want("23", "206", "stored", "Content-Range: bytes 2-3/10"),
				get("/").want(digits, "hit"))},
	}
}
