# Everything a newcomer needs: each target sets up its own environment first.
#   make demo     a city of devices: one tariff pushed, the demand pulled before and after
#   make test     make check, then all tests
#   make check    style, types, who imports whom
#   make bench    what is measured
#   make soak     random schedules of faults by the thousand; SCHEDULES=N, SEED=S
# PYTHON=python3.13 chooses the interpreter, VENV=DIR where the environment goes. The package index is pip's.
# WORKERS=N runs the tests in N processes, 0 in this one.
PYTHON ?= python3
VENV ?= .venv
SCHEDULES ?= 20000
WORKERS ?= 2
SEED ?= 0
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench soak clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("gossip_ws needs Python 3.11 or newer: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,lab]"
	@# Clients of other people. The tests of one that is not to be had are skipped, and say so.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,lab,peers]" || echo "no outside peers from pip" >&2
	npm install --silent --no-fund --no-audit --prefix $(VENV)/npm soap@1 || echo "no outside peers from npm" >&2
	touch $@

demo: $(READY)
	$(BIN)/gossip-ws city --meters 540 --seed 1

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	@# In the order of the folders: the short files come last, so that no process waits long for the other.
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

soak: $(READY)
	$(BIN)/python -m tests.sim.soak --schedules $(SCHEDULES) --seed $(SEED)
	$(BIN)/python -m tests.consensus.soak --schedules $(SCHEDULES) --seed $(SEED)

clean:
	rm -rf $(VENV) build dist *.egg-info
