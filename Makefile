# Works from nothing on Debian and Ubuntu with python3 and make: every target sets up what it needs.
# ARGS passes through, for example: make dev ARGS="--port 8800 --no-browser"

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
EMULATORS := .venv-emulators/.ready

export PYTHON

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup dev test test-long test-all check format bench lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) $(EMULATORS) ## create .venv and install the locked packages (the others do it too)

$(READY): requirements/dev.txt pyproject.toml scripts/setup
	@scripts/setup
	@touch $@

# What the tests start as a process of its own, since its pins do not agree with ours.
$(EMULATORS): requirements/emulators.txt scripts/setup
	@rm -rf $(@D)
	@scripts/setup emulators
	@touch $@

dev: $(READY) ## start the dev workspace: Slack, gateway and services on this machine
	@exec $(BIN)/tidegate dev $(ARGS)

test: $(READY) $(EMULATORS) ## run the tests, browser and short crash tests included (some minutes)
	@scripts/test short

test-long: $(READY) $(EMULATORS) ## run only the long tests
	@scripts/test long

test-all: test test-long ## run every test there is

check: $(READY) ## lint, formatting, types and the import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "formatting differs: run 'make format'" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

bench: $(READY) ## measure, as a Markdown table and bench/results.json
	@$(BIN)/python bench/run.py $(ARGS)

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
  --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock: $(READY) ## resolve requirements/*.txt anew (ARGS=--upgrade for newer versions)
	@$(COMPILE) --extra dev --extra agent --extra postgres --output-file requirements/dev.txt $(ARGS) \
	  pyproject.toml requirements/dev.in
	@$(COMPILE) --output-file requirements/emulators.txt $(ARGS) requirements/emulators.in

clean: ## remove what tests, checks and builds leave behind (.venv stays)
	@rm -rf build dist test-artifacts htmlcov .coverage .coverage.* \
	  .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
