# `make demo` and `make test` install all requirements: a virtual environment and, for the tests,
# redis-server, Faktory, and the packages of programs in other languages.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# The promises rest on these files: every branch must be tested.
COVERED := _durations.py _environment.py _util.py errors.py events.py middleware.py results.py
COVERED += policy/*.py locks/*.py stores/*.py unique/*.py
COVERED := $(COVERED:%=faktory_unique/%)
# A chaos run: seconds with faults, and the seed from which they are drawn.
SECONDS ?= 60
SEED ?= 1
# Mutation testing: the number of mutants; SEED chooses them.
SAMPLE ?= 300
# Processes that run tests. More than processors, since most tests wait.
WORKERS ?= 6
# A fuzz run: number of values that are canonicalized.
INPUTS ?= 1000000
AT_ONCE := --numprocesses=$(WORKERS) --dist=worksteal
comma := ,
space := $(subst ,, )

.PHONY: help demo test conformance chaos chaos-selftest mutants fuzz check lint types layers servers languages peers versions bench clean

help:
	@echo "make demo          pushes and runs jobs on a Faktory in memory, with a live table"
	@echo "make test          every test, several at once: WORKERS=6"
	@echo "make conformance   one suite on the in-memory Faktory and on a real one"
	@echo "make chaos         real servers and processes with injected faults: SECONDS=60 SEED=1"
	@echo "make chaos-selftest  plants bugs, which chaos runs must find: BUG=name for one"
	@echo "make mutants       the tests on random small changes of the package: SAMPLE=300 SEED=1"
	@echo "make fuzz          compares canonical JSON with another implementation: INPUTS=1000000"
	@echo "make versions      short tests on each Python >= 3.11 of this machine, and with the lowest dependencies"
	@echo "make check         what CI runs: ruff, mypy, import layers, tests, coverage, versions, a short benchmark"
	@echo "make bench         the benchmarks: ten minutes on an otherwise idle machine"
	@echo "make servers       installs redis-server and .servers/bin/faktory; the other targets do it themselves"
	@echo "make clean         deletes everything that was installed here"

# In memory, also if the shell has the addresses of real servers.
demo: $(INSTALLED)
	env -u FAKTORY_URL -u FAKTORY_UNIQUE_STORE $(BIN)/python -m faktory_unique demo

test: $(INSTALLED) servers languages
	$(BIN)/pytest $(AT_ONCE)

conformance: $(INSTALLED) servers
	$(BIN)/pytest tests/conformance

chaos: $(INSTALLED) servers
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED)

# Minutes for all bugs; two runs at a time. `make chaos-selftest BUG=no_lease` for one of them.
chaos-selftest: $(INSTALLED) servers
	$(BIN)/python -m tests.chaos.selftest $(BUG)

mutants: $(INSTALLED) servers
	$(BIN)/python -m tests.mutants --sample $(SAMPLE) --seed $(SEED)

fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz.canonical $(INPUTS)

# Three sessions at once, since their tests wait for servers most of the time.
versions: $(INSTALLED) servers
	$(BIN)/nox --parallel 3

check: lint types layers servers languages peers
	$(BIN)/python -m benchmarks --quick
	$(BIN)/pytest $(AT_ONCE) --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='$(subst $(space),$(comma),$(COVERED))'
	$(MAKE) versions

bench: $(INSTALLED) servers peers
	$(BIN)/python -m benchmarks

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
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
	$(BIN)/python -m pip install --quiet --target .venv/eventlet 'eventlet>=0.40'
	@touch $@

clean:
	rm -rf .venv .venvs .servers .peers .mutants benchmarks/peers/bullmq/node_modules .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
