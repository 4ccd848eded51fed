// Package fronttest holds tests with a real nginx and a real Varnish in front of an app with
// Freshet, configured as examples/cdn has them, and no code. They use the engine, which the targets
// in the packages beside do not.
package fronttest
