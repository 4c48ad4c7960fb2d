# The README's commands. Each sets up what it needs; CI calls `make test` and nothing else.

PYTHON ?= python3
CARGO ?= cargo
# Where the server and the tests look for ONNX Runtime, beside what cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
RUNTIME := $(TARGET)/onnxruntime
RUNTIME_VERSION := 1.32.0
# PyTorch, timm, ruff, and what benchmarks are compared with: a throw-away environment of about 6 GB.
VENV := $(abspath $(TARGET))/python

# The binary as `cargo test --workspace` builds it too: with another selection of packages their dependencies would have
# other features, and be built twice.
DEBUG_BUILD := $(CARGO) build --workspace --bins --tests

# The four IDX files of Fashion-MNIST, as Debian's package `dataset-fashion-mnist` installs them.
FASHION_MNIST ?= /usr/share/datasets/fashion-mnist

.PHONY: help build demo test test-long test-python lint bench soak onnxruntime clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

build: onnxruntime ## the release binary, target/release/curriculum
	$(CARGO) build --release --package curriculum-cli

demo: build ## real images to weights over gRPC, and report.html
	$(TARGET)/release/curriculum demo --report report.html

test: onnxruntime lint ## all tests
	$(DEBUG_BUILD)
	$(CARGO) test --workspace
	$(MAKE) test-python

test-long: onnxruntime ## 50 kills, and all of Fashion-MNIST from every kind of source
	test -d $(FASHION_MNIST) || { echo "install dataset-fashion-mnist, or set FASHION_MNIST to the IDX files' folder"; exit 1; }
	$(DEBUG_BUILD)
	CURRICULUM_KILLS=50 CURRICULUM_FASHION_MNIST=$(FASHION_MNIST) $(CARGO) test --workspace --test end_to_end -- kills:: sources::

test-python: onnxruntime $(VENV)/.tests ## the Python client and samplers, the wheel, the exporter, features beside PyTorch's, the GPU script on the CPU
	$(DEBUG_BUILD)
	CURRICULUM=$(abspath $(TARGET))/debug/curriculum $(VENV)/bin/python -m pytest -c tests/python/pytest.ini tests/python

lint: $(VENV)/.lint ## formatting and warnings
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy --config-file python/pyproject.toml python/curriculum python/curriculum_learning

bench: build $(VENV)/.bench ## speed and accuracy, beside numpy, scikit-learn, faiss, linfa, torchvision, bare tonic and the bare model
	PEERS_PYTHON=$(VENV)/bin/python $(CARGO) bench --bench weights --bench accuracy --bench numpy --bench kmeans \
		--bench peers --bench grpc --bench trainers --bench secured --bench decode --bench enumerate --bench publish --bench features --bench portable
	$(VENV)/bin/python tests/bench/fit_memory.py $(TARGET)/release/curriculum --folder $(TARGET)
	$(VENV)/bin/python tests/bench/jobs.py $(TARGET)/release/curriculum --folder $(TARGET)
	$(VENV)/bin/python tests/bench/extraction.py $(TARGET)/release/curriculum
	PYTHONPATH=python $(VENV)/bin/python tests/bench/latency.py $(TARGET)/release/curriculum
	PYTHONPATH=python $(VENV)/bin/python tests/bench/python_client.py $(TARGET)/release/curriculum \
		--tonic "$(CARGO) bench --bench trainers -- stream"
	PYTHONPATH=python $(VENV)/bin/python tests/bench/ready.py $(TARGET)/release/curriculum
	PYTHONPATH=python $(VENV)/bin/python tests/bench/overload.py $(TARGET)/release/curriculum

soak: build $(VENV)/.bench ## ten minutes of mixed load: memory, descriptors and calls, and target/soak.svg
	PYTHONPATH=python $(VENV)/bin/python tests/bench/soak.py $(TARGET)/release/curriculum --seconds 600 --out $(TARGET)/soak.svg

$(VENV)/.lint: tests/python/lint.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement $<
	touch $@

# scikit-image and scikit-learn are there for their photographs alone, and their code does not run. The generator of
# Python's stubs is old on purpose (python/tools/generate_stubs.py), and has no wheel for newer Pythons.
$(VENV)/.tests: $(VENV)/.lint tests/python/requirements.txt python/tools/requirements.txt
	$(VENV)/bin/pip install --quiet --no-cache-dir --requirement tests/python/requirements.txt
	$(VENV)/bin/pip install --quiet --no-cache-dir --no-deps scikit-image==0.26.0 scikit-learn==1.9.1
	$(VENV)/bin/pip install --quiet --no-cache-dir --no-deps 'grpcio-tools==1.60.2; python_version < "3.13"'
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
