// Package fleet simulates processes that share a store and its journal, in virtual time: caches with
// their apps, over a model of a server and of the network to it. A seed gives a schedule of requests,
// changes, purges and faults. What clients were answered is checked afterwards:
//
//   - Nobody got an answer that is older than what the docs promise: by the process that made the
//     change at all; by another one past the bound; from any process by the client that made it and
//     shows its token.
//   - On no process did time run back.
//   - Two seconds after all is well again, all agree.
//   - Where each change was acknowledged, the history of each page is linearizable, with reads that
//     may lie back by the bound.
//
// The test prints a seed that fails, and runs it again as below. make soak-fleet runs FLEET_SEEDS:
//
//	FRESHET_SEED=123 go test ./internal/fleet -run Replay
package fleet
