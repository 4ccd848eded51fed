package mounts_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gorilla/csrf"
)

// visitor is a browser with cookies of its own.
type visitor struct {
	h       http.Handler
	cookies map[string]string
}

func newVisitor(h http.Handler) *visitor { return &visitor{h, map[string]string{}} }

func (v *visitor) send(r *http.Request) *httptest.ResponseRecorder {
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	v.h.ServeHTTP(w, csrf.PlaintextHTTPRequest(r))
	for _, cookie := range w.Result().Cookies() {
		v.cookies[cookie.Name] = cookie.Value
	}
	return w
}

func (v *visitor) get(target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return v.send(r)
}

func (v *visitor) post(target string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.send(r)
}

func (v *visitor) method(method, target string) *httptest.ResponseRecorder {
	return v.send(httptest.NewRequest(method, target, nil))
}

func (v *visitor) fields(method, target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return v.send(r)
}
