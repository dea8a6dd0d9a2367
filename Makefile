# Every target does its own set-up; the first run of each is the slow one.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILED := .venv-compiled
COMPILED_READY := $(COMPILED)/.ready
DOCS_READY := $(VENV)/.docs-ready
FUZZ_READY := $(VENV)/.fuzz-ready
# A distribution builds its Python for speed, which others mostly are not: docs/performance.md has the figures.
COMPILED_PYTHON := $(if $(filter file,$(origin PYTHON)),$(shell tools/python),$(PYTHON))
RUN := -q -n auto --dist worksteal -rs --durations=10 --durations-min=1
# docs/decisions/0050-two-tiers-of-tests.md: a person waits for QUICK; WIDE is the rest of what CI runs,
# and all examples of the properties.
QUICK := $(RUN) --hypothesis-profile=quick -m "not soak and not wide"
WIDE := $(RUN) -m "(wide or hypothesis) and not soak"
BOTH := $(RUN) -m "not soak"
# What a compiler can change is seen by the tests of QUICK, with all examples of the properties.
ALL_EXAMPLES := $(RUN) -m "not soak and not wide"

.DEFAULT_GOAL := help
.PHONY: help demo test test-wide test-pythons test-lowest test-changed mirror compiled test-compiled check format conformance soak transcript simulate fuzz peers peer-asterisk browsers clean docs reference changelog diagrams

# A line "##@ GROUP" begins a group of this list; a comment "## TEXT" behind a target is its line.
help: ## show this list
	@sed -n -e 's/^##@ \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

$(READY): pyproject.toml tools/setup
	@PYTHON="$(PYTHON)" tools/setup $(VENV)
	@touch $@

$(COMPILED_READY): pyproject.toml hatch_build.py hatch_often.txt tools/setup tools/compiler tools/python $(shell find src -name '*.py')
	@PYTHON="$(COMPILED_PYTHON)" tools/compiler
	@PYTHON="$(COMPILED_PYTHON)" tools/setup $(COMPILED) compiled
	@touch $@

peers:
	@tools/peers
	@bench/setup

peer-asterisk: ## make /opt/sipmesh-peers with the Asterisk of Debian sid, for tests/interop/test_asterisk.py (as root)
	@tools/peers asterisk

##@ Use

demo: $(READY) ## the whole network on this machine, used and attacked (ARGS=--keep: it stays up; ARGS=--web: with map and web phones)
	@case " $(ARGS) " in *" --web "*) tools/web_phone || [ $$? = 3 ] ;; esac
	@$(BIN)/sipmesh demo $(ARGS)

compiled: $(COMPILED_READY) ## install compiled in .venv-compiled: half of the CPU

##@ Develop

check: $(READY) ## what CI checks first: format, lint, types, import order, text
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/lint_text.py
	@$(BIN)/python tools/lint_language.py
	@$(BIN)/python tools/mirror.py --names
	@$(BIN)/python tools/docs/reference.py --check

test: $(READY) peers ## the tests that you wait for; as root on Debian or Ubuntu, real phones and servers are installed
	@tools/run_tests $(BIN)/pytest $(QUICK) $(ARGS)

test-wide: $(READY) peers ## the tests that make test leaves to CI: tests of tests, suites of others, long scenarios, all examples of properties; what each message passes is reached to 95 %
	@tools/run_tests $(BIN)/pytest $(WIDE) $(ARGS)
	@$(BIN)/python tools/mirror.py --heart

test-changed: $(READY) ## the tests that a change touches, from where the branch left main (SINCE=REVISION, DEPTH=2)
	@tests="$$($(BIN)/python tools/changed.py --since $(or $(SINCE),main) --depth $(or $(DEPTH),1))" && \
	if [ -z "$$tests" ]; then echo "no test is touched"; else $(BIN)/pytest $(BOTH) $(ARGS) $$tests; fi

mirror: $(READY) peers ## how much of each module its own tests reach (ARGS="server/agent sip", ARGS=--heart)
	@$(BIN)/python tools/mirror.py $(ARGS)

test-pythons: $(READY) ## the tests that depend most on Python, and the demo, with each other Python of this machine (PYTHONS=...)
	@for python in $(PYTHONS); do tools/test_python $$python $(QUICK) $(ARGS) || exit; done

test-lowest: ## the same tests with the lowest version of each library that pyproject.toml admits
	@tools/test_python "$(PYTHON)" lowest $(QUICK) $(ARGS)

