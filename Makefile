# Each target makes its own environment first: Python 3.11 or newer and git are all that must be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bad-inputs wheel-check clean

help: ## say what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: demo/.copier-answers.yml ## a project in demo/, and its sweep: Braess's paradox
	cd demo && ../$(BIN)/python conductor.py
	@echo
	@echo "The project is in demo/, its results are in demo/runs/. Next:"
	@echo "  make demo                            runs nothing again, for nothing changed"
	@echo "  . .venv/bin/activate && cd demo      then edit flow/ or conductor.py: python conductor.py"

# Compiled once, also where Python may not do so itself: the tests start hundreds of interpreters.
test: $(VENV)/.installed ## all tests
	$(BIN)/python -m compileall -q ductaflow.py ductaflow_runtime
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/.installed ## lint, format, types, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mkdocs build --strict

format: $(VENV)/.installed ## put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed ## measure against the other ways to execute a flow
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

bad-inputs: $(VENV)/.installed ## write docs/bad-inputs.md anew: what is said about each bad input
	$(BIN)/python -m tests.bad_inputs

wheel-check: $(VENV)/.installed ## build the wheel, install it alone, run a flow with it
	.ci/wheel-check $(BIN)/python

clean: ## remove what the targets above made, the environment and demo/ included
	rm -rf $(VENV) demo site build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A demo that is there is left as it is: it may have been edited.
demo/.copier-answers.yml: | $(VENV)/.installed
	$(BIN)/copier copy --quiet --defaults --vcs-ref HEAD "$(CURDIR)" demo

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ductaflow needs Python 3.11 or newer; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install --editable '.[dev]'
	touch $@

