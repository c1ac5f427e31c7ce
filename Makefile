# The two commands: `make demo` and `make test`. Both create and fill .venv themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PYTHONUNBUFFERED := 1
# The tests measure nothing that gains from a worker's own threads; two cores are enough.
export OMP_NUM_THREADS ?= 2

.PHONY: help demo test lint types layers unit conformance interop bench test-jvm-short test-runners test-crash test-crash-mutants format clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): setup.py requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "No venv module: install python3-venv (apt-get install python3-venv) and try again."; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt --editable ".[dev]"
	@touch $@

demo: $(STAMP) ## Load, read back, transform and verify real data against the bundled emulator
	$(BIN)/python -m pipelines.quickstart

test: $(STAMP) lint types layers ## Everything that needs no JVM, in at most 10 minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile

unit: $(STAMP) ## The tests that open no socket
	$(BIN)/python -m pytest tests/unit

conformance: $(STAMP) ## The emulator against the independent conformance kit
	$(BIN)/python -m tests.emulator.conformance

$(VENV)/.interop: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[interop]"
	@touch $@

interop: $(VENV)/.interop ## Clients that others wrote against the emulator -> build/interop.json
	$(BIN)/python -m tests.interop

test-jvm-short: $(VENV)/.interop ## A short form of interop, in at most 10 minutes; needs a JVM
	$(BIN)/python -m tests.interop --short --if-possible

bench: $(STAMP) ## Ours against the raw wire and rivals -> build/bench.json
	$(BIN)/python -m benchmarks

test-runners: $(STAMP) ## What Beam's runners do, and the connector on them; Prism too, which Go builds once
	$(BIN)/python -m tests.runners.prism --if-possible
	BEAM_DORIS_RUNNERS=all $(BIN)/python -m pytest tests/runners

test-crash: $(STAMP) ## Kill pipelines at every point of a load's life -> build/crash.json; SEEDS=5 PRISM=/path/to/prism
	$(BIN)/python -m tests.crash --seeds $(or $(SEEDS),1) $(if $(PRISM),--prism $(PRISM))

test-crash-mutants: $(STAMP) ## Faults put into the writer, each of which the matrix has to notice
	$(BIN)/python -m tests.crash --mutants

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP) ## Apply the formatter and the safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove everything that is made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
