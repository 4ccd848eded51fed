package admin

import (
	"embed"
	"net/http"
)

// contentSecurity keeps the page to its own script and style, and everything else of the door,
// should a browser show it, from running at all.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src " +
	"'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for " +
	"'script'; trusted-types 'none'"

//go:embed page.html page.js page.css icon.svg
var files embed.FS

// page serves one of the page's files.
func page(name, contentType string) http.HandlerFunc {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it was not built in
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(text)
	}
}
