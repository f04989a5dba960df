# Needs Rust and Go. Go builds the control plane that tests and the demo run against, once; tests/harness/binaries.rs
# names the other ways to have one.

.PHONY: demo test test-unit test-cluster test-crash generate lint bench bench-burst control-plane

# Runbooks on a real Kubernetes API server; runs until Ctrl-C, or ends by itself with DEMO_EXIT=1.
demo:
	cargo build --bin thermostat
	cargo run --example demo

# Everything.
test: control-plane
	cargo test --no-fail-fast

# What needs no control plane: seconds.
test-unit:
	cargo test --lib --bins --test architecture

# What runs against a control plane.
test-cluster: control-plane
	cargo test --no-fail-fast --test '*'

# The full number of kills; `test` does 20. What it measured goes to docs/reliability.md.
test-crash: control-plane
	THERMOSTAT_KILLS=100 THERMOSTAT_RELIABILITY=docs/reliability.md cargo test --test faults -- --nocapture

# What is generated from src/api and committed.
generate:
	cargo run --quiet --bin thermostat -- crds --output-dir crds
	THERMOSTAT_UPDATE_DOCS=1 cargo test --quiet --test readme the_document_of_the_kinds

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

bench:
	cargo bench

bench-burst:
	cargo bench --bench burst

# Only the programs: found, or built once.
control-plane:
	cargo test --quiet --test control_plane -- --exact the_programs_are_found_or_built
