// Package processes holds tests of real processes on real servers, and no code. Five apps, each in a
// process of its own with a Cache and a near tier, share a store on Redis or PostgreSQL. Clients
// read, change and purge pages at all of them, while processes are killed and stopped, connections
// are cut, packets are lost, and servers forget or are replaced. What clients were answered is judged
// by package history, as that of package fleet is, which simulates the same in virtual time.
//
// FRESHET_TEST_SOAK=1 has each server go through the faults 25 times (FRESHET_ROUNDS), in an order
// by chance, with pauses longer than a lease. FRESHET_SEED has one seed's order, which a failure
// prints:
//
//	FRESHET_TEST_SOAK=1 go test -race ./internal/fleet/processes -timeout 6h -v
package processes
