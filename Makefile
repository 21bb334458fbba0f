# syncd: `make demo` shows it at work, `make test` proves it. Both set themselves up on first use.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
SOURCES := syncd tests tools
# Hundreds of commands are run, also where Python may not write what it compiled.
COMPILE := $(BIN)/python -m compileall -q syncd tests
# Whole files go to two workers, in the order of tests/conftest.py: what takes longest comes first.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q

.PHONY: help demo test quick check bench docs pictures install uninstall deb wheel wheels lock clean

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.run ## Watch the whole thing on this machine: plan, apply, a change, a held removal, a quiet run
	@$(BIN)/syncd demo $(DEMO_FLAGS)

test: $(VENV)/.test ## Run every test, against real servers started on loopback
	@$(COMPILE)
	@$(PYTEST)

quick: $(VENV)/.test ## Run the tests of core, store, SCIM client, reports and settings: within a minute, no server beside them
	@$(COMPILE)
	@$(PYTEST) tests/core tests/store tests/scim tests/report tests/settings

check: $(VENV)/.test ## Format, lint, types and import contracts
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test ## Print the performance figures, as ratios within one run
	@$(COMPILE)
	@$(BIN)/python -m tests.bench

docs: $(VENV)/.test ## Write docs/configuration.md and docs/profiles.md anew, from the settings and the profiles
	@$(BIN)/python tools/configuration_reference.py > docs/configuration.md.draft
	@mv docs/configuration.md.draft docs/configuration.md
	@$(BIN)/python tools/profile_reference.py > docs/profiles.md.draft
	@mv docs/profiles.md.draft docs/profiles.md

pictures: $(VENV)/.test ## Make the pictures of README and docs anew, from the real thing
	@$(BIN)/python -m tests.browser.pictures

install: ## Put syncd into /opt/syncd with its systemd service (as root; DESTDIR is honoured); again, to upgrade
	@tools/install

uninstall: ## Take it away again; configuration and state stay
	@tools/uninstall

deb: ## Build a Debian package of the same, in dist/
	@tools/deb

wheel: $(VENV)/.run ## Build the sdist and the wheel, in dist/
	@tools/wheel $(VENV)

wheels: ## Download what `make install` needs into wheels/, for a machine without a network
	@tools/wheels wheels

lock: $(VENV)/.test ## Resolve the locked versions anew, from the ranges in pyproject.toml
	@tools/lock $(VENV)

clean: ## Remove what was set up
	rm -rf $(VENV) tests/servers/scimmy/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.run: pyproject.toml uv.lock tools/setup tools/lib.sh
	@tools/setup run $(VENV)

$(VENV)/.test: pyproject.toml uv.lock tests/servers/scimmy/package-lock.json tools/setup tools/lib.sh
	@tools/setup test $(VENV)
