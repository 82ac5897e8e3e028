# What people and CI type. `make demo` and `make test` each do all of their own set-up on a Debian 12 with root and a
# Rust toolchain; what is there already is not touched again, and then no network is needed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# Most tests wait for something most of the time.
THREADS ?= $(shell echo $$((2 * $$(nproc))))
# Everything is fetched by the target `fetch`; after it no cargo command has a reason to go out.
cargo := CARGO_NET_OFFLINE=true cargo

.PHONY: help build demo test test-neutron bench fuzz lint clean setup toolchain machine sandbox fetch peers root

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: toolchain machine fetch ## the daemon, optimised: target/release/warren
	$(cargo) build --locked --release

demo: root setup ## the main job end to end, in a sandbox that leaves nothing behind
	@$(cargo) test --locked --no-run --test demo
	@$(cargo) test --locked --quiet --test demo

test: root setup ## every test but the long ones of make test-neutron (formatting and lints: make lint)
	RUST_TEST_THREADS=$(THREADS) WARREN_REQUIRE_NAMESPACES=1 $(cargo) test --locked --workspace --no-fail-fast

test-neutron: root setup ## all of the tests with a real neutron-server, also the long ones: some 20 minutes
	RUST_TEST_THREADS=2 WARREN_REQUIRE_NAMESPACES=1 $(cargo) test --locked --test neutron -- --include-ignored

bench: root setup ## the figures of the README, as ratios against the peers
	$(cargo) bench --locked --workspace

# There is no unsafe code of ours in these, so no sanitizer. What a run finds is kept for the next in fuzz/grown, which is not
# in the repository; what did harm goes into fuzz/corpus.
FUZZ ?= $(notdir $(wildcard fuzz/corpus/*))
RUNS ?= 10000000
# Millions of connections would leave millions of addresses in use.
alone = ip link set lo up && echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets

fuzz: root toolchain machine ## the parsers that face tenants, with what libFuzzer makes up: RUNS=10000000 FUZZ="dhcp4 dhcp6 ..."
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	@rustup toolchain list | grep -q ^nightly || rustup toolchain install nightly --profile minimal
	cargo +nightly fuzz build --sanitizer none
	@for target in $(FUZZ); do \
	  mkdir -p fuzz/grown/$$target; \
	  unshare --net sh -c '$(alone) && exec "$$@"' fuzz env WARREN_FUZZ=$$target fuzz/target/$(HOST)/release/parsers \
	    -runs=$(RUNS) -max_len=2048 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix=fuzz/artifacts/ \
	    fuzz/grown/$$target fuzz/corpus/$$target; \
	done

lint: toolchain machine fetch ## formatting, clippy, licences and advisories
	cargo fmt --all --check
	$(cargo) clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --workspace check; \
	else echo "lint: cargo-deny is not installed, so licences and advisories were not checked (cargo install cargo-deny)"; fi

clean: ## what was built here (the peers' root file system stays: $WARREN_CACHE, by default /var/cache/warren)
	cargo clean

# The parts of the set-up, each of which does nothing when there is nothing to do.
setup: toolchain sandbox fetch peers ## all that demo, test and bench need

toolchain:
	@tests/peers/toolchain.sh

machine:
	@tests/peers/machine.sh

sandbox:
	@tests/peers/machine.sh tests

fetch: toolchain
	@cargo fetch --locked --offline --quiet --target $(HOST) 2>/dev/null || { \
	  echo "setup: fetching the Rust crates that Cargo.lock names"; \
	  cargo fetch --locked --target $(HOST); }

peers: sandbox ## the root file systems with the tests' DHCP clients, dnsmasq, cloud-init ..., and with two real Neutrons
	@tests/peers/rootfs.sh >/dev/null
	@tests/peers/rootfs.sh cloud >/dev/null
	@tests/peers/rootfs.sh newest >/dev/null

root:
	@[ "$$(id -u)" = 0 ] || { \
	  echo "This makes network namespaces, and so needs root: sudo --preserve-env=HOME env PATH=\"\$$PATH\" make $(MAKECMDGOALS)" >&2; exit 1; }
