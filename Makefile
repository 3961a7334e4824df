# labctl: `make demo` shows the main job end to end, `make test` proves it. Both set up
# what they need on a fresh machine.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# One set of flags for build, vet and test, so that they share what was compiled.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=auto

GO       ?= go
GOARCH   := $(shell $(GO) env GOARCH)
PROGRAMS := internal/images/programs/linux-$(GOARCH)
APPS     := frontend backend db probe
SOURCES  := $(shell find cmd internal grader labs fixtures/apps -type f -not -path 'internal/images/programs/*') go.mod go.sum
# As the node image is built, so that its tests share what was compiled for it.
NODE_FLAGS := -trimpath -buildvcs=false -gcflags=all=-dwarf=false -tags=no_aufs,no_zfs,no_btrfs,no_devmapper,no_tracing,nri_no_wasm
LINT     := $(GO) tool -modfile=hack/tools/go.mod golangci-lint

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: bin/labctl ## Build bin/labctl, one static binary with the fixture programs inside

bin/labctl: $(SOURCES) $(APPS:%=$(PROGRAMS)/%)
	$(GO) build -ldflags '-s -w' -o $@ ./cmd/labctl

$(PROGRAMS)/%: $(shell find fixtures/apps grader/probe -name '*.go' -o -name '*.html') go.mod go.sum
	GOOS=linux GOARCH=$(GOARCH) $(GO) build -buildvcs=false -ldflags '-s -w -buildid=' -o $@ ./fixtures/apps/$*

.PHONY: release
release: ## Build all files of a release from a clean checkout into out/release, reproducibly
	$(GO) run ./hack/release

.PHONY: node-image
node-image: ## Build the cluster's node image from Go modules and Debian packages (cached)
	$(GO) -C fixtures/node run .

.PHONY: engine
engine: ## Use the container engine that answers, or install and start one (Debian, root)
	hack/engine

.PHONY: demo
demo: build ## The main job end to end: engine, images, cluster, the three labs graded
	hack/demo

.PHONY: test
test: lint test-unit e2e ## Everything: lint, unit and CLI tests, end to end on a real cluster

.PHONY: test-unit
test-unit: build ## Unit and CLI tests: no engine needed
	$(GO) vet ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(shell $(GO) list ./... | grep -v '/internal/cli$$')
	$(GO) test -timeout 20m ./internal/cli # scripts: hundreds of processes, too slow under the race detector
	$(GO) -C fixtures/node vet . ./internal/... ./netfilter ./pause ./volume ./podnet/agent
	$(GO) -C fixtures/node test . ./internal/... ./netfilter ./volume ./podnet/agent
	GOFLAGS='$(NODE_FLAGS)' $(GO) -C fixtures/node test ./imagestore ./podnet

# One at a time: each platform has a standard library of its own to compile.
.PHONY: vet-all
vet-all: ## go vet for every platform that a release is built for
	@set -e; for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "go vet for $$os/$$arch"; GOOS=$$os GOARCH=$$arch $(GO) vet ./cmd/... ./internal/... ./grader/...; \
	done; done

.PHONY: e2e
e2e: build ## End to end on a real cluster, every lab proven
	hack/prepare
	$(GO) test -tags e2e -count 1 -run Server ./internal/batch ./internal/cli/gradescope
	$(GO) test -tags e2e -count 1 -timeout 80m -v ./e2e/...

.PHONY: verify
verify: build ## Prove every lab of the catalogue, every submission of it, on a real cluster
	hack/prepare
	bin/labctl lab verify

.PHONY: lint
lint: ## golangci-lint with the project's rules
	$(LINT) run ./...
	$(LINT) run --build-tags e2e ./e2e/... ./internal/batch/... ./internal/cli/gradescope/...

.PHONY: bench
bench: build ## Measure: ratios against a baseline in the same run
	hack/image
	$(GO) test -tags bench -run '^$$' -bench 'NodeImage|Queue|Up|Batch' -benchtime 1x -timeout 180m ./bench/... # a cluster beside them would slow them
	hack/prepare
	$(GO) test -tags bench -run '^$$' -bench Grade -benchtime 1x -timeout 60m ./bench/...

.PHONY: clean
clean: ## Remove what builds made here (caches and clusters stay: labctl down --all)
	rm -rf bin out $(PROGRAMS)
