# Everything that a developer runs. `make test` from nothing needs make and Python >= 3.11, no more.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
# A user's PYTHONPATH must not decide which copy of the package is tested.
unexport PYTHONPATH

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
TAG := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null)
# Pins of this Python if there are any, else those of the oldest supported one.
PINS := $(firstword $(wildcard constraints/$(TAG).txt) constraints/py311.txt)
SOURCES := $(shell find src -type f -not -name '*.pyc') README.md LICENSE
EXTRAS := all,dev

ENVIRONMENT := $(VENV)/.stamp-environment
INSTALLED := $(VENV)/.stamp-installed
FILE_LIST := $(VENV)/.source-files
PEERS := $(VENV)/.stamp-peers

TESTS_OPTIONS :=

.PHONY: help setup lint types docs installed test test-all test-gpu tests bench demo clean FORCE

help:  ## what there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## environment with pinned packages in .venv, and the built wheel in it

lint: $(ENVIRONMENT)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(ENVIRONMENT)  ## mypy, strict
	$(BIN)/mypy

docs: $(ENVIRONMENT)  ## the documentation as a site in build/site; a dead link or a missing page is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q --strict

# Lint, types and documentation run beside the tests.
test: installed  ## lint, types, documentation, tests and doctests against the installed wheel; of exhaustive tests a tenth
	@$(MAKE) --no-print-directory -j4 lint types docs tests

test-all: installed  ## the same with the exhaustive tests in full: some twenty minutes
	@$(MAKE) --no-print-directory -j4 lint types docs tests TESTS_OPTIONS=--all

test-gpu: installed  ## the tests that need a GPU
	$(BIN)/pytest -q -m gpu tests

tests: installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(WORKERS) --dist worksteal $(TESTS_OPTIONS) --pyargs tests metricopt

bench: installed $(PEERS)  ## every speed benchmark beside its bound; fails where one falls short
	$(BIN)/python benchmarks/run.py

demo: installed  ## all the set-up from nothing, then the main job on real data; ends with the report to open
	$(BIN)/metricopt demo --folder runs/demo

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(ENVIRONMENT): pyproject.toml $(PINS)
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) found: install Python >= 3.11 or run make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "metricopt needs Python >= 3.11, $(PYTHON) is $$($(PYTHON) -V 2>&1): run make PYTHON=/path/to/a/newer/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c $(PINS) hatchling
	$(BIN)/pip install -q --disable-pip-version-check -c $(PINS) --no-build-isolation '.[$(EXTRAS)]'
	@touch $@

$(PEERS): $(ENVIRONMENT) constraints/peers.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -r constraints/peers.txt
	@touch $@

# The package itself: always as the wheel that users get, never as an editable install.
$(INSTALLED): $(ENVIRONMENT) $(SOURCES) $(FILE_LIST)
	rm -rf build/wheel
	$(BIN)/pip wheel -q --disable-pip-version-check --no-deps --no-index --no-build-isolation -w build/wheel .
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-index --force-reinstall build/wheel/*.whl
	@touch $@

# Changes only when a file comes or goes: without it a deleted module would live on in the environment.
$(FILE_LIST): FORCE | $(ENVIRONMENT)
	@printf '%s\n' $(sort $(SOURCES)) >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

installed: $(INSTALLED)
	@$(BIN)/python -I -c 'import importlib.util, sys; at = importlib.util.find_spec("metricopt").origin; sys.exit(None if "site-packages" in at else "metricopt is imported from " + at + ", not from the installed wheel: run make clean")'
