# Symbiosis Gateway: the commands of this source tree. `make` alone lists them.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
RUN_PYTHON := $(VENV)/bin/python
BOOTSTRAP := $(PYTHON) deploy/bootstrap/bootstrap.py
LOCK := $(RUN_PYTHON) -m uv pip compile --quiet --no-config --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help run codes test lint unit bench chaos lock vendor environment

help: ## list the commands
	@echo "Symbiosis Gateway. The two you need first are 'make run' and 'make test'."
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: ## start everything with demo content on http://localhost:8000 (PORT=9000 moves it, SYMBIOSIS_DATA_DIR its data)
	@$(BOOTSTRAP) requirements.txt
	@$(RUN_PYTHON) -m gateway.demo_start --port $(PORT)

codes: ## show the second-step codes of the demo users, as their authenticator apps would (SYMBIOSIS_DATA_DIR as with make run)
	@$(RUN_PYTHON) -m gateway.demo_codes

test: ## install what tests need and run everything: lint, types, import rules, journeys, tests on SQLite and on Postgres
	@$(BOOTSTRAP) requirements-dev.txt
	@$(RUN_PYTHON) deploy/check.py everything

lint: environment ## ruff, mypy, import rules, templates, dependencies
	@$(RUN_PYTHON) deploy/check.py lint

unit: environment ## the tests on SQLite, without the journeys that need a browser
	@$(RUN_PYTHON) -m pytest -n 2 -m "not journey"

bench: environment ## measure the gateway on this machine (see bench/README.md)
	@$(RUN_PYTHON) -m bench

chaos: environment ## kill, hang and empty parts of the service under load, 100 rounds; other clocks (libfaketime); every cut of every stream; a million steps of budgets (hours)
	@$(RUN_PYTHON) -m pytest tests/journeys -m chaos --chaos-rounds 100
	@$(RUN_PYTHON) -m pytest tests/gateway/wire -m long
	@$(RUN_PYTHON) -m pytest tests/billing -m chaos -n 2 -s --money-steps 1000000

lock: environment ## pin requirements anew from pyproject.toml, with hashes
	@$(LOCK) pyproject.toml -o requirements.txt
	@$(LOCK) -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt
	@$(LOCK) tests/clients/openai2/requirements.in -o tests/clients/openai2/requirements.txt
	@$(RUN_PYTHON) deploy/check.py lock
	@echo "Locked. Read the difference before committing it: git diff --stat"

vendor: environment ## take the portal's style sheets, scripts and icons anew from their npm packages
	@$(RUN_PYTHON) deploy/vendor.py

environment:
	@$(BOOTSTRAP) requirements-dev.txt
