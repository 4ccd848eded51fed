package middleware

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// A run calls its handler a second time when what it was asked first was of no use: the part that
// lacks of a stored page, or whether the page is still good. Routers outside of the mount keep what
// they have found in the request's context, and some change it as the request goes on: in chi, a
// second run of the top router would begin at the path that is left for the route, and so enter
// another one. So there is a second run only where nobody outside has put anything into the
// context. Elsewhere the handler is asked for the whole page at once, and a 304 that is about
// another response than it was asked about is an error, once a day for each page.

// contraryFor is how long it is remembered of a page that its handler contradicts itself.
const contraryFor = 24 * time.Hour

// maxContexts bounds how far mayRunAgain looks.
const maxContexts = 32

// mayRunAgain reports whether the handler of a request with this context may be called twice:
// nothing is in it but what the server and this package have put there.
func mayRunAgain(ctx context.Context) bool {
	for range maxContexts {
		switch own := ctx.(type) {
		case *gatedContext:
			ctx = own.Context
			continue
		case *speaking:
			ctx = own.request
			continue
		case *telling:
			ctx = own.Context
			continue
		case *servedContext:
			ctx = own.server
			continue
		case nil:
			return false
		}
		v := reflect.Indirect(reflect.ValueOf(ctx))
		if v.Kind() != reflect.Struct || v.Type().PkgPath() != "context" {
			return false
		}
		switch v.Type().Name() {
		case "backgroundCtx":
			return true
		case "cancelCtx", "timerCtx":
		case "valueCtx":
			servers, ours := keyOf(v.FieldByName("key"))
			if servers || !ours {
				return servers
			}
		default:
			return false
		}
		parent := v.FieldByName("Context")
		if !parent.IsValid() || !parent.CanInterface() {
			return false
		}
		ctx, _ = parent.Interface().(context.Context)
	}
	return false
}

// keyOf reports whether the key of a context's value is the server's, or this package's.
func keyOf(key reflect.Value) (servers, ours bool) {
	if key.Kind() != reflect.Interface || key.IsNil() {
		return false, false
	}
	if key = key.Elem(); key.Kind() != reflect.Pointer {
		return false, key.Type().PkgPath() == reflect.TypeFor[speakingKey]().PkgPath()
	}
	at := key.Pointer()
	return at == reflect.ValueOf(http.ServerContextKey).Pointer() ||
		at == reflect.ValueOf(http.LocalAddrContextKey).Pointer(), false
}

// contradicted ends a run whose handler answered a validation with a 304 that is about another
// response, where it may not run again. For a day from now it is asked for the whole page.
func (n *run) contradicted() {
	if n.x.c.contrary.find(n.x.req.Key, n.rec.received) == "" {
		n.x.c.contradicts(n.x.r, n.found.entry.Header.Get("ETag"), n.rec.header.Get("ETag"))
	}
	n.x.c.contrary.remember(n.x.req.Key, n.rec.received.Add(contraryFor), reasonLost)
	if n.found.verdict.OnLost && n.mayStandIn() {
		n.serveStale()
		return
	}
	n.x.c.remove(n.x.r.Context(), n.found.entry)
	n.become(substituted)
	rules.DropLifetimes(n.x.w.Header())
	n.answer = &store.Entry{
		Status: http.StatusBadGateway, Header: http.Header{"Cache-Control": {"no-store"}},
		Received: n.rec.received,
	}
	n.out.Stored, n.out.Detail = false, reasonLost
	n.f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonLost})
}
