package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/freshet-go/freshet/middleware"
)

// maxFields bounds the fields of the request that is explained.
const maxFields = 64

// explain says what the cache decides about a request, and why: ?url= names it, and ?method= and
// ?header=Name:Value, once for each field, say more. ?fetch=1 runs the handler once, and needs the
// field Freshet-Door. The answer is JSON, or text with ?format=text.
func (d *Door) explain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	asked, err := requestOf(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if host, ours := d.ours(r, purge{URL: q.Get("url")}); !ours {
		refuse(w, http.StatusForbidden, fmt.Sprintf("the host %q is none of this door's: see "+
			"admin.Options.Hosts", host))
		return
	}
	fetch := q.Get("fetch") == "1"
	if fetch && !knocks(w, r) {
		return
	}
	x, err := d.cache.Explain(r.Context(), asked,
		middleware.ExplainOptions{Fetch: fetch})
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	if q.Get("format") == "text" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, x.String())
		return
	}
	answer(w, http.StatusOK, x)
}

// requestOf makes the request that is asked about.
func requestOf(q url.Values) (*http.Request, error) {
	target, method := q.Get("url"), q.Get("method")
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" &&
		u.Scheme != "https" {
		return nil, fmt.Errorf("url: allowed is an http or https URL with a host, and not %.200q",
			target)
	}
	if method == "" {
		method = http.MethodGet
	}
	asked, err := http.NewRequest(method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("method: %w", err)
	}
	fields := q["header"]
	if len(fields) > maxFields {
		return nil, fmt.Errorf("header: at most %d fields are taken", maxFields)
	}
	for _, line := range fields {
		name, value, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, fmt.Errorf("header: allowed is Name:Value, and not %.100q", line)
		}
		asked.Header.Add(name, strings.TrimSpace(value))
	}
	return asked, nil
}
