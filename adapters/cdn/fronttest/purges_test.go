package fronttest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/nginx"
)

// keep has the front keep version 1 of a page, and the app change it to version 2.
func keep(t *testing.T, f *front, name string) {
	t.Helper()
	f.app.change(name, "1")
	f.ask(t, "GET", "/page/"+name)
	if got := f.ask(t, "GET", "/page/"+name); !got.kept() || !strings.Contains(got.body, "version 1") {
		t.Fatalf("%s is not kept: %v", name, got)
	}
	f.app.change(name, "2")
}

// taken waits until the front has taken an invalidation.
func taken(t *testing.T, receipt freshet.Receipt, err error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return errors.Join(err, receipt.WaitInFront(ctx))
}

// isGone sees that the front asks the app for a page, and keeps its version 2.
func isGone(t *testing.T, f *front, name string) {
	t.Helper()
	first, second := f.ask(t, "GET", "/page/"+name), f.ask(t, "GET", "/page/"+name)
	if first.kept() || len(first.came) != 1 || !strings.Contains(first.body, "version 2") ||
		!second.kept() || second.body != first.body {
		t.Errorf("after the purge of %s: %v, then %v; want version 2, kept", name, first, second)
	}
}

func isThere(t *testing.T, f *front, name string) {
	t.Helper()
	if got := f.ask(t, "GET", "/page/"+name); !got.kept() || !strings.Contains(got.body, "version 1") {
		t.Errorf("%s went along: %v", name, got)
	}
}

// purgeByMarks invalidates in each way, and sees that the front has what was covered no more, and
// all else.
func purgeByMarks(t *testing.T, f *front) {
	url := func(name string) string { return "http://" + public + "/page/" + name }
	for name, invalidate := range map[string]func(ctx context.Context, name string) (freshet.Receipt, error){
		"tag": func(ctx context.Context, name string) (freshet.Receipt, error) {
			return f.app.cache.InvalidateTag(ctx, "page:"+name)
		},
		"url": func(ctx context.Context, name string) (freshet.Receipt, error) {
			return f.app.cache.InvalidateURL(ctx, url(name))
		},
		"prefix": func(ctx context.Context, name string) (freshet.Receipt, error) {
			return f.app.cache.InvalidatePrefix(ctx, url(name[:4]))
		},
	} {
		t.Run("purges by "+name, func(t *testing.T) {
			keep(t, f, name)
			keep(t, f, "not-"+name)
			receipt, err := invalidate(t.Context(), name)
			if err = taken(t, receipt, err); err != nil {
				t.Fatal(err)
			}
			isGone(t, f, name)
			isThere(t, f, "not-"+name)
		})
	}
	t.Run("purges what a POST changes", func(t *testing.T) {
		keep(t, f, "posted")
		keep(t, f, "not-posted")
		if got := f.ask(t, "POST", "/page/posted"); got.status != 204 {
			t.Fatal(got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := f.app.outbox.Wait(ctx, f.app.outbox.Last()); err != nil {
			t.Fatal(err)
		}
		isGone(t, f, "posted")
		isThere(t, f, "not-posted")
	})
	t.Run("purges everything", func(t *testing.T) {
		keep(t, f, "all")
		keep(t, f, "others")
		receipt, err := f.app.cache.InvalidateAll(t.Context())
		if err = taken(t, receipt, err); err != nil {
			t.Fatal(err)
		}
		isGone(t, f, "all")
		isGone(t, f, "others")
	})
}

// A page that is the same after a soft purge comes to Varnish as a 304, and is kept again; one that
// is not comes anew.
func revalidateSoftly(t *testing.T, f *front) {
	for _, name := range []string{"same", "changed"} {
		keep(t, f, name)
		if name == "same" {
			f.app.change(name, "1")
		}
		receipt, err := f.app.cache.InvalidateTag(t.Context(), "page:"+name, freshet.Soft)
		if err = taken(t, receipt, err); err != nil {
			t.Fatal(err)
		}
		status, version := 304, "version 1"
		if name == "changed" {
			status, version = 200, "version 2"
		}
		got := f.ask(t, "GET", "/page/"+name)
		want := seen{"GET", "/page/" + name, `"version 1"`, status, false}
		if len(got.came) != 1 || got.came[0] != want || got.status != 200 || !strings.Contains(got.body, version) {
			t.Errorf("%s: %v; want %s, and %v at the app", name, got, version, want)
		}
		if got = f.ask(t, "GET", "/page/"+name); !got.kept() {
			t.Errorf("%s is not kept any more: %v", name, got)
		}
	}
}

// What nginx can without its folder: a URL is fetched anew, and a tag is refused.
func TestNginxByRequest(t *testing.T) {
	a := startApp(t)
	f, _ := startNginx(t, a)
	target, err := nginx.New(nginx.Options{Address: f.server.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	a.serve(t, target, forNginx)
	keep(t, f, "renewed")
	keep(t, f, "not-renewed")
	receipt, err := a.cache.InvalidateTag(t.Context(), "page:renewed")
	refused, ok := errors.AsType[*cdn.Error](taken(t, receipt, err))
	if !ok || refused.Kind != cdn.KindPermanent {
		t.Errorf("a tag: %v", refused)
	}
	isThere(t, f, "renewed")
	receipt, err = a.cache.InvalidateURL(t.Context(), "http://"+public+"/page/renewed")
	if err = taken(t, receipt, err); err != nil {
		t.Fatal(err)
	}
	if got := f.ask(t, "GET", "/page/renewed"); !got.kept() || !strings.Contains(got.body, "version 2") {
		t.Errorf("%v; want version 2, which nginx has fetched by itself", got)
	}
	isThere(t, f, "not-renewed")
}