test-compiled: $(COMPILED_READY) peers ## the tests of make test with the compiled install, with all examples of the properties
	@tools/run_tests $(COMPILED)/bin/pytest --compiled -o pythonpath="tests ." $(ALL_EXAMPLES) $(ARGS)

browsers:
	@tools/peers browsers
	@tools/browser
	@tools/web_phone || [ $$? = 3 ]

transcript: $(READY) ## type the tutorials of two sites and two hosts again, and write what it prints into docs/tutorial/
	@TRANSCRIPT=docs/tutorial/two-sites-transcript.md TRANSCRIPT_HOSTS=docs/tutorial/two-hosts-transcript.md SIPMESH_SOAK=1 $(BIN)/pytest -q -m soak -n 0 -o timeout=0 tests/cli/test_two_sites.py tests/cli/test_two_hosts.py

soak: $(READY) peers browsers ## the tests that take minutes each
	@SIPMESH_SOAK=1 $(BIN)/pytest -q -m "soak or more_in_soak" -o timeout=0 -rs $(ARGS)

simulate: $(READY) ## the network on virtual time, seed after seed (ARGS="--minutes 10", ARGS="--seed 7 --trace", ARGS=--help)
	@PYTHONPATH=tests:src $(BIN)/python -m simulation $(ARGS)

$(FUZZ_READY): $(READY)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --only-binary atheris --group fuzz || \
	    echo "Atheris has no wheel for this Python: Hypothesis makes the inputs"
	@touch $@

fuzz: $(FUZZ_READY) ## octets of an attacker for each reader (ARGS="--seconds 60 --target framing", ARGS=--help)
	@PYTHONPATH=tests:src $(BIN)/python -m fuzz $(ARGS)

format: $(READY) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove what make has made
	rm -rf $(VENV) $(VENV)-3.* $(COMPILED) build src/sipmesh/server/web_phone/bundle .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

##@ Measure

.PHONY: bench
bench: $(READY) $(COMPILED_READY) ## measure beside Kamailio (ARGS=--growth: how the cost grows; ARGS=--help)
	@bench/setup
	@$(BIN)/python -m bench.compare $(ARGS)

conformance: $(READY) ## write the tables of docs/reference/conformance.md again
	@PYTHONPATH=tests:src $(BIN)/python -m conformance.page

##@ Release

.PHONY: release release-key reproduce verify try wheels lock record
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PYTHONS ?= $(shell tools/pythons)
OUT ?= build/dist

wheels: ## sdist, wheel of sources, and a compiled wheel for each of PYTHONS, in OUT (build/dist)
	@tools/release/wheels $(OUT) $(PYTHONS)

release: ## all of a release from this commit: wheels, Debian package, image, SBOM, checksums, signature; each tried; the tag
	@tools/release/release $(OUT) $(PYTHONS)

release-key: ## make the key that signs releases, in the file RELEASE_KEY, and name it in packaging/allowed_signers
	@tools/release/key "$(RELEASE_KEY)"

verify: ## verify signature and checksums of the release in OUT, as its users do
	@tools/release/verify $(OUT) $(or $(ALLOWED_SIGNERS),packaging/allowed_signers)

try: ## install each file of the release in OUT in a clean system, and send a first message there; as root
	@tools/release/try $(OUT) $(PYTHONS)

reproduce: ## build the release in OUT again, in a fresh clone in another folder, and compare each octet
	@tools/release/reproduce $(OUT) $(PYTHONS)

record: $(READY) ## record what the release VERSION leaves behind, for the tests of later ones; it has a tag, or COMMIT=REVISION
	@$(BIN)/python tests/upgrades/record.py $(VERSION) $(or $(COMMIT),v$(VERSION))

lock: ## write packaging/*requirements.txt again, with the newest versions and their hashes
	@tools/release/lock

##@ Documents

$(DOCS_READY): $(READY)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

reference: $(READY) ## write docs/reference/commands, log-events.md and topology*.md again, from the code
	@$(BIN)/python tools/docs/reference.py

docs: $(DOCS_READY) ## build the documentation as a site, in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html"

changelog: $(DOCS_READY) ## show what the fragments in changes/ will add to CHANGELOG.md
	@$(BIN)/towncrier build --draft --version unreleased

diagrams: $(READY) ## write the state machines and the limits of the documents again from the code
	@$(BIN)/python tools/state_diagrams.py --write
	@$(BIN)/python tools/limits_table.py --write
