# make test   installs what the tests need and is missing, then vets and tests everything
# make test-more  tests store/dynamostore with more keys and calls, on npm's dynalite and on Amazon's DynamoDB Local,
#             which it installs
# make bench  installs what the measurement needs and is missing, measures beside other caches, and writes
#             a report to bench/results
# make bench-check  fails when a benchmark is worse than bench/check promises
# make soak   what takes hours: the tests 20 times in a row beside two copies of themselves, then mutations; soak-disk
#             takes root for a disk that it fills
# make soak-apps  installs WordPress and MediaWiki, and tests the examples' rules before them: five minutes
# make fmt    formats the code
# make pictures  takes the pictures of the operator's page in docs anew, in Chromium

GO ?= go
GOFMT = $$($(GO) env GOROOT)/bin/gofmt

.PHONY: bench-check test test-more tools check race modules bench bench-tools \
	soak soak-tests soak-mutants soak-fleet soak-processes soak-disk soak-apps fmt pictures

test: tools check race modules

# Modules of their own, so that what only they need stays out of the go.mod of ours, and so of our users': what bench
# measures us against, the middleware of others that the tests of the mounts use, a driver of browsers, the AWS SDK.
MODULES = bench adapters/mounts adapters/opentelemetry adapters/prometheus adapters/cdn/cloudfront \
	adapters/admin/browsertest

# The race detector needs a C compiler, and the tests start real servers on loopback ports: of the backends, and nginx
# and Varnish, which stand in front of an app; everything else comes through go.mod. Varnish compiles its configuration
# in C as well. Servers are in /usr/sbin, which a user's PATH may lack.
APT_GET = $$sudo env DEBIAN_FRONTEND=noninteractive apt-get

# Debian's packages start services of their own, which the tests neither need nor use, unless there is a policy that
# forbids it: there is one until the shell ends.
POLICY = /usr/sbin/policy-rc.d
NO_SERVICES = [ -e $(POLICY) ] || { trap 'exit 1' INT TERM; trap "$$sudo rm -f $(POLICY)" EXIT; \
	printf '\043!/bin/sh\nexit 101\n' | $$sudo tee $(POLICY) >/dev/null; $$sudo chmod 755 $(POLICY); }

# npm's statsd receives what adapters/statsd sends in its tests, which look for it here.
TOOLS = $${XDG_CACHE_HOME:-$$HOME/.cache}/freshet-tools
STATSD = $(TOOLS)/statsd-0.9.0

# npm's dynalite speaks DynamoDB's protocol in the tests of store/dynamostore, and so does Amazon's DynamoDB Local,
# which is in another of its packages. Its licence forbids to pass it on: it is installed, and never in the repository.
DYNALITE = $(TOOLS)/dynalite-4.0.0
DYNAMODB_LOCAL = amplify-dynamodb-simulator-2.9.30
NPM_INSTALL = npm install --silent --no-audit --no-fund --no-save --omit=optional --ignore-scripts --prefix

