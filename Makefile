# The README's commands. Each sets up what it needs; CI calls `make test` and nothing else.

PYTHON ?= python3
CARGO ?= cargo
# Where the server and the tests look for ONNX Runtime, beside what cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
RUNTIME := $(TARGET)/onnxruntime
RUNTIME_VERSION := 1.32.0
# The libraries that the benchmarks are compared with.
PEERS := $(abspath $(TARGET))/peers

.PHONY: help build demo test lint bench onnxruntime clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: onnxruntime ## the release binary, target/release/curriculum
	$(CARGO) build --release --package curriculum-cli

demo: build ## real images to weights over gRPC, and report.html
	$(TARGET)/release/curriculum demo --report report.html

test: onnxruntime lint ## all tests
	$(CARGO) build --package curriculum-cli
	$(CARGO) test --workspace

lint: ## formatting and warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

bench: build $(PEERS)/.installed ## speed and accuracy, beside numpy, scikit-learn, faiss and linfa
	PEERS_PYTHON=$(PEERS)/bin/python $(CARGO) bench --bench weights --bench accuracy --bench numpy --bench kmeans \
		--bench peers --bench grpc
	$(PEERS)/bin/python tests/bench/fit_memory.py $(TARGET)/release/curriculum --folder $(TARGET)

# A throw-away environment, for `make bench` alone.
$(PEERS)/.installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet numpy scikit-learn faiss-cpu
	touch $@

onnxruntime: $(RUNTIME)/.version-$(RUNTIME_VERSION) ## ONNX Runtime's library, from its Python wheel

$(RUNTIME)/.version-$(RUNTIME_VERSION):
	$(PYTHON) deploy/fetch_onnxruntime.py $(RUNTIME_VERSION) $(RUNTIME)
	touch $@

clean: ## everything built or fetched
	$(CARGO) clean
