# Two commands matter: `make quickstart` and `make test`. Both need only Python and make.

PYTHON ?= python3
TORCH := 2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -qq -c constraints.txt
PINS := pyproject.toml constraints.txt
# Tests start hundreds of processes: each would compile the modules anew where this is set.
CACHED := PYTHONDONTWRITEBYTECODE=
# A stamp says what is installed, so that a second `make` does not ask pip again.
STAMPS := $(VENV)/.stamps

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow lint format constraints install-test clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(STAMPS)/demo ## Install, then run the shipped study `quickstart`
	@$(BIN)/tuner run-study quickstart

test: install-test ## Run the tests
	@$(CACHED) $(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow and not gpu" $(PYTEST_ARGS)

test-slow: install-test ## Run the tests that take minutes
	@$(CACHED) $(BIN)/python -m pytest -m "slow and not gpu" $(PYTEST_ARGS)

lint: install-test ## Check style, types and floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install-test ## Put the code into its standard form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

install-test: $(STAMPS)/test

constraints: ## Resolve all packages anew and write constraints.txt
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(PYTHON) -m venv "$$scratch/venv" && \
	"$$scratch/venv/bin/python" -m pip install -qq --dry-run --report "$$scratch/report.json" \
		torch==$(TORCH) '.[all,test]' && \
	"$$scratch/venv/bin/python" .ci/pin.py "$$scratch/report.json" > "$$scratch/constraints.txt" && \
	mv "$$scratch/constraints.txt" constraints.txt

clean: ## Remove the environment, caches and builds; `mlruns`, the results, stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find configs tests trainers tuner -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
		f"Python: got {v[0]}.{v[1]} ({sys.executable}), 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: $(STAMPS)/venv $(PINS)
	@echo "Installing into $(VENV); the first time takes some minutes"
	@$(INSTALL) -e '.[demo]'
	@touch $@

$(STAMPS)/test: $(STAMPS)/venv $(PINS)
	@echo "Installing into $(VENV), test tools too; the first time takes some minutes"
	@$(INSTALL) -e '.[test]'
	@touch $@ $(STAMPS)/demo
