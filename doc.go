// Package freshet is the root of an HTTP response-caching framework and holds no code of its own.
//
// Wrap handlers with [github.com/freshet-go/freshet/middleware], over a store such as
// [github.com/freshet-go/freshet/store/memstore]. What may be cached and for how long is said in
// [github.com/freshet-go/freshet/policy]; settings of the operator are read by
// [github.com/freshet-go/freshet/settings]. Web frameworks have their mounts under adapters, and
// cmd/freshet is a caching proxy in front of any HTTP server.
package freshet
