# `make demo` and `make test` set up all they need: a virtual environment, redis-server, Faktory.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# What the promises rest on: no branch of it may be untested.
COVERED := canonical es_number keys policy stamp validate settings lifecycle chain claims push unique
COVERED := $(COVERED:%=faktory_unique/%.py) faktory_unique/store/*.py
comma := ,
space := $(subst ,, )

.PHONY: help demo test check lint types floors servers bench clean

help:
	@echo "make demo    the main job, done before your eyes on a Redis and a Faktory of its own"
	@echo "make test    every test"
	@echo "make check   what CI runs: ruff, mypy, floors, tests, coverage, a short benchmark"
	@echo "make bench   the benchmarks"

demo: $(INSTALLED) servers
	$(BIN)/python -m scripts.servers -- $(BIN)/python -m faktory_unique demo

test: $(INSTALLED) servers
	$(BIN)/pytest

check: lint types floors servers
	$(BIN)/python -m benchmarks --quick
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='$(subst $(space),$(comma),$(COVERED))'

bench: $(INSTALLED) servers
	$(BIN)/python -m benchmarks

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

floors: $(INSTALLED)
	$(BIN)/lint-imports

servers:
	@bash scripts/provision.sh

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf .venv .servers .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
