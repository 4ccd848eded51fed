package proxy

import (
	"encoding/json"
	"net/http"
)

// problem is an answer that says why something was not done, in the form of RFC 9457. Its type is
// the default, about:blank, so that its title is the status's.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	log    string // the detail for the log, where Detail may have what is secret; "": Detail
}

func (p *problem) logged() string {
	if p.log != "" {
		return p.log
	}
	return p.Detail
}

func refuse(status int, detail string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// allowed is the Allow field of a 405 (RFC 9110 section 15.5.6): what goes through the proxy.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func (p *problem) write(w http.ResponseWriter) {
	if p.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allowed)
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers only
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}
