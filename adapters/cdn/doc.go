// Package cdn tells the caches in front of an app, CDNs and others, what they must not serve any
// more. A [Target] is one such cache; packages fastly, cloudflare, cloudfront, akamai, varnish and
// nginx have one each. An [Outbox] sends what a Cache invalidates to all targets: it keeps each
// purge in the app's own store until the target has taken it, through failures, restarts and
// crashes.
//
//	edge, err := fastly.New(fastly.Options{Service: service, Token: token})
//	…
//	outbox, err := cdn.New(cdn.Options{
//		Targets: []cdn.Target{edge},
//		Store:   backend, // any store.Backend that can list keys and give out leases
//		Hosts:   map[string][]string{"*": {"https://www.example.com"}},
//	})
//	…
//	cache := freshet.New(pages, freshet.Options{OnInvalidate: outbox.OnInvalidate})
//
// What each cache in front guarantees, and what it does not, is in docs/cdn.md.
package cdn
