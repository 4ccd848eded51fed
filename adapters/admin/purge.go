package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// maxPurge bounds the body of a purge, in bytes, and maxTags the tags of one.
const (
	maxPurge = 64 << 10
	maxTags  = 256
)

// purge is what a purge asks for: one of its first four fields.
type purge struct {
	URL    string   `json:"url"`
	Prefix string   `json:"prefix"`
	Tags   []string `json:"tags"`
	All    bool     `json:"all"`
	Soft   bool     `json:"soft"`
}

// purged is the answer to a purge.
type purged struct {
	Purged  string `json:"purged"` // in words
	Number  uint64 `json:"number"` // of the journal; 0: it has not taken it yet
	Unsent  bool   `json:"unsent"` // other processes learn of it later
	*waited        // nil: the request did not ask to wait
}

func (d *Door) purge(w http.ResponseWriter, r *http.Request) {
	p, err := d.readPurge(w, r)
	wait, wrong := readWait(r)
	if err = cmp.Or(err, wrong); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if host, ours := d.ours(r, p); !ours {
		refuse(w, http.StatusForbidden, fmt.Sprintf("the host %q is none of this door's: see "+
			"admin.Options.Hosts", host))
		return
	}
	what, receipts, err := d.run(r, p)
	number := slices.MaxFunc(receipts, byNumber).Number
	unsent := errors.Is(err, middleware.ErrUnsent)
	if err != nil && !unsent {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	d.options.Log.Info("freshet: door: purged", "what", what, "number", number, "unsent", unsent,
		"by", r.RemoteAddr)
	a := purged{Purged: what, Number: number, Unsent: unsent}
	if wait > 0 {
		a.waited = await(r.Context(), receipts, wait)
		a.Unsent = unsent && !a.Everywhere
	}
	answer(w, http.StatusOK, a)
}

func byNumber(a, b middleware.Receipt) int { return cmp.Compare(a.Number, b.Number) }

// readPurge reads what to purge: from the body as JSON, or, as CDNs have it, from ?url= and the
// field Surrogate-Key.
func (d *Door) readPurge(w http.ResponseWriter, r *http.Request) (p purge, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPurge))
	switch {
	case err != nil:
		return p, fmt.Errorf("the body: %w", err)
	case len(body) > 0:
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&p); err != nil {
			return p, fmt.Errorf(`the body: %w; allowed is one of {"url": …}, {"prefix": …}, `+
				`{"tags": […]} and {"all": true}, with "soft": true or without`, err)
		}
	default:
		p.URL, p.Soft = r.URL.Query().Get("url"), r.URL.Query().Get("soft") == "1"
		for _, line := range r.Header.Values("Surrogate-Key") {
			p.Tags = append(p.Tags, strings.Fields(line)...)
		}
	}
	asked := 0
	for _, is := range []bool{p.URL != "", p.Prefix != "", len(p.Tags) > 0, p.All} {
		if is {
			asked++
		}
	}
	switch {
	case asked != 1:
		return p, errors.New("say one of url, prefix, tags and all")
	case !absolute(p.URL+p.Prefix) && p.URL+p.Prefix != "":
		return p, fmt.Errorf("%q is no absolute URL: allowed is one with its host, such as %s", p.URL+
			p.Prefix, example(r, p.URL+p.Prefix))
	case len(p.Tags) > maxTags:
		return p, fmt.Errorf("%d tags: at most %d are purged at once", len(p.Tags), maxTags)
	}
	return p, nil
}

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// example is the URL that a path was likely meant as, on the host by which the door was asked.
func example(r *http.Request, text string) string {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") {
		text = "/"
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + text
}

// ours reports whether the purge is of a host that is the door's.
func (d *Door) ours(r *http.Request, p purge) (host string, ours bool) {
	text := p.URL + p.Prefix
	if text == "" {
		return "", true
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text, false
	}
	hosts := d.options.Hosts
	if len(hosts) == 0 {
		hosts = []string{r.Host}
	}
	return u.Host, slices.ContainsFunc(hosts, func(h string) bool {
		return h == "*" || strings.EqualFold(h, u.Host)
	})
}

// run purges, and says what in words. There is a receipt, or more.
func (d *Door) run(
	r *http.Request, p purge,
) (what string, receipts []middleware.Receipt, err error) {
	var how []middleware.InvalidateOption
	if p.Soft {
		how = append(how, middleware.Soft)
	}
	done := func(receipt middleware.Receipt, failed error) {
		receipts, err = append(receipts, receipt), errors.Join(err, failed)
	}
	switch {
	case p.URL != "":
		what = "the URL " + withoutQuery(p.URL)
		done(d.cache.InvalidateURL(r.Context(), p.URL, how...))
	case p.Prefix != "":
		what = "everything below " + withoutQuery(p.Prefix)
		done(d.cache.InvalidatePrefix(r.Context(), p.Prefix, how...))
	case p.All:
		what = "everything"
		done(d.cache.InvalidateAll(r.Context(), how...))
	default:
		what = "the tags " + strings.Join(p.Tags, " ")
		for _, tag := range p.Tags {
			done(d.cache.InvalidateTag(r.Context(), tag, how...))
		}
	}
	if p.Soft {
		what += ", softly"
	}
	return what, receipts, err
}

// withoutQuery leaves out of a URL what may hold a token.
func withoutQuery(text string) string {
	before, _, cut := strings.Cut(text, "?")
	if cut {
		return before + "?…"
	}
	return before
}

// flush makes everything unusable, and frees its room.
func (d *Door) flush(w http.ResponseWriter, r *http.Request) {
	receipt, err := d.cache.InvalidateAll(r.Context())
	if err != nil && !errors.Is(err, middleware.ErrUnsent) {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if clearer, ok := store.As[store.Clearer](d.options.Store); ok && d.options.Store != nil {
		if _, err := clearer.Clear(r.Context()); err != nil {
			d.options.Log.Error("freshet: door: flush: the store's room is not freed", "error", err)
		}
	}
	d.options.Log.Info("freshet: door: flushed", "number", receipt.Number, "by", r.RemoteAddr)
	answer(w, http.StatusAccepted, struct{}{})
}
