# make test   installs what the tests need and is missing, then vets and tests everything
# make fmt    formats the code

GO ?= go
GOFMT = $$($(GO) env GOROOT)/bin/gofmt

.PHONY: test tools check race bench-module fmt

test: tools check race bench-module

# The race detector needs a C compiler; everything else comes through go.mod.
tools:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@command -v $$($(GO) env CC) >/dev/null || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v apt-get >/dev/null || { echo "go test -race needs a C compiler: install gcc" >&2; exit 1; }; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends gcc libc6-dev; }

check:
	@unformatted=$$($(GOFMT) -l .); [ -z "$$unformatted" ] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; } >&2
	$(GO) mod tidy -diff
	$(GO) vet ./...

race:
	CGO_ENABLED=1 $(GO) test -race ./...

# bench is a module of its own, so that what it measures us against stays out of our go.mod.
bench-module:
	@if [ -f bench/go.mod ]; then set -ex; cd bench; \
	  $(GO) mod tidy -diff; $(GO) vet ./...; CGO_ENABLED=1 $(GO) test -race ./...; fi

fmt:
	$(GOFMT) -w .
