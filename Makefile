# The README's commands. Each sets up what it needs; CI calls `make test` and nothing else.

PYTHON ?= python3
CARGO ?= cargo
# Where the server and the tests look for ONNX Runtime, beside what cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
RUNTIME := $(TARGET)/onnxruntime
RUNTIME_VERSION := 1.32.0
# PyTorch, timm, ruff, and what benchmarks are compared with: a throw-away environment of about 6 GB.
VENV := $(abspath $(TARGET))/python

.PHONY: help build demo test test-python lint bench onnxruntime clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: onnxruntime ## the release binary, target/release/curriculum
	$(CARGO) build --release --package curriculum-cli

demo: build ## real images to weights over gRPC, and report.html
	$(TARGET)/release/curriculum demo --report report.html

test: onnxruntime lint ## all tests
	$(CARGO) build --package curriculum-cli
	$(CARGO) test --workspace
	$(MAKE) test-python

test-python: onnxruntime $(VENV)/.tests ## the exporter, features beside PyTorch's, the GPU script on the CPU
	$(CARGO) build --package curriculum-cli
	CURRICULUM=$(abspath $(TARGET))/debug/curriculum $(VENV)/bin/python -m pytest -c tests/python/pytest.ini tests/python

lint: $(VENV)/.lint ## formatting and warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

bench: build $(VENV)/.bench ## speed and accuracy, beside numpy, scikit-learn, faiss, linfa, torchvision and the bare model
	PEERS_PYTHON=$(VENV)/bin/python $(CARGO) bench --bench weights --bench accuracy --bench numpy --bench kmeans \
		--bench peers --bench grpc --bench decode
	$(VENV)/bin/python tests/bench/fit_memory.py $(TARGET)/release/curriculum --folder $(TARGET)
	$(VENV)/bin/python tests/bench/extraction.py $(TARGET)/release/curriculum
	$(VENV)/bin/python tests/bench/latency.py $(TARGET)/release/curriculum

$(VENV)/.lint: tests/python/lint.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement $<
	touch $@

# scikit-image is there for its photographs alone, and its code does not run.
$(VENV)/.tests: $(VENV)/.lint tests/python/requirements.txt python/tools/requirements.txt
	$(VENV)/bin/pip install --quiet --no-cache-dir --requirement tests/python/requirements.txt
	$(VENV)/bin/pip install --quiet --no-cache-dir --no-deps scikit-image==0.26.0
	touch $@

$(VENV)/.bench: $(VENV)/.tests tests/bench/requirements.txt
	$(VENV)/bin/pip install --quiet --no-cache-dir --no-warn-conflicts --requirement tests/bench/requirements.txt
	touch $@

onnxruntime: $(RUNTIME)/.version-$(RUNTIME_VERSION) ## ONNX Runtime's library, from its Python wheel

$(RUNTIME)/.version-$(RUNTIME_VERSION):
	$(PYTHON) deploy/fetch_onnxruntime.py $(RUNTIME_VERSION) $(RUNTIME)
	touch $@

clean: ## everything built or fetched
	$(CARGO) clean
