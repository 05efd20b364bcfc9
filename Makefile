# Sluice. `make run` starts the gateway, `make test` tests it; both need only Go, git and make.
# `make help` lists the rest.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## the binary, in bin/sluice
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sluice ./cmd/sluice

.PHONY: run
run: build ## start the gateway on the embedded model
	./bin/sluice serve

.PHONY: test
test: ## all tests that need nothing but Go
	$(GO) test -timeout 30m ./...

.PHONY: e2e
e2e: ## the real binary, end to end: two gateways and a fault-injecting proxy between them
	$(GO) test -count=1 -run TestEndToEnd ./cmd/sluice

.PHONY: check
check: fmt vet lint race purego tidy ## the whole gate: format, vet, lint, race tests, purego, tidy

.PHONY: fmt
fmt: ## no file may need gofmt
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt needed:"; echo "$$out"; exit 1; fi

.PHONY: vet
vet: ## go vet, for every port
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

.PHONY: lint
lint: ## the linters that tools/go.mod pins
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

.PHONY: race
race: ## all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 40m ./...

.PHONY: purego
purego: ## all tests without assembly
	$(GO) test -tags purego ./runtime/... ./local/...

.PHONY: tidy
tidy: ## go.mod must be tidy
	$(GO) mod tidy -diff
	$(GO) mod verify

.PHONY: bench
bench: ## benchmarks that need nothing but Go
	$(GO) test -run '^$$' -bench . -benchtime 300ms ./runtime/... ./policy/... ./telemetry/... ./router/...

.PHONY: bench-peers
bench-peers: ## llama.cpp on the same models, by turns (needs node and npm; half an hour, nothing else running)
	bench/peers/speed.sh

.PHONY: arm64
arm64: ## the arm64 kernels under qemu-user (Debian: qemu-user-static); slow
	@q=$$(command -v qemu-aarch64-static || command -v qemu-aarch64) || \
	{ echo "make arm64 needs qemu-user: on Debian and Ubuntu, apt-get install qemu-user-static" >&2; exit 1; }; \
	GOARCH=arm64 KERNEL_TEST_REQUIRE=1 $(GO) test -count=1 -timeout 30m -exec "$$q" ./runtime/kernel

.PHONY: parity
parity: ## make the llama.cpp reference numbers again (needs node and npm)
	bench/peers/parity.sh

.PHONY: schema-suite
schema-suite: ## the official JSON-Schema-Test-Suite, from the sdist of Python's jsonschema (needs pip)
	d=$$(mktemp -d) && trap 'rm -rf "$$d"' EXIT && \
	pip download -q --no-deps --no-binary jsonschema -d $$d jsonschema==4.23.0 && tar xzf $$d/jsonschema-4.23.0.tar.gz -C $$d && \
	JSON_SCHEMA_SUITE=$$d/jsonschema-4.23.0/json/tests $(GO) test -count=1 -v -run TestSuite ./runtime/grammar/jsonschema

.PHONY: generations
generations: ## 10,000 answers of a model with random weights to random schemas, each held against another validator (minutes)
	$(GO) test -count=1 -v -timeout 60m -run TestGenerations ./runtime/grammar/jsonschema -generations 10000

.PHONY: sdk
sdk: build ## drive the gateway with OpenAI's official SDKs (needs node and npm)
	bench/sdk/run.sh

.PHONY: train
train: ## train nano from the data in train/ (needs Python; about ten minutes on a CPU, after the installation)
	train/run.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
