# Needs make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := test
.PHONY: demo test cluster kernels check reference fuzz bench bench-peers constraints clean

demo: $(STAMP)  ## the whole pipeline on synthetic data, offline
	$(BIN)/nextitem demo
	@echo "Now see what they recommend: $(BIN)/nextitem demo --serve"

test: $(STAMP)  ## the default tests: fast, on the CPU, offline
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

cluster: $(STAMP)  ## what a Ray cluster of three raylets does, on the loopback, where one of them is killed; some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster --timeout=1800 -rs tests/engine/test_cluster.py

kernels: $(STAMP)  ## the numeric tests as other processors would compute them; half an hour
	$(BIN)/python tools/kernels.py

check: $(STAMP)  ## style, types, architecture, and a wheel that works outside the checkout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/smoke_wheel.py

reference: $(STAMP)  ## writes the generated parts of docs/reference.md; a test compares them
	$(BIN)/python tools/reference.py

fuzz: $(STAMP)  ## for a minute, files that came to harm: none may be lost, misread, waited for or end in a traceback
	OMP_NUM_THREADS=1 $(BIN)/python tools/fuzz_readers.py --seconds 60

bench: $(STAMP)  ## writes docs/benchmarks.md and its picture; a quarter of an hour, with nothing else running
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/frontier.py

bench-peers: $(STAMP)  ## the same work by RecTools, RePlay and RecBole, each in an environment of its own in .bench/
	$(BIN)/python benchmarks/peers.py

# An existing .venv without the stamp is installed into; one without pip is completed first.
$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  command -v "$(PYTHON)" >/dev/null || \
	    { echo "error: '$(PYTHON)' was not found; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	  $(call require_python,"$(PYTHON)",name a newer one: make PYTHON=/path/to/python3); \
	  "$(PYTHON)" -m venv $(VENV) || \
	    { echo "error: '$(PYTHON) -m venv' failed; some systems package it apart, as python3-venv" >&2; exit 1; }; \
	fi
	@$(call require_python,$(BIN)/python,remove $(VENV) and run make again)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# $(1): an interpreter; $(2): the remedy when it is too old
require_python = $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "error: nextitem needs Python 3.11 or newer, but $$($(1) --version 2>&1) is what $(1) runs; $(2)" >&2; exit 1; }

# Versions already pinned are kept: delete a line to let its package move. The libraries that a GPU build of torch brings
# are left out, so that one file suits both builds.
constraints: $(STAMP)  ## compile constraints.txt anew, after a change of the dependencies
	$(BIN)/python -m pip install --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header --no-annotate \
	  --output-file constraints.txt pyproject.toml
	{ echo '# Every version of an installation for development; use with pip install -c. Regenerate with: make constraints'; \
	  grep -vE '^(#|cuda-|nvidia-|triton)' constraints.txt; } > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove what builds, tests and tools leave; .venv and runs/ stay
	rm -rf build dist src/*.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests tools -type d -name __pycache__ -prune -exec rm -rf {} +
