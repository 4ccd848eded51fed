// Package fleet simulates processes that share a store and its journal, in virtual time: caches with
// their apps, over a model of a server and of the network to it. A seed gives a schedule of requests,
// changes, purges and faults. What clients were answered is checked afterwards:
//
//   - Nobody got an answer that is older than what docs/guarantees.md promises: by the process that
//     made the change at all; by another one past the bound since its server had the invalidation;
//     from any process by the client that made it and shows its token.
//   - On no process did time run back.
//   - Two seconds after all is well again, all agree.
//   - Where each change was acknowledged, the history of each page is linearizable, with reads that
//     may lie back by the bound, and without those whose process need not know of a change yet.
//
// The server numbers marks as Redis does, by a run id in each record, or as PostgreSQL does, by the
// clock and with its timeline beside the journal. In a third of the stories a replica of it takes
// over, which lacks the newest writes and whose clock may be off. The processes move to it one after
// another, while the old server has ended or lives on with those that it has.
//
// The test prints a seed that fails, and runs it again as below. make soak-fleet runs FLEET_SEEDS:
//
//	FRESHET_SEED=123 go test ./internal/fleet -run Replay
package fleet
