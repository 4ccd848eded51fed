package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An app without a cache is attacked at its two pages: nothing succeeds, and the table says so.
func TestAttackOnAnApp(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/account" && strings.Contains(r.Header.Get("Cookie"), "alice") {
			io.WriteString(w, "the mail of alice")
			return
		}
		io.WriteString(w, "the same for everybody")
	}))
	defer app.Close()
	var table bytes.Buffer
	args := []string{"-url", app.URL, "-public", "/", "-personal", "/account", "-cookie",
		"session=alice",
		"-secret", "alice"}
	if err := run(t.Context(), args, &table, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"class", "deception", "denial", "all"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

// One with a cache that thinks of nothing is not safe, and the exit status says so.
func TestAttackOnALeakyApp(t *testing.T) {
	pages := map[string]string{}
	turn := make(chan struct{}, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn <- struct{}{}
		defer func() { <-turn }()
		if _, kept := pages[r.URL.Path]; !kept {
			pages[r.URL.Path] = "for " + r.Header.Get("Cookie")
		}
		io.WriteString(w, pages[r.URL.Path])
	}))
	defer app.Close()
	args := []string{"-url", app.URL, "-public", "/", "-personal", "/account", "-cookie",
		"session=alice",
		"-secret", "alice"}
	err := run(t.Context(), args, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "attacks succeeded") {
		t.Errorf("the error is %v, want one that says how many attacks succeeded", err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"-url", "ftp://a", "-public", "/"},
		{"-url", "http://127.0.0.1:1"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
