// Package processes holds tests of real processes on real servers, and no code. Five apps, each in a
// process of its own with a Cache and a near tier, share a store on Redis or PostgreSQL. Clients
// read, change and purge pages at all of them, while processes are killed and stopped, connections
// are cut, packets are lost, and servers forget or are replaced. What clients were answered is judged
// by package history, as that of package fleet is, which simulates the same in virtual time.
//
// FRESHET_TEST_SOAK=1 has each server go through the faults in an order by chance, now and then with
// a pause longer than a lease; FRESHET_ROUNDS times, once by default. A failure names its seed,
// FRESHET_SEED, which has the same order again. make soak-processes runs PROCESS_ROUNDS:
//
//	FRESHET_TEST_SOAK=1 FRESHET_SEED=123 go test -race ./internal/fleet/processes -v
package processes
