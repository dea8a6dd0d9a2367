# Every target does its own set-up; the first run of each is the slow one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILED := .venv-compiled
COMPILED_READY := $(COMPILED)/.ready
# A distribution builds its Python for speed, which others mostly are not: docs/performance.md has the figures.
COMPILED_PYTHON := $(if $(filter file,$(origin PYTHON)),$(shell tools/python),$(PYTHON))
SUITE := -q -n auto --dist worksteal -m "not soak" -rs --durations=10 --durations-min=1

.DEFAULT_GOAL := help
.PHONY: help demo test test-changed mirror compiled test-compiled check format conformance soak peers clean

help: ## show what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(READY): pyproject.toml tools/setup
	@PYTHON="$(PYTHON)" tools/setup $(VENV)
	@touch $@

demo: $(READY) ## the whole network on this machine, used and attacked (ARGS=--keep leaves it running)
	@$(BIN)/sipmesh demo $(ARGS)

peers:
	@tools/peers
	@bench/setup

test: $(READY) peers ## all tests; real peers are installed when this runs as root on Debian or Ubuntu
	@$(BIN)/pytest $(SUITE) $(ARGS)

test-changed: $(READY) ## the tests that a change touches, from where the branch left main (SINCE=REVISION, DEPTH=2)
	@tests="$$($(BIN)/python tools/changed.py --since $(or $(SINCE),main) --depth $(or $(DEPTH),1))" && \
	if [ -z "$$tests" ]; then echo "no test is touched"; else $(BIN)/pytest $(SUITE) $(ARGS) $$tests; fi

mirror: $(READY) peers ## how much of each module its own tests reach (ARGS="server/agent sip")
	@$(BIN)/python tools/mirror.py $(ARGS)

$(COMPILED_READY): pyproject.toml hatch_build.py hatch_often.txt tools/setup tools/compiler tools/python $(shell find src -name '*.py')
	@PYTHON="$(COMPILED_PYTHON)" tools/compiler
	@PYTHON="$(COMPILED_PYTHON)" tools/setup $(COMPILED) compiled
	@touch $@

compiled: $(COMPILED_READY) ## a compiled install in .venv-compiled, the quicker one

test-compiled: $(COMPILED_READY) peers ## the same tests against the compiled install
	@$(COMPILED)/bin/pytest --compiled -o pythonpath="tests ." $(SUITE) $(ARGS)

check: $(READY) ## format, lint, types, import rules, text rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/lint_text.py
	@$(BIN)/python tools/mirror.py --names

conformance: $(READY) ## write the tables of docs/conformance.md anew
	@PYTHONPATH=tests:src $(BIN)/python -m conformance.page

format: $(READY) ## put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(READY) $(COMPILED_READY) ## what it costs, beside Kamailio (ARGS=--growth: how the cost grows; ARGS=--help)
	@bench/setup
	@$(BIN)/python -m bench.compare $(ARGS)

soak: $(READY) peers ## the tests that take minutes
	@SIPMESH_SOAK=1 $(BIN)/pytest -q -m "soak or more_in_soak" -rs $(ARGS)

clean: ## remove what make has made
	rm -rf $(VENV) $(COMPILED) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
