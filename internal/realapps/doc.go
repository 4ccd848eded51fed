// Package realapps starts real apps for the tests of examples, with Debian's packages: PHP's own
// server, MariaDB and freshet in front, each on a loopback port, and ends them with the test. It is
// there with the build tag apps alone.
package realapps