tools:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@missing=; PATH="$$PATH:/usr/sbin"; \
	command -v $$($(GO) env CC) >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v nginx >/dev/null || missing="$$missing nginx"; \
	command -v varnishd >/dev/null && command -v gcc >/dev/null || missing="$$missing varnish gcc libc6-dev"; \
	ls /usr/lib/*/varnish/vmods/libvmod_xkey.so >/dev/null 2>&1 || missing="$$missing varnish-modules"; \
	command -v memcached >/dev/null || missing="$$missing memcached"; \
	ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$$missing faketime"; \
	command -v prometheus >/dev/null || missing="$$missing prometheus"; \
	command -v tmux >/dev/null || missing="$$missing tmux"; \
	command -v bash >/dev/null || missing="$$missing bash"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	[ -e $(STATSD)/node_modules/statsd/stats.js ] && [ -e $(DYNALITE)/node_modules/dynalite/index.js ] || \
	  command -v npm >/dev/null || missing="$$missing npm"; \
	command -v chromium >/dev/null || missing="$$missing chromium fonts-dejavu-core"; \
	command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	[ -z "$$missing" ] || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v apt-get >/dev/null || { echo "the tests need these, and there is no apt-get to install them:$$missing" >&2; exit 1; }; \
	  $(NO_SERVICES); \
	  $(APT_GET) update -qq && $(APT_GET) install -y -qq --no-install-recommends $$missing; }
	@[ -e $(STATSD)/node_modules/statsd/stats.js ] || \
	  $(NPM_INSTALL) $(STATSD) statsd@0.9.0
	@[ -e $(DYNALITE)/node_modules/dynalite/index.js ] || \
	  $(NPM_INSTALL) $(DYNALITE) dynalite@4.0.0

check:
	@unformatted=$$($(GOFMT) -l .); [ -z "$$unformatted" ] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; } >&2
	$(GO) mod tidy -diff
	CGO_ENABLED=1 $(GO) vet -race ./...

# Three packages at once on two cores: some wait for servers and clocks, and those that wait for longest come first. All
# is compiled with the race detector, also what is vetted, so that it is compiled once.
LONGEST = ./store/open/servertest ./store/pgstore ./store/memcachestore ./store/redisstore
race:
	FRESHET_TEST_SERVERS=required CGO_ENABLED=1 $(GO) test -race -p 3 -timeout 20m $(LONGEST) ./...

modules:
	@set -ex; for module in $(MODULES); do ( cd $$module; \
	  $(GO) mod tidy -diff; CGO_ENABLED=1 $(GO) vet -race ./...; \
	  FRESHET_TEST_SERVERS=required CGO_ENABLED=1 $(GO) test -race ./... ); done
	cd store/dynamostore && $(GO) mod tidy -diff && CGO_ENABLED=1 $(GO) vet -race ./...

# The tests of store/dynamostore, which make test has no time for, with many keys and calls, on dynalite, and again on
# DynamoDB Local, which needs Java.
test-more: tools
	@command -v java >/dev/null || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v apt-get >/dev/null || { echo "DynamoDB Local needs java, and there is no apt-get to install it" >&2; exit 1; }; \
	  $(APT_GET) update -qq && $(APT_GET) install -y -qq --no-install-recommends default-jre-headless; }
	@folder=$(TOOLS)/$(DYNAMODB_LOCAL); [ -e $$folder/package/emulator/DynamoDBLocal.jar ] || { \
	  mkdir -p $$folder && cd $$folder && npm pack --silent amplify-dynamodb-simulator@2.9.30 >/dev/null && \
	  tar -xzf $(DYNAMODB_LOCAL).tgz && rm $(DYNAMODB_LOCAL).tgz; }
	for server in dynalite local; do ( cd store/dynamostore && FRESHET_TEST_DYNAMODB=$$server FRESHET_TEST_SOAK=1 \
	  FRESHET_TEST_SERVERS=required CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 60m . ) || exit 1; done

# The services that Debian's packages start are neither needed nor used here either. Servers are in /usr/sbin, which a
# user's PATH may lack. BENCH takes flags: make bench BENCH='-ask page -only bare,freshet -rounds 3'.
bench: bench-tools
	cd bench && $(GO) run ./e2e $(or $(BENCH),-ask all)

# Fails when a hit allocates more than promised, or a ratio is worse by more than its noise. It takes five minutes.
bench-check: tools
	cd bench && FRESHET_TEST_SERVERS=required $(GO) run ./check

bench-tools:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@missing=; PATH="$$PATH:/usr/sbin"; \
	command -v wrk >/dev/null || missing="$$missing wrk"; \
	command -v nginx >/dev/null || missing="$$missing nginx"; \
	command -v varnishd >/dev/null || missing="$$missing varnish"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	[ -z "$$missing" ] || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v apt-get >/dev/null || { echo "the measurement needs these, and there is no apt-get to install them:$$missing" >&2; exit 1; }; \
	  $(APT_GET) update -qq && $(APT_GET) install -y -qq --no-install-recommends $$missing; }

soak: soak-tests soak-mutants soak-fleet soak-processes soak-disk

# A test that needs a machine of its own fails here: three copies at a time, on whatever cores there are.
SOAK_ROUNDS = 20

soak-tests: tools
	@logs=$$(mktemp -d); \
	for round in $$(seq $(SOAK_ROUNDS)); do \
	  for copy in 1 2 3; do \
	    { export FRESHET_TEST_SOAK=1 FRESHET_TEST_SERVERS=required CGO_ENABLED=1; \
	      $(GO) test -race -count=1 ./... && $(GO) -C adapters/mounts test -race -count=1 ./...; \
	      echo $$? >$$logs/status-$$copy; } >$$logs/$$copy 2>&1 & \
	  done; wait; \
	  for copy in 1 2 3; do \
	    [ "$$(cat $$logs/status-$$copy)" = 0 ] && continue; \
	    grep -v '^ok\|no test files' $$logs/$$copy; \
	    echo "round $$round of $(SOAK_ROUNDS) failed: all of it is in $$logs" >&2; exit 1; \
	  done; \
	  echo "round $$round of $(SOAK_ROUNDS): three times well"; \
	done; rm -r $$logs

# Processes that share a store and its journal, in virtual time. FLEET_FIRST is the first seed.
FLEET_SEEDS = 1000000
FLEET_FIRST = 1

soak-fleet:
	$(GO) test ./internal/fleet -run Stories -timeout 24h -seeds $(FLEET_SEEDS) -first $(FLEET_FIRST)

# The same with real processes on Redis and PostgreSQL, which are killed, stopped and cut off: two to three minutes a
# round. Each round has a seed, which a failure prints. On a machine that does nothing else it fails for what is wrong
# alone.
PROCESS_ROUNDS = 100

soak-processes: tools
	FRESHET_TEST_SOAK=1 FRESHET_ROUNDS=$(PROCESS_ROUNDS) FRESHET_TEST_SERVERS=required CGO_ENABLED=1 \
	  $(GO) test -race -count=1 -timeout 24h -v ./internal/fleet/processes
	FRESHET_TEST_SOAK=1 FRESHET_TEST_SERVERS=required CGO_ENABLED=1 \
	  $(GO) test -race -count=1 -v -run 'TestRedisTakesOver|TestAServerWhoseClockJumps' ./store/open/servertest

# Disks that have no room left, which takes root: the tests' temporary folder is one of 400 MB, and is filled.
soak-disk: tools
	@sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; disk=$$(mktemp -d) && chmod 755 $$disk && \
	$(GO) test -race -c -o $$disk/servertest.test ./store/open/servertest && \
	$$sudo unshare -m sh -c "mkdir $$disk/tmp && mount -t tmpfs -o size=400m,mode=1777 tmpfs $$disk/tmp && \
	  cd store/open/servertest && TMPDIR=$$disk/tmp FRESHET_TEST_DISK=1 FRESHET_TEST_SERVERS=required \
	  $$disk/servertest.test -test.v -test.run TestAFullDisk"; rc=$$?; $$sudo rm -rf $$disk; exit $$rc

# Each mutant is a change of one operator that a test should notice; those that LIVED show a test that lacks, or code
# that is not needed. MUTANTS takes packages and flags: make soak-mutants MUTANTS='./store -S=l'.
GREMLINS = github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
MUTANTS = ./internal/rules ./middleware ./store

soak-mutants: tools
	for each in $(filter-out -%,$(MUTANTS)); do \
	  GOFLAGS= $(GO) run $(GREMLINS) unleash $$each --timeout-coefficient 4 $(filter -%,$(MUTANTS)) || exit 1; \
	done

# Real apps behind freshet, with PHP's own server and MariaDB on loopback ports.
soak-apps:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@missing=; \
	command -v php >/dev/null || missing="$$missing php-cli"; \
	for module in mysqli pdo_sqlite mbstring xml intl gd; do \
	  php -m 2>/dev/null | grep -qx $$module || missing="$$missing php-$$(echo $$module | sed 's/mysqli/mysql/; s/pdo_//; s/sqlite/sqlite3/')"; \
	done; \
	command -v mariadbd >/dev/null || missing="$$missing mariadb-server"; \
	[ -e /usr/share/wordpress/wp-login.php ] || missing="$$missing wordpress"; \
	ls -d /var/lib/wordpress/wp-content/themes/twenty* >/dev/null 2>&1 || missing="$$missing wordpress-theme-twentytwentythree"; \
	[ -e /usr/share/mediawiki/index.php ] || missing="$$missing mediawiki"; \
	[ -z "$$missing" ] || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v apt-get >/dev/null || { echo "the tests need these, and there is no apt-get to install them:$$missing" >&2; exit 1; }; \
	  $(APT_GET) update -qq && $(APT_GET) install -y -qq --no-install-recommends $$missing; }
	$(GO) vet -tags apps ./examples/wordpress ./examples/mediawiki
	$(GO) test -tags apps -count=1 -timeout 30m -v -run 'TestWordPress|TestMediaWiki' ./examples/wordpress ./examples/mediawiki

pictures: tools
	cd adapters/admin/browsertest && FRESHET_TEST_SERVERS=required $(GO) test -count=1 -run TestPictures . -pictures

fmt:
	$(GOFMT) -w .
