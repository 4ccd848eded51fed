package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// Bounds of a purge: of its body, in bytes, of how many tags or URLs it names, and of a tag, in
// bytes.
const (
	maxPurge = 4 << 20
	maxNames = 256
	maxTag   = 1 << 10
)

// purge is what a purge asks for: one of its first five fields.
type purge struct {
	URL    string   `json:"url"`
	URLs   []string `json:"urls"`
	Prefix string   `json:"prefix"`
	Tags   []string `json:"tags"`
	All    bool     `json:"all"`
	Soft   bool     `json:"soft"`
	Check  bool     `json:"check"` // purge nothing: say whether it could be
}

// checked is the answer to a purge with check.
type checked struct {
	Would string `json:"would_purge"` // in words
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
	if p.Check {
		answer(w, http.StatusOK, checked{p.words()})
		return
	}
	receipt, err := d.run(r.Context(), p)
	unsent := errors.Is(err, middleware.ErrUnsent)
	if err != nil && !unsent {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	d.options.Log.Info("freshet: door: purged", "what", p.words(), "number", receipt.Number, "unsent",
		unsent, "by", r.RemoteAddr)
	a := purged{Purged: p.words(), Number: receipt.Number, Unsent: unsent}
	if wait > 0 {
		a.waited = await(r.Context(), receipt, wait)
		a.Unsent = unsent && !a.Everywhere
	}
	answer(w, http.StatusOK, a)
}

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
			return p, fmt.Errorf(`the body: %w; allowed is one of {"url": …}, {"urls": […]}, `+
				`{"prefix": …}, {"tags": […]} and {"all": true}, with "soft": true or without`, err)
		}
	default:
		p.URL, p.Soft = r.URL.Query().Get("url"), r.URL.Query().Get("soft") == "1"
		for _, line := range r.Header.Values("Surrogate-Key") {
			p.Tags = append(p.Tags, strings.Fields(line)...)
		}
	}
	return p, p.validate(r)
}

// names are the URLs that a purge names, and its prefix.
func (p *purge) names() []string {
	names := p.URLs
	for _, one := range []string{p.URL, p.Prefix} {
		if one != "" {
			names = append(names[:len(names):len(names)], one)
		}
	}
	return names
}

// validate returns what is wrong with a purge, so that of one with many names all is done or
// nothing.
func (p *purge) validate(r *http.Request) error {
	asked := 0
	for _, is := range []bool{p.URL != "", len(p.URLs) > 0, p.Prefix != "", len(p.Tags) > 0, p.All} {
		if is {
			asked++
		}
	}
	switch {
	case asked != 1:
		return errors.New("say one of url, urls, prefix, tags and all")
	case len(p.Tags) > maxNames:
		return fmt.Errorf("%d tags: at most %d are purged at once", len(p.Tags), maxNames)
	case len(p.URLs) > maxNames:
		return fmt.Errorf("%d URLs: at most %d are purged at once", len(p.URLs), maxNames)
	}
	for _, name := range p.names() {
		if !absolute(name) {
			return fmt.Errorf("%q is no absolute URL: allowed is one with its host, such as %s", name,
				example(r, name))
		}
	}
	for _, tag := range p.Tags {
		if tag == "" || len(tag) > maxTag || strings.ContainsFunc(tag, unicode.IsControl) {
			return fmt.Errorf("the tag %.40q has %d bytes: allowed are 1 to %d, without control "+
				"characters", tag, len(tag), maxTag)
		}
	}
	return nil
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

// ours reports whether the purge is of hosts that are the door's, and otherwise names the first that
// is not.
func (d *Door) ours(r *http.Request, p purge) (host string, ours bool) {
	hosts := d.options.Hosts
	if len(hosts) == 0 {
		hosts = []string{r.Host}
	}
	for _, name := range p.names() {
		u, err := url.Parse(name)
		if err != nil || u.Host == "" {
			return name, false
		}
		if !slices.ContainsFunc(hosts, func(h string) bool {
			return h == "*" || strings.EqualFold(h, u.Host)
		}) {
			return u.Host, false
		}
	}
	return "", true
}

// words say what is purged.
func (p *purge) words() (what string) {
	switch {
	case p.URL != "":
		what = "the URL " + withoutQuery(p.URL)
	case len(p.URLs) == 1:
		what = "the URL " + withoutQuery(p.URLs[0])
	case p.URLs != nil:
		what = fmt.Sprintf("%d URLs, from %s to %s", len(p.URLs), withoutQuery(p.URLs[0]),
			withoutQuery(p.URLs[len(p.URLs)-1]))
	case p.Prefix != "":
		what = "everything below " + withoutQuery(p.Prefix)
	case p.All:
		what = "everything"
	default:
		what = "the tags " + strings.Join(p.Tags, " ")
	}
	if p.Soft {
		what += ", softly"
	}
	return what
}

// run purges.
func (d *Door) run(ctx context.Context, p purge) (middleware.Receipt, error) {
	var how []middleware.InvalidateOption
	if p.Soft {
		how = append(how, middleware.Soft)
	}
	switch {
	case p.URL != "":
		return d.cache.InvalidateURL(ctx, p.URL, how...)
	case len(p.URLs) > 0:
		return d.cache.InvalidateURLs(ctx, p.URLs, how...)
	case p.Prefix != "":
		return d.cache.InvalidatePrefix(ctx, p.Prefix, how...)
	case p.All:
		return d.cache.InvalidateAll(ctx, how...)
	}
	marks := make([]store.Mark, len(p.Tags))
	for i, tag := range p.Tags {
		marks[i] = store.Mark{Kind: store.MarkTag, Name: tag, Soft: p.Soft}
	}
	return d.cache.Invalidate(ctx, marks...)
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
