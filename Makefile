# `make demo` and `make test` set up all they need: a virtual environment and, for the tests,
# redis-server, Faktory, and the packages of programs in other languages.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# What the promises rest on: no branch of it may be untested.
COVERED := _durations.py _environment.py _util.py errors.py events.py middleware.py results.py
COVERED += policy/*.py locks/*.py stores/*.py unique/*.py
COVERED := $(COVERED:%=faktory_unique/%)
# Of a chaos run: seconds for which there are faults, and what they are drawn from.
SECONDS ?= 60
SEED ?= 1
# Of a fuzz run: values that are canonicalized.
INPUTS ?= 1000000
comma := ,
space := $(subst ,, )

.PHONY: help demo test conformance chaos fuzz check lint types floors servers languages peers watched beside bench clean

help:
	@echo "make demo          the main job, done before your eyes on a Faktory in memory"
	@echo "make test          every test"
	@echo "make conformance   one suite on the in-memory Faktory and on a real one"
	@echo "make chaos         real servers and processes under faults: SECONDS=60 SEED=1"
	@echo "make fuzz          the canonicalizer against another one: INPUTS=1000000"
	@echo "make check         what CI runs: ruff, mypy, floors, tests, coverage, a short benchmark"
	@echo "make bench         the benchmarks: ten minutes on a machine that does nothing else"
	@echo "make servers       a redis-server and a Faktory, .servers/bin/faktory; the others do this themselves"
	@echo "make clean         forgets what was installed here"

# In memory, whatever servers the shell points at.
demo: $(INSTALLED)
	env -u FAKTORY_URL -u FAKTORY_UNIQUE_STORE $(BIN)/python -m faktory_unique demo

test: $(INSTALLED) servers languages
	$(BIN)/pytest

conformance: $(INSTALLED) servers
	$(BIN)/pytest tests/conformance

chaos: $(INSTALLED) servers
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED)

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz.canonical $(INPUTS)

# Beside the tests that are watched for coverage, which wait for servers most of the time: the
# recipes and the vectors, which wait, too, and the simulation, which does nothing that the others do
# not cover.
check: lint types floors servers languages peers
	$(BIN)/python -m benchmarks --quick
	$(MAKE) --jobs 2 --output-sync=line watched beside
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='$(subst $(space),$(comma),$(COVERED))'

watched: $(INSTALLED)
	$(BIN)/coverage run -m pytest --ignore tests/simulation --ignore tests/recipes --ignore tests/vectors

beside: $(INSTALLED)
	$(BIN)/pytest tests/vectors
	$(BIN)/pytest tests/recipes
	$(BIN)/pytest tests/simulation

bench: $(INSTALLED) servers peers
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

languages:
	@bash scripts/languages.sh

peers:
	@bash scripts/peers.sh

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf .venv .servers .peers benchmarks/peers/bullmq/node_modules .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
