# Every target does its own set-up; the first run of each is the slow one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check format soak peers clean

help: ## show what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(READY): pyproject.toml tools/setup
	@PYTHON="$(PYTHON)" tools/setup $(VENV)
	@touch $@

demo: $(READY) ## the whole network on this machine, used and attacked (ARGS=--keep leaves it running)
	@$(BIN)/sipmesh demo $(ARGS)

peers:
	@tools/peers

test: $(READY) peers ## all tests; real peers are installed when this runs as root on Debian or Ubuntu
	@$(BIN)/pytest -q -n auto --dist worksteal -m "not soak" -rs $(ARGS)

check: $(READY) ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## put the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: $(READY) peers ## the tests that take minutes
	@$(BIN)/pytest -q -m soak -rs $(ARGS)

clean: ## remove what make has made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
